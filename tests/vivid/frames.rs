//! What is in the frames, and that none is unaccounted for.

use std::sync::Arc;
use std::time::Duration;

use puvae::clock::{StopFlag, SystemClock};
use puvae::frame::{PixelFormat, StampSource};
use puvae::source::{Next, Pacing, Source, SourceOptions};
use stats_alloc::Region;

use crate::ALLOCATOR;
use crate::conformance::conforms;
use crate::device::{CAMERA, Fault, Vivid, exposed_between, feed, frame, frames, now, open};

/// Reads `count` frames: their numbers, what was lost, and the time of their stamps must tell the same story.
fn accounted(source: &mut dyn Source, count: usize) -> u64 {
    let frames = frames(source, count);
    let (first, last) = (&frames[0], &frames[count - 1]);
    assert_eq!((first.capture.id.0, first.capture.lost), (0, 0));
    for pair in frames.windows(2) {
        assert_eq!(pair[1].capture.id.0, pair[0].capture.id.0 + 1 + pair[1].capture.lost);
        assert!(pair[0].capture.at <= pair[1].capture.at);
    }
    for frame in &frames {
        assert_eq!(frame.capture.stamp_source, StampSource::Driver);
        assert!(frame.capture.at <= frame.dequeued_at && frame.dequeued_at <= now());
    }
    let lost: u64 = frames.iter().map(|frame| frame.capture.lost).sum();
    let (exposed, counted) = (exposed_between(first.capture.at, last.capture.at), last.capture.id.0 as f64);
    println!("{count} frames, {lost} lost; {exposed:.2} intervals by the stamps, {counted} by the numbers");
    assert!((exposed - counted).abs() < 1.0, "{exposed} frames by the stamps, {counted} by the numbers");
    lost
}

#[test]
#[ignore = "needs vivid"]
fn at_thirty_frames_a_second_none_is_unaccounted_for() {
    let _vivid = Vivid::healthy();
    let mut source = open(CAMERA);
    assert_eq!(source.pacing(), Pacing::Live);
    let lost = accounted(&mut *source, 150);
    // A busy machine may lose some; all of them are counted.
    assert!(lost <= 75, "{lost} frames were lost, although nobody ordered that");
}

#[test]
#[ignore = "needs vivid"]
fn a_camera_keeps_to_what_every_source_must() {
    let vivid = Vivid::healthy();
    for (backend, lossy) in [("system", true), ("nokhwa", false)] {
        let options = SourceOptions { frames: Some(60), ..SourceOptions::default() };
        let uri = format!("{CAMERA}&backend={backend}").parse().unwrap();
        let mut source = puvae::source::open(&uri, &options, Arc::new(SystemClock)).unwrap().source;
        vivid.order(Fault::Dropped, if lossy { 30 } else { 0 });
        assert!(conforms(&mut *source, now), "{backend} came to its end");
    }
}

#[test]
#[ignore = "needs vivid"]
fn frames_cost_no_allocations() {
    let _vivid = Vivid::healthy();
    for pixels in [PixelFormat::Gray8, PixelFormat::Rgb8] {
        let mut source = feed(CAMERA, pixels).unwrap().source;
        frames(&mut *source, 5);
        let (stop, region) = (StopFlag::new(), Region::new(ALLOCATOR));
        let came = (0..100).filter(|_| matches!(source.next(&stop), Ok(Next::Frame(_)))).count();
        assert!(came >= 50, "{came} frames");
        assert_eq!(region.change().allocations, 0, "{pixels:?}");
    }
}

#[test]
#[ignore = "needs vivid"]
fn half_of_the_frames_lost_in_the_driver_are_counted_exactly() {
    let vivid = Vivid::healthy();
    vivid.order(Fault::Dropped, 50);
    let lost = accounted(&mut *open(CAMERA), 100);
    assert!((60..=300).contains(&lost), "{lost}");
}

/// A row of the test pattern below the words that vivid writes over it.
const ROW: usize = 170;

