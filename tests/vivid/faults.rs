//! Faults while frames flow, at the level of the source.

use std::time::Duration;

use puvae::clock::StopFlag;
use puvae::frame::PixelFormat;
use puvae::source::{FrameFault, Next};

use crate::device::{CAMERA, Fault, Vivid, broken, error, exposed_between, feed, frame, frames, now, open};

/// The same device through nokhwa.
const NOKHWA: &str = "camera:0?size=320x180&fps=30&format=yuyv&backend=nokhwa";

#[test]
#[ignore = "needs vivid"]
fn a_frame_that_the_driver_marks_is_broken_and_has_a_number() {
    let vivid = Vivid::healthy();
    let mut source = open(CAMERA);
    let before = frames(&mut *source, 5).pop().unwrap();
    vivid.order(Fault::Marked, 1);
    let marked = (0..10).find_map(|_| broken(&mut *source)).expect("one frame is marked");
    assert_eq!(marked.reason, FrameFault::Marked);
    assert!(marked.capture.id > before.capture.id && marked.capture.at > before.capture.at);
    let after = frame(&mut *source);
    assert_eq!(after.capture.id.0, marked.capture.id.0 + 1 + after.capture.lost);
}

#[test]
#[ignore = "needs vivid"]
fn a_stalled_camera_is_waited_for_in_short_steps_and_goes_on_by_itself() {
    let vivid = Vivid::healthy();
    let mut source = open(CAMERA);
    let before = frames(&mut *source, 5).pop().unwrap();
    vivid.order(Fault::Dropped, 100);
    let (mut nothing, stalled) = (0, now());
    while now() - stalled < Duration::from_millis(1500) {
        let asked = now();
        match source.next(&StopFlag::new()).unwrap() {
            Next::Nothing => nothing += 1,
            // What was there already.
            Next::Frame(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(now() - asked < Duration::from_millis(400), "{:?}", now() - asked);
    }
    vivid.order(Fault::Dropped, 0);
    let after = frame(&mut *source);
    println!("{nothing} times nothing, then frame {} with {} lost before it", after.capture.id, after.capture.lost);
    assert!(nothing >= 5, "{nothing}");
    let exposed = exposed_between(before.capture.at, after.capture.at);
    assert!((exposed - (after.capture.id.0 - before.capture.id.0) as f64).abs() < 1.0, "{exposed}");
}

#[test]
#[ignore = "needs vivid"]
fn a_camera_that_is_unplugged_ends_and_is_there_again_when_it_is_plugged_in() {
    for uri in [CAMERA, NOKHWA] {
        let vivid = Vivid::healthy();
        let feed = feed(uri, PixelFormat::Gray8).unwrap();
        let mut source = feed.source;
        frames(&mut *source, 5);
        let unplugged = now();
        vivid.order(Fault::Disconnect, 1);
        let text = error(&mut *source);
        println!("{uri}: told {:?} after it was unplugged: {text}", now() - unplugged);
        assert!(text.contains("the camera gives no more frames: ") && text.contains("No such device"), "{text}");
        assert!(now() - unplugged < Duration::from_secs(1));
        assert!(matches!(source.next(&StopFlag::new()), Ok(Next::End)), "it is over");
        // The device comes back when nobody holds it any more.
        drop((source, vivid));
        let mut source = feed.reopen.unwrap()(0).unwrap();
        assert_eq!(frame(&mut *source).capture.id.0, 0, "it counts from 0 again");
    }
}

#[test]
#[ignore = "needs vivid"]
fn a_stream_that_the_driver_ends_is_told_and_can_be_opened_again() {
    let vivid = Vivid::healthy();
    let feed = feed(CAMERA, PixelFormat::Gray8).unwrap();
    let mut source = feed.source;
    frames(&mut *source, 5);
    vivid.order(Fault::Fatal, 1);
    let text = error(&mut *source);
    assert!(text.starts_with("/dev/video0: the camera gives no more frames: Input/output error"), "{text}");
    drop(source);
    assert_eq!(frame(&mut *feed.reopen.unwrap()(0).unwrap()).capture.id.0, 0);
}

#[test]
#[ignore = "needs vivid"]
fn nokhwa_gives_the_same_pictures() {
    let _vivid = Vivid::healthy();
    let through_nokhwa = frames(&mut *open(NOKHWA), 20).pop().unwrap();
    assert_eq!((through_nokhwa.capture.id.0, through_nokhwa.capture.lost), (19, 0), "it knows nothing of losses");
    let direct = frame(&mut *open(CAMERA));
    // Below the words and the clock that vivid writes over its test pattern.
    let lower = 160 * 320;
    assert_eq!(through_nokhwa.pixels[lower..], direct.pixels[lower..]);
}
