//! Who looks at a run from outside while it goes on: metrics, and the live view or a bar, with what they are made of.

use std::sync::Arc;

use anyhow::anyhow;
use puvae::board::Board;
use puvae::clock::SystemClock;
use puvae::config::Settings;
use puvae::live::{self, Live, LiveSetup};
use puvae::metrics::{Facts, Metrics};
use puvae::pipeline::{CaptureHealth, Sink, StopFlag};
use puvae::report::Surroundings;
use puvae::watchdog::Watchdog;

use super::log;
use super::progress::FrameProgress;

/// Metrics where they are wanted; and a live view, or else a bar.
pub(super) struct Watch {
    /// Where the pipeline says how its capture is doing.
    pub(super) health: CaptureHealth,
    board: Option<Board>,
    watchdog: Option<Watchdog>,
    metrics: Option<Metrics>,
    live: Option<Live>,
    progress: Option<FrameProgress>,
}

impl Watch {
    /// Begins to serve metrics: not ready as yet, but already telling so. Says early what cannot be.
    pub(super) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let health = CaptureHealth::default();
        if settings.live {
            live::check()?;
        }
        if !settings.live && settings.metrics.is_none() {
            return Ok(Self { health, board: None, watchdog: None, metrics: None, live: None, progress: None });
        }
        let board = Board::new(Arc::new(SystemClock), settings.deadline, health.clone());
        let watchdog = Watchdog::start(board.clone())
            .map_err(|error| anyhow!("cannot start the watchdog's thread: {error}; free some memory"))?;
        let serve = |address| Metrics::start(address, board.clone(), watchdog.judgement());
        let metrics = settings.metrics.map(serve).transpose()?;
        if let Some(metrics) = &metrics {
            announce(metrics);
        }
        Ok(Self { health, board: Some(board), watchdog: Some(watchdog), metrics, live: None, progress: None })
    }

    /// Makes known what runs over how many `frames`, and begins the live view if there is to be one.
    pub(super) fn know(
        &mut self,
        settings: &Settings,
        about: &Surroundings,
        frames: Option<u64>,
        stop: &StopFlag,
    ) -> anyhow::Result<()> {
        self.progress = (!settings.live).then(|| FrameProgress::new(frames));
        let (purifier, classifier) = (about.models.purifier.clone(), about.models.classifier.clone());
        if let Some(metrics) = &self.metrics {
            let provider = about.provider.used.to_string();
            metrics.know(Facts { purifier, classifier: Some(classifier.clone()), provider });
        }
        if let (true, Some(board), Some(watchdog)) = (settings.live, &self.board, &self.watchdog) {
            self.live = Some(Live::start(LiveSetup {
                board: board.clone(),
                judgement: watchdog.judgement(),
                classes: classifier.spec.classes,
                title: settings.source.to_string(),
                lines: log::lines(),
                stop: stop.clone(),
            })?);
        }
        Ok(())
    }

    /// Those who want to be told of every frame.
    pub(super) fn sinks(&mut self) -> impl Iterator<Item = &mut dyn Sink> {
        let board = self.board.as_mut().map(|board| board as &mut dyn Sink);
        let live = self.live.as_mut().map(|live| live as &mut dyn Sink);
        let progress = self.progress.as_mut().map(|progress| progress as &mut dyn Sink);
        board.into_iter().chain(live).chain(progress)
    }

    /// Gives the terminal back. That may wait for it.
    pub(super) fn leave_terminal(&mut self) {
        (self.live, self.progress) = (None, None);
        log::release();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.leave_terminal();
    }
}

fn announce(metrics: &Metrics) {
    let address = metrics.address();
    tracing::info!("metrics on http://{address}/metrics");
    if !address.ip().is_loopback() {
        tracing::warn!(
            "whoever reaches {address} over the network can read the metrics, without a password; --metrics {} is for this machine only",
            address.port()
        );
    }
}
