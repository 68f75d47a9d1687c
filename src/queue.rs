//! The bounded edges between stages, and what happens when one is full.
//!
//! `crossbeam-channel` cannot overwrite, so the sender keeps a receiver of its own: on a full queue it takes
//! the oldest item out and hands it back to be accounted for. That second receiver would hide that the real
//! one is gone, so the real one sets a flag when it closes, and the sender looks at the flag **after** each
//! send: whatever it put into a closed queue it takes out again. So no item is ever lost between the two.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel as channel;

/// What a sender does with a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Takes out the oldest item: the newest wins.
    ReplaceOldest,
    /// Waits for room: nothing is dropped.
    Wait,
}

/// A queue for at most `capacity` items, first in, first out, with one sender and one receiver.
#[must_use]
pub fn bounded<T>(capacity: NonZeroUsize, when_full: WhenFull) -> (Sender<T>, Receiver<T>) {
    let (items, other_end) = channel::bounded(capacity.get());
    let closed = Arc::new(AtomicBool::new(false));
    let sender = Sender { items, own_receiver: other_end.clone(), closed: Arc::clone(&closed), when_full };
    (sender, Receiver { items: other_end, closed })
}

/// The receiver is gone: an item comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed<T> {
    /// What was to be sent, or, from a queue for several, an item that was still in it: then the receiver took what was
    /// to be sent as it closed.
    pub item: T,
    /// What it had already replaced when the receiver went.
    pub replaced: Option<T>,
}

/// Puts items in. When it is dropped the receiver still gets what is in the queue, then the end.
#[derive(Debug)]
pub struct Sender<T> {
    items: channel::Sender<T>,
    own_receiver: channel::Receiver<T>,
    closed: Arc<AtomicBool>,
    when_full: WhenFull,
}

impl<T> Sender<T> {
    /// Puts `item` in; returns the item that it replaced, if any.
    ///
    /// # Errors
    /// When the receiver is gone. One item comes back; the others that were in the queue go to the receiver.
    pub fn send(&mut self, item: T) -> Result<Option<T>, Closed<T>> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Closed { item, replaced: None });
        }
        let replaced = match self.when_full {
            WhenFull::Wait => {
                self.items.send(item).expect("the sender itself holds a receiver");
                None
            }
            WhenFull::ReplaceOldest => self.replace(item),
        };
        if self.closed.load(Ordering::SeqCst)
            && let Ok(item) = self.own_receiver.try_recv()
        {
            // The receiver takes out what is there after it has closed. It may not be done yet: then this is an older
            // item, and it gets the one that was just put in.
            return Err(Closed { item, replaced });
        }
        Ok(replaced)
    }

    fn replace(&self, mut item: T) -> Option<T> {
        let mut replaced = None;
        loop {
            match self.items.try_send(item) {
                Ok(()) => return replaced,
                Err(refused) => item = refused.into_inner(),
            }
            // Nothing, if the receiver was faster: then there is room now. At most once something,
            // as nobody else puts items in.
            replaced = replaced.or_else(|| self.own_receiver.try_recv().ok());
        }
    }
}

/// Takes items out.
#[derive(Debug)]
pub struct Receiver<T> {
    items: channel::Receiver<T>,
    closed: Arc<AtomicBool>,
}

impl<T> Receiver<T> {
    /// Waits for the oldest item; `None` when the queue is empty and the sender gone.
    pub fn recv(&mut self) -> Option<T> {
        self.items.recv().ok()
    }

    /// Closes the queue and takes what is still in it. The sender gets back whatever it sends from now on.
    #[must_use = "these items have not been worked on"]
    pub fn close(self) -> Vec<T> {
        self.closed.store(true, Ordering::SeqCst);
        self.items.try_iter().collect()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            // Makes room for a sender that is waiting for it. After `close` the queue is no longer ours to
            // empty: whatever a sender puts in from then on it takes out again itself.
            self.items.try_iter().for_each(drop);
        }
    }
}

#[cfg(test)]
mod tests;
