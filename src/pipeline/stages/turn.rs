//! Turns: an unpaced source is asked for the next frame when the one before has left the pipeline.
//!
//! A file is always ready, so frames taken from it ahead of time would only grow old in a queue, and their
//! response would measure the queue instead of the work. A frame keeps its [`Turn`] until its outcome is in
//! the books; whatever becomes of it, even in a panic, dropping the turn lets the next frame in.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// The source's side: hands out one [`Turn`] at a time.
pub(in crate::pipeline) struct Turns {
    back: SyncSender<()>,
    free: Receiver<()>,
}

/// The right to be the one frame in the pipeline.
#[derive(Debug)]
pub(in crate::pipeline) struct Turn(SyncSender<()>);

impl Turns {
    pub(in crate::pipeline) fn new() -> Self {
        let (back, free) = sync_channel(1);
        let turns = Self { back, free };
        drop(turns.turn());
        turns
    }

    /// Waits until no frame has a turn. It never waits longer than that frame takes.
    pub(super) fn wait(&mut self) -> Turn {
        self.free.recv().expect("a sender is kept here");
        self.turn()
    }

    fn turn(&self) -> Turn {
        Turn(self.back.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // There is room: only one turn is out at a time. Without a receiver nobody wants one any more.
        let _ = self.0.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_turn_comes_when_the_one_before_is_dropped() {
        let mut turns = Turns::new();
        let first = turns.wait();
        assert!(turns.free.try_recv().is_err(), "one at a time");
        drop(first);
        drop(turns.wait());
        let last = turns.wait();
        drop(turns);
        drop(last);
    }
}
