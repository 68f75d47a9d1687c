//! Runs so long that their deliveries are thinned.

use std::sync::Arc;
use std::time::Duration;

use puvae::clock::{SimulatedClock, StopFlag};
use puvae::deadline::Deadline;
use puvae::latency::Stage;
use puvae::pipeline::{self, MAX_DELIVERIES, PipelineConfig};
use puvae::report::{Report, Surroundings, html};
use puvae::source::{self, Slowed, SourceOptions, SourceUri};

use crate::indifferent::Indifferent;
use crate::lockstep::{SHAPE, Stub};

#[test]
fn the_report_of_a_long_run_has_the_true_ages() {
    let uri: SourceUri = "synthetic:6x6?classes=4&faults=slow@1+50000x10ms,slow@30000+1x60ms".parse().unwrap();
    let SourceUri::Synthetic(mut script) = uri else { panic!("not synthetic") };
    let mut slow = script.slow();
    slow.reverse();
    script.faults.clear();
    script.frames = Some(MAX_DELIVERIES as u64 + 2000);
    let clock = SimulatedClock::new();
    let feed = source::open(&SourceUri::Synthetic(script), &SourceOptions::default(), Arc::new(clock.clone())).unwrap();
    let purifier = Slowed::new(Box::new(Stub), slow, Arc::new(clock.clone()));
    let config =
        PipelineConfig { deadline: Deadline::new(Duration::from_secs(1)).unwrap(), ..PipelineConfig::default() };
    let (classifier, stop) = (Indifferent::new(SHAPE, 4), StopFlag::new());
    let summary =
        pipeline::run(feed, Box::new(purifier), classifier, &config, Arc::new(clock), &stop, &mut []).unwrap();

    let seed = Report::from_json(include_str!("../../fuzz/seeds/report/run")).unwrap();
    let report = Report::new(&summary, Surroundings { provider: seed.provider, models: seed.models, run: seed.run });
    assert_eq!((report.deliveries_stride, report.deliveries_us.len()), (2, MAX_DELIVERIES / 2 + 1000));
    // 10 ms old when the frame came that took 60 ms; all others are at most 20 ms.
    assert_eq!(summary.latency[Stage::Age].max(), Some(Duration::from_millis(70)));
    assert_eq!(report.peak_ages_us.iter().max().copied(), report.latency_us.age.max);
    assert_eq!(
        report.peak_ages_us.iter().filter(|peak| **peak > 20_000).count(),
        1,
        "it and the next one are one entry"
    );
    assert_eq!(report.peak_ages_us.len(), report.deliveries_us.len() + 1);
    assert!(html::render(&report).contains("Each corner stands for 2 verdicts"));
}
