//! `--live`: the run in a terminal, redrawn at most [`FRAMES_A_SECOND`] times a second by a thread of its own.
//!
//! It draws what stands on the [`Board`] and in `Latest`, which the books' thread fills without waiting: a terminal that
//! takes nothing, or takes it slowly, stops the picture and nothing else. It is drawn on standard error, so
//! that standard output still holds results only.

mod chart;
mod latest;
mod lines;
mod picture;
mod screen;
mod view;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub use lines::Lines;
pub use screen::{check, is_entered as is_drawing};

use crate::board::Board;
use crate::clock::StopFlag;
use crate::pipeline::{FrameTensors, Outcome, Sink, SinkError};
use crate::watchdog::Judgement;
use latest::{Latest, Shown};
use screen::{Key, Screen};
use view::{Facts, View};

/// How often it is redrawn at most.
pub const FRAMES_A_SECOND: u32 = 30;
/// How long the end of a run waits for the terminal.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why there is no live view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// Nobody would see it.
    #[error(
        "--live draws on standard error, which is not a terminal here; run it in one without redirecting standard error, or leave --live out \
         (--metrics and --verdicts say the same to programs)"
    )]
    NotATerminal,
    /// The terminal cannot be set up.
    #[error("--live: the terminal cannot be set up: {0}; leave --live out")]
    Terminal(io::Error),
    /// Its thread cannot be started.
    #[error("--live: cannot start a thread: {0}; free some memory or raise the limit on processes")]
    Thread(io::Error),
}

/// What a live view is made of, besides its frames.
pub struct LiveSetup {
    /// The counts.
    pub board: Board,
    /// Whether the run can be relied on.
    pub judgement: Judgement,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
    /// The source, on one line.
    pub title: String,
    /// Log lines, which nobody else may write to the terminal meanwhile.
    pub lines: Lines,
    /// Set when the user quits; when it is set the view is left.
    pub stop: StopFlag,
}

/// A live view; the terminal is as it was when this is dropped.
pub struct Live {
    latest: Latest,
    over: Arc<AtomicBool>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Live {
    /// Takes the terminal and begins to draw.
    ///
    /// # Errors
    /// When standard error is no terminal, or the terminal or a thread cannot be had.
    pub fn start(setup: LiveSetup) -> Result<Self, LiveError> {
        check()?;
        let (latest, over) = (Latest::default(), Arc::new(AtomicBool::new(false)));
        let (running, ended) = channel();
        let screen = Screen::enter().map_err(LiveError::Terminal)?;
        let mut artist = Artist { setup, latest: latest.clone(), over: Arc::clone(&over), screen };
        let work = move || {
            artist.draw_until_the_end();
            screen::restore();
            drop(running);
        };
        if let Err(error) = thread::Builder::new().name("puvae-live".into()).spawn(work) {
            screen::restore();
            return Err(LiveError::Thread(error));
        }
        Ok(Self { latest, over, ended })
    }
}

impl Sink for Live {
    fn outcome(&mut self, outcome: &Outcome, pictures: Option<&FrameTensors>) -> Result<(), SinkError> {
        self.latest.enter(outcome, pictures);
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // The thread says nothing, it only ends; a terminal that takes nothing any more would keep it for ever.
        let _ = self.ended.recv_timeout(FAREWELL);
        restore();
    }
}

/// Gives the terminal back, if it was taken: for whoever ends the process at once. Does not wait for a terminal that
/// takes nothing.
pub fn restore() {
    let (done, restored) = channel::<()>();
    let work = move || {
        screen::restore();
        drop(done);
    };
    if is_drawing() && thread::Builder::new().spawn(work).is_ok() {
        let _ = restored.recv_timeout(FAREWELL);
    }
}

/// The thread's side.
struct Artist {
    setup: LiveSetup,
    latest: Latest,
    over: Arc<AtomicBool>,
    screen: Screen,
}

impl Artist {
    fn draw_until_the_end(&mut self) {
        let clock = self.setup.board.clock();
        let period = Duration::from_secs(1) / FRAMES_A_SECOND;
        let mut shown = Shown::default();
        let mut due = clock.now();
        while !self.over.load(Ordering::SeqCst) && !self.setup.stop.is_set() && screen::is_entered() {
            self.latest.take(&mut shown);
            if self.draw(&shown).is_err() {
                break;
            }
            due = (due + period).max(clock.now());
            self.heed_keys_until(due);
        }
    }

    fn draw(&mut self, shown: &Shown) -> io::Result<()> {
        let LiveSetup { board, judgement, classes, title, lines, .. } = &self.setup;
        let (ready, newest_line) = (judgement.ready(), lines.newest());
        let facts = Facts { classes, title, log: newest_line.as_deref(), colours: self.screen.colours() };
        let reading = board.read();
        let view = View { reading: &reading, ready: &ready, shown, facts };
        self.screen.draw(|frame| view::draw(frame, &view))
    }

    fn heed_keys_until(&mut self, due: Instant) {
        let clock = self.setup.board.clock();
        loop {
            match self.screen.key(due.saturating_duration_since(clock.now())) {
                Some(Key::Quit) => self.setup.stop.set(),
                Some(Key::Redraw) => self.screen.forget(),
                Some(Key::Other) => {}
                None => return,
            }
        }
    }
}
