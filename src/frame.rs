//! A captured picture with the moment of its capture, and the pool its bytes come from and go back to.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use crate::preprocess::PixelFormat;

/// Number of a frame within a run: 0, 1, 2 … in capture order, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameId(pub u64);

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who says when a frame was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StampSource {
    /// The camera driver's monotonic clock.
    Driver,
    /// The moment this process took the frame from its source, before decoding.
    Dequeue,
    /// The moment a paced source was due to deliver: a late source thread hides no latency.
    Schedule,
}

impl fmt::Display for StampSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Which frame it is and when it was captured, as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// Its number: one more than that of the frame before, and one more for each that was lost between them.
    pub id: FrameId,
    /// Frames that the driver says it lost directly before this one.
    pub lost: u64,
    /// When it was captured; the deadline counts from here.
    pub at: Instant,
    /// Who says so.
    pub stamp_source: StampSource,
}

/// One captured picture.
#[derive(Debug)]
pub struct Frame {
    /// Which one, and when.
    pub capture: Capture,
    /// When this process had its raw bytes; decoding begins here.
    pub dequeued_at: Instant,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Channels of `pixels`.
    pub format: PixelFormat,
    /// `height × width × channels` bytes, row by row, channels interleaved; they go back to their pool on drop.
    pub pixels: PooledBytes,
    /// The true class, where the source knows it.
    pub label: Option<usize>,
}

/// A stack of used items, kept so that nobody allocates once the pipeline runs. (What a model's engine or a JPEG decoder
/// allocates for itself is not in it.)
///
/// It grows to the largest number of items that were ever out at once. Clones share one stack.
pub struct Pool<T> {
    free: Arc<Mutex<Vec<T>>>,
}

impl<T: Default> Pool<T> {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self { free: Arc::default() }
    }

    /// A used item as it came back, or a fresh one from `make` if none is free.
    pub fn take_or(&self, make: impl FnOnce() -> T) -> Pooled<T> {
        let used = self.free.lock().pop();
        Pooled { item: used.unwrap_or_else(make), home: Some(Arc::clone(&self.free)) }
    }
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { free: Arc::clone(&self.free) }
    }
}

impl<T: Default> Default for Pool<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("free", &self.free.lock().len()).finish()
    }
}

/// The bytes of a frame.
pub type PooledBytes = Pooled<Vec<u8>>;

/// An item that goes back to its [`Pool`] on drop; `Pooled::from(item)` has no pool and is simply dropped.
pub struct Pooled<T: Default> {
    item: T,
    home: Option<Arc<Mutex<Vec<T>>>>,
}

impl<T: Default> From<T> for Pooled<T> {
    fn from(item: T) -> Self {
        Self { item, home: None }
    }
}

impl<T: Default> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: Default> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

impl<T: Default> Drop for Pooled<T> {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.lock().push(std::mem::take(&mut self.item));
        }
    }
}

impl<T: Default + fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.item.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_when_a_frame_was_captured_has_one_name_in_text_and_in_reports() {
        for (source, name) in
            [(StampSource::Driver, "driver"), (StampSource::Dequeue, "dequeue"), (StampSource::Schedule, "schedule")]
        {
            assert_eq!((source.to_string().as_str(), serde_json::to_value(source).unwrap()), (name, name.into()));
        }
    }

    #[test]
    fn a_dropped_buffer_is_handed_out_again() {
        let pool = Pool::new();
        let fresh = || vec![0_u8; 64];
        let first = pool.take_or(fresh);
        let address = first.as_ptr();
        drop(first);
        let second = pool.take_or(fresh);
        assert_eq!((second.as_ptr(), second.len()), (address, 64));
        assert_ne!(pool.take_or(fresh).as_ptr(), address, "one buffer must not be out twice");
    }

    #[test]
    fn a_buffer_of_no_pool_is_just_dropped() {
        let bytes = PooledBytes::from(vec![1, 2, 3]);
        assert_eq!(bytes[..], [1, 2, 3]);
    }
}