#[test]
#[ignore = "needs vivid"]
fn the_test_pattern_comes_in_grey_and_in_colour() {
    let _vivid = Vivid::healthy();
    let picture = |uri: &str, pixels| frame(&mut *feed(uri, pixels).unwrap().source);
    // Colour bars: from left to right white, yellow, cyan, green, magenta, red, blue, black.
    let colour = picture(CAMERA, PixelFormat::Rgb8);
    assert_eq!((colour.format, colour.pixels.len()), (PixelFormat::Rgb8, 320 * 180 * 3));
    let bar = |number: usize| {
        let at = (ROW * 320 + number * 40 + 20) * 3;
        <[u8; 3]>::try_from(&colour.pixels[at..at + 3]).unwrap().map(|channel| channel > 96)
    };
    let (on, off) = (true, false);
    assert_eq!(bar(1), [on, on, off], "yellow");
    assert_eq!(bar(2), [off, on, on], "cyan");
    assert_eq!(bar(5), [on, off, off], "red");
    assert_eq!(bar(6), [off, off, on], "blue");
    for uri in [CAMERA, "camera:0?size=320x180&fps=30&format=grey"] {
        let grey = picture(uri, PixelFormat::Gray8);
        assert_eq!((grey.format, grey.pixels.len()), (PixelFormat::Gray8, 320 * 180));
        let bar = |number: usize| grey.pixels[ROW * 320 + number * 40 + 20];
        assert!((1..7).all(|number| bar(number) > bar(number + 1)), "{uri}: bars are in the order of their brightness");
    }
    let grey = picture("camera:0?size=320x180&fps=30&format=grey", PixelFormat::Rgb8);
    assert_eq!(grey.format, PixelFormat::Gray8, "a grey camera has no colours to give");
}

#[test]
#[ignore = "needs vivid"]
fn a_stamp_from_the_future_is_replaced() {
    let vivid = Vivid::healthy();
    vivid.stamp_at_end(true);
    let mut source = open(CAMERA);
    for frame in frames(&mut *source, 10) {
        assert_eq!((frame.capture.stamp_source, frame.capture.at), (StampSource::Dequeue, frame.dequeued_at));
    }
    vivid.stamp_at_end(false);
}

#[test]
#[ignore = "needs vivid"]
fn after_a_pause_nothing_old_is_given() {
    let _vivid = Vivid::healthy();
    let mut source = open(CAMERA);
    frames(&mut *source, 5);
    std::thread::sleep(Duration::from_secs(1));
    let frame = frame(&mut *source);
    let age = now() - frame.capture.at;
    println!("{} frames were let go, the next is {age:?} old", frame.capture.lost);
    assert!(age < Duration::from_millis(500), "{age:?}");
    assert!(frame.capture.lost >= 20, "{}", frame.capture.lost);
}

#[test]
#[ignore = "needs vivid"]
fn a_limit_holds_over_all_openings_and_stopping_is_final() {
    let _vivid = Vivid::healthy();
    let options = SourceOptions { frames: Some(12), ..SourceOptions::default() };
    let clock = Arc::new(SystemClock);
    let feed = puvae::source::open(&CAMERA.parse().unwrap(), &options, clock).unwrap();
    let mut source = feed.source;
    assert_eq!(source.frames(), Some(12));
    let before = frames(&mut *source, 5).last().unwrap().capture.id.0 + 1;
    drop(source);
    let mut source = feed.reopen.unwrap()(before).unwrap();
    let mut after = 0;
    while let Next::Frame(frame) = crate::device::something(&mut *source).unwrap() {
        after = frame.capture.id.0 + 1;
    }
    assert!(before + after <= 12 && after > 0, "{before} and {after}");
    drop(source);
    let mut source = open(CAMERA);
    frame(&mut *source);
    let stop = StopFlag::new();
    stop.set();
    assert!(matches!(source.next(&stop), Ok(Next::End)));
    assert!(matches!(source.next(&StopFlag::new()), Ok(Next::End)));
}
