//! Says whether a run can be relied on right now, by its own timer and from outside: it keeps judging when everything
//! else is stuck. One line is logged when the run stops being ready and one when it is again, however many frames that costs.

mod judge;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use judge::{Judge, Unready, patience};

use crate::board::Board;
use crate::clock::Clock;

/// How often it judges.
const TICK: Duration = Duration::from_millis(100);
/// A watchdog that has not judged for this long is not well.
const OVERDUE: Duration = Duration::from_secs(2);

/// Lines that wait to be logged; a terminal that is stuck costs more than these, but no judgement.
const LINES: usize = 16;

/// A thread that judges until this is dropped.
pub struct Watchdog {
    judgement: Judgement,
    /// Closed when this is dropped.
    _alive: Sender<()>,
}

/// The newest judgement; clones share it.
#[derive(Clone)]
pub struct Judgement {
    clock: Arc<dyn Clock>,
    newest: Arc<Mutex<(Instant, Result<(), Unready>)>>,
}

impl Watchdog {
    /// Starts judging what stands on `board`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(board: Board) -> io::Result<Self> {
        let clock = board.clock();
        let newest = Arc::new(Mutex::new((clock.now(), Err(Unready::Starting))));
        let judgement = Judgement { clock, newest };
        let (alive, dropped) = channel();
        let entered = judgement.clone();
        let (tell, told) = sync_channel::<Change>(LINES);
        thread::Builder::new().name("puvae-watchdog-log".into()).spawn(move || told.iter().for_each(Change::log))?;
        thread::Builder::new().name("puvae-watchdog".into()).spawn(move || {
            let mut judge = Judge::default();
            while dropped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let change = entered.enter(judge.judge(&board.read()));
                change.map(|change| tell.try_send(change).ok());
            }
        })?;
        Ok(Self { judgement, _alive: alive })
    }

    /// What it says.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        self.judgement.clone()
    }
}

/// A judgement that is another than the one before, and worth a line.
enum Change {
    NotReady(Unready),
    Ready,
    ReadyAgain,
}

impl Change {
    fn log(self) {
        match self {
            Self::NotReady(why) => tracing::warn!("not ready: {why}"),
            Self::Ready => tracing::debug!("ready"),
            Self::ReadyAgain => tracing::info!("ready again"),
        }
    }
}

impl Judgement {
    fn enter(&self, judged: Result<(), Unready>) -> Option<Change> {
        let now = self.clock.now();
        let before = std::mem::replace(&mut *self.newest.lock(), (now, judged.clone())).1;
        match (before, judged) {
            (Ok(()), Err(Unready::Over)) => None,
            (Ok(()), Err(why)) => Some(Change::NotReady(why)),
            (Err(Unready::Starting), Ok(())) => Some(Change::Ready),
            (Err(_), Ok(())) => Some(Change::ReadyAgain),
            _ => None,
        }
    }

    /// Whether verdicts can be relied on, and if not, why.
    ///
    /// # Errors
    /// The reason why not.
    pub fn ready(&self) -> Result<(), Unready> {
        if self.alive() { self.newest.lock().1.clone() } else { Err(Unready::NotJudged) }
    }

    /// Whether the watchdog itself is well.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.clock.now().saturating_duration_since(self.newest.lock().0) < OVERDUE
    }
}
