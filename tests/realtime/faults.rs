//! Every frame's fate under every fault that the synthetic source can play.

use crate::lockstep::{letters, play};
use puvae::pipeline::{CaptureCounters, PipelineConfig, Summary};

/// Eight frames.
fn played(faults: &str) -> (String, Summary) {
    let (outcomes, summary) = play(faults, 8, PipelineConfig::default());
    (letters(&outcomes), summary)
}

#[test]
fn every_frame_meets_the_fate_that_the_fault_gives_it() {
    for (faults, fates) in [
        // Frames 2 to 4 never came.
        ("lose@2+3", "OOdddOOO"),
        // The last ones, and those before the device went: no frame comes that could tell of them.
        ("lose@5+10", "OOOOOddd"),
        ("lose@1+2,unplug@3+50ms", "OddOOOO"),
        // Those due at 200, 300, 400 and 500 ms are lost; the one at 600 ms comes.
        ("stall@2+350ms", "OOddddOO"),
        ("block@2+350ms", "OOddddOO"),
        // Gone from 200 to 450 ms, and opened again at 500 ms: what was due meanwhile was never captured.
        ("unplug@2+250ms", "OOOOO"),
        // Frames 2 and 3 come with frame 4, which is 100 and 200 ms after they were captured.
        ("burst@2+3", "OOEEOOOO"),
        // Stamped with the time of frame 1.
        ("duplicate@2+2", "OOEEOOOO"),
        // Stamped 30 ms before frame 1, believed to be as old as frame 1.
        ("backward@2+30ms", "OOEOOOOO"),
        ("resize@2+2", "OOOOOOOO"),
        ("corrupt@2+2", "OOffOOOO"),
        ("marked@2+2", "OOffOOOO"),
        // 120 ms for frame 2, which then is not classified any more; frame 3 waited 20 ms of its 50.
        ("slow@2+1x120ms", "OOEOOOOO"),
        // Until 500 ms: frames 3 and 4 are too old by then.
        ("slow@2+1x300ms", "OOEEEOOO"),
        // Everything together.
        ("lose@1+1,corrupt@3+1,unplug@4+10ms,burst@6+2", "OdOfOEO"),
    ] {
        for _ in 0..3 {
            assert_eq!(played(faults).0, fates, "{faults}");
        }
    }
}

#[test]
fn what_happened_to_the_capture_is_counted() {
    let counted = |faults: &str| played(faults).1.capture;
    let plain = CaptureCounters { captured: 8, ..CaptureCounters::default() };
    assert_eq!(counted("resize@0+1"), plain);
    assert_eq!(counted("lose@2+3"), CaptureCounters { lost: 3, ..plain });
    assert_eq!(counted("marked@2+2"), CaptureCounters { broken: 2, ..plain });
    assert_eq!(counted("backward@2+30ms"), CaptureCounters { stamps_corrected: 1, ..plain });
    // The second error is the first try to open it again, 100 ms after it went.
    let unplugged = CaptureCounters { captured: 5, errors: 2, recovered: 1, ..plain };
    assert_eq!(counted("unplug@2+250ms"), unplugged);
}

#[test]
fn broken_frames_are_faults_with_their_reason() {
    for (faults, words) in [
        ("marked@2+2", "the capture stage failed on frame 2: the driver marked the frame as faulty"),
        ("corrupt@2+2", "the capture stage failed on frame 2: the frame could not be decoded: "),
    ] {
        let faults = played(faults).1.faults.unwrap();
        assert!(faults.frames == 2 && faults.first.starts_with(words), "{faults:?}");
    }
}
