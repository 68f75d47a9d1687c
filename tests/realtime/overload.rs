//! What becomes of frames that cannot be purified in time: nobody gets a raw frame who has not asked for it.

use std::time::Duration;

use crate::lockstep::{letters, play};
use puvae::pipeline::{OnUnpurified, Outcome, PipelineConfig, Summary};

/// The purifier takes six times the deadline, for ever.
const OVERLOAD: &str = "slow@1+1000x300ms";

fn played(faults: &str, on_unpurified: OnUnpurified) -> (Vec<Outcome>, Summary) {
    play(faults, 60, PipelineConfig { on_unpurified, ..PipelineConfig::default() })
}

#[test]
fn under_overload_no_raw_frame_is_classified() {
    for policy in [OnUnpurified::Drop, OnUnpurified::Hold] {
        let (outcomes, summary) = played(OVERLOAD, policy);
        assert!(outcomes.iter().flat_map(|outcome| &outcome.verdicts).all(|verdict| verdict.purified));
        assert_eq!((summary.unpurified, summary.ledger.on_time), (0, 1), "{policy:?}");
    }
}

#[test]
fn flagged_frames_are_in_time_and_say_that_they_are_raw() {
    let (outcomes, summary) = played(OVERLOAD, OnUnpurified::Flag);
    // Frame 1 shows that the purifier is slow, 2 and 3 grow too old meanwhile. It is tried again after 1, 2, 4 … frames.
    let tried = |after: usize| format!("{}EEE", "O".repeat(after));
    assert_eq!(letters(&outcomes), [1, 1, 2, 4, 8, 16].map(tried).concat() + &"O".repeat(10));
    for outcome in &outcomes {
        let raw = outcome.verdict().map(|verdict| !verdict.purified);
        assert_eq!(raw, (outcome.fate.as_str() == "on_time").then_some(outcome.frame.0 > 0), "{outcome:?}");
        assert!(outcome.verdict().is_none_or(|verdict| verdict.score.is_none() && !verdict.suspect));
    }
    assert_eq!(summary.unpurified, 41);
}

#[test]
fn a_hiccup_lets_one_raw_frame_by() {
    let (outcomes, summary) = played("slow@2+1x300ms", OnUnpurified::Flag);
    assert_eq!(letters(&outcomes), format!("OOEEE{}", "O".repeat(55)));
    let raw = outcomes.iter().filter(|outcome| outcome.verdict().is_some_and(|verdict| !verdict.purified));
    assert_eq!(raw.map(|outcome| outcome.frame.0).collect::<Vec<_>>(), [5]);
    assert_eq!(summary.unpurified, 1);
}

#[test]
fn without_overload_flag_purifies_everything() {
    let (outcomes, summary) = played("resize@2+1", OnUnpurified::Flag);
    assert!(outcomes.iter().all(|outcome| outcome.verdict().is_some_and(|verdict| verdict.purified)));
    assert_eq!(summary.unpurified, 0);
}

#[test]
fn a_held_verdict_is_the_newest_one_with_its_age() {
    let (outcomes, summary) = played("slow@2+1x300ms,lose@7+1", OnUnpurified::Hold);
    assert!(letters(&outcomes).starts_with("OOEEEOOdOO"));
    let held = |frame: usize| outcomes[frame].held.as_ref().map(|held| (held.frame.0, held.age.as_millis()));
    // Frame 1 was captured at 100 ms; the fates of frames 2 to 4 are decided at 500 ms.
    for (frame, expected) in [(1, None), (2, Some((1, 400))), (4, Some((1, 400))), (5, None)] {
        assert_eq!(held(frame), expected, "frame {frame}");
    }
    // Known when frame 8 comes, 200 ms after frame 6.
    assert_eq!(held(7), Some((6, 200)));
    assert_eq!(outcomes[7].held.as_ref().unwrap().verdicts, outcomes[6].verdicts);
    assert_eq!(summary.ledger.on_time, 56, "a held verdict is a miss all the same");
}

#[test]
fn the_age_of_the_newest_verdict_is_not_made_younger_by_holding() {
    let age = |policy| played(OVERLOAD, policy).1.latency[puvae::latency::Stage::Age].max();
    assert_eq!(age(OnUnpurified::Hold), age(OnUnpurified::Drop));
    assert!(age(OnUnpurified::Hold).unwrap() > Duration::from_secs(5));
}
