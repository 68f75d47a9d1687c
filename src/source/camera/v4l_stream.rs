//! A Video4Linux stream that can be let go whatever the driver says.
//!
//! v4l's own stream panics when the driver refuses to stop, and again when it then keeps its buffers: the second panic
//! would end the process.

use std::ops::{Deref, DerefMut};

use v4l::io::mmap::Stream;
use v4l::io::traits::Stream as _;

/// Linux's ENODEV: there is no device any more, and nothing to stop.
const GONE: i32 = 19;

/// A stream, and whose it is.
pub(super) struct ClosableStream {
    camera: String,
    /// `None` only while it is dropped.
    stream: Option<Stream<'static>>,
}

impl ClosableStream {
    pub(super) fn new(camera: String, stream: Stream<'static>) -> Self {
        Self { camera, stream: Some(stream) }
    }
}

impl Deref for ClosableStream {
    type Target = Stream<'static>;

    fn deref(&self) -> &Self::Target {
        self.stream.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for ClosableStream {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.stream.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for ClosableStream {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        match stream.stop() {
            Err(error) if error.raw_os_error() != Some(GONE) => {
                tracing::warn!("{}: the driver refused to stop streaming: {error}; its buffers are kept", self.camera);
                std::mem::forget(stream);
            }
            _ => drop(stream),
        }
    }
}
