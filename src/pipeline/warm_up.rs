//! Runs both models before the first frame: the first run of a session is far slower than the others, and
//! the others tell whether the deadline is possible at all.

use std::time::{Duration, Instant};

use super::PipelineConfig;
use super::contract;
use super::error::PipelineError;
use super::outcome::FrameTensors;
use super::stages::guard;
use super::summary::WarmUp;
use crate::classifier::Classifier;
use crate::clock::{Clock, StopFlag};
use crate::deadline::Deadline;
use crate::frame::FrameId;
use crate::purifier::Purifier;
use ndarray::Array2;

/// The first run tells nothing of the others.
const FEWEST_RUNS: usize = 2;
/// A possible deadline is rounded up to this.
const ROUND_TO: Duration = Duration::from_micros(100);

/// Runs both models a few times, at least twice, on as many mid-grey pictures as a frame has regions, and checks what they
/// return. Told to stop, it stops after the run that it is at, and has measured nothing.
pub(super) fn warm_up(
    purifier: &mut dyn Purifier,
    classifier: &mut dyn Classifier,
    config: &PipelineConfig,
    clock: &dyn Clock,
    stop: &StopFlag,
) -> Result<WarmUp, PipelineError> {
    let (runs, regions) = (config.warm_up_runs.max(FEWEST_RUNS), config.regions.len().max(1));
    let mut pictures = FrameTensors::new(purifier.room(regions));
    pictures.input.fill(0.5);
    let classes = classifier.classes().len();
    let mut logits = Array2::zeros((regions, classes));
    let ids = vec![FrameId(0); regions];
    let (mut purify, mut classify) = (Vec::with_capacity(runs), Vec::with_capacity(runs));
    let start = clock.now();
    for _ in 0..runs {
        if stop.is_set() {
            return Ok(WarmUp::default());
        }
        purify.push(purify_once(purifier, &ids, &mut pictures, classes, clock)?);
        classify.push(classify_once(classifier, &pictures, &mut logits, clock)?);
    }
    Ok(summarize(&mut purify, &mut classify, start, clock.now()))
}

/// How long it took; the result must be one.
fn purify_once(
    purifier: &mut dyn Purifier,
    ids: &[FrameId],
    FrameTensors { input, purified, .. }: &mut FrameTensors,
    classes: usize,
    clock: &dyn Clock,
) -> Result<Duration, PipelineError> {
    let (stage, begin) = ("purify", clock.now());
    guard("warm-up", None, || purifier.purify(ids, input.view(), purified))?
        .map_err(|source| PipelineError::WarmUp { stage, source })?;
    let took = clock.now() - begin;
    contract::purified(purified, purifier.input(), ids.len(), classes)
        .map_err(|source| PipelineError::WarmUpContract { stage, source })?;
    Ok(took)
}

/// How long it took; the result must be one.
fn classify_once(
    classifier: &mut dyn Classifier,
    pictures: &FrameTensors,
    logits: &mut Array2<f32>,
    clock: &dyn Clock,
) -> Result<Duration, PipelineError> {
    let (stage, begin) = ("classify", clock.now());
    let (regions, classes) = (pictures.input.dim().0, classifier.classes().len());
    guard("warm-up", None, || classifier.classify(pictures.purified.frames.view(), logits))?
        .map_err(|source| PipelineError::WarmUp { stage, source })?;
    let took = clock.now() - begin;
    contract::logits(logits, regions, classes).map_err(|source| PipelineError::WarmUpContract { stage, source })?;
    Ok(took)
}

fn summarize(purify: &mut [Duration], classify: &mut [Duration], start: Instant, end: Instant) -> WarmUp {
    let both = |(purify, classify): (&Duration, &Duration)| *purify + *classify;
    let sums: Vec<Duration> = purify.iter().zip(classify.iter()).map(both).collect();
    WarmUp {
        runs: sums.len(),
        total: end - start,
        first: sums[0],
        purify: median(&mut purify[1..]),
        classify: median(&mut classify[1..]),
        slowest: sums[1..].iter().copied().max().expect("there are at least two runs"),
    }
}

/// Of an even number the upper one: what is refused must rather be too much than too little.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Refuses a deadline that the medians alone exceed.
pub(super) fn check_possible(warm_up: &WarmUp, deadline: Deadline) -> Result<(), PipelineError> {
    let WarmUp { purify, classify, slowest, .. } = *warm_up;
    if purify + classify <= deadline.get() {
        return Ok(());
    }
    let steps = slowest.max(purify + classify).as_nanos().div_ceil(ROUND_TO.as_nanos());
    let possible = ROUND_TO.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
    Err(PipelineError::DeadlineImpossible { deadline, purify, classify, possible })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    fn measured() -> WarmUp {
        let now = SimulatedClock::new().start();
        let purify = &mut [us(90_000), us(2000), us(2400), us(2100)];
        let classify = &mut [us(10_000), us(500), us(650), us(700)];
        summarize(purify, classify, now, now + us(108_350))
    }

    #[test]
    fn the_first_run_is_shown_but_in_no_median() {
        let expected = WarmUp {
            runs: 4,
            total: us(108_350),
            first: us(100_000),
            purify: us(2100),
            classify: us(650),
            slowest: us(3050),
        };
        assert_eq!(measured(), expected);
    }

    #[test]
    fn of_an_even_number_of_runs_the_upper_median_counts() {
        assert_eq!([2, 4].map(|runs| median(&mut [9, 2, 1, 30].map(us)[..runs])), [us(9), us(9)]);
        let now = SimulatedClock::new().start();
        let warmed = summarize(&mut [us(0), us(2000), us(9000)], &mut [us(0), us(100), us(100)], now, now);
        assert!(check_possible(&warmed, Deadline::new(us(2100)).unwrap()).is_err());
    }

    #[test]
    fn an_impossible_deadline_is_refused_with_the_one_that_is_possible() {
        assert!(check_possible(&measured(), Deadline::new(us(2750)).unwrap()).is_ok());
        let text = check_possible(&measured(), Deadline::new(us(2749)).unwrap()).unwrap_err().to_string();
        assert_eq!(
            text,
            "a deadline of 2.749ms is impossible on this machine: warmed up, the purifier takes 2.1ms and the classifier \
             650.0µs (medians) of every frame; 3.1ms would be possible here: give `--deadline` at least that, or `--force` \
             to run anyway"
        );
    }
}
