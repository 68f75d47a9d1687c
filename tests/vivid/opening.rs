//! Finding, choosing and opening.

use puvae::frame::PixelFormat;
use puvae::source::camera::{self, CameraFormat, Rate};

use crate::device::{CAMERA, Fault, Vivid, feed, frame, open, refusal};

#[test]
#[ignore = "needs vivid"]
fn cameras_are_listed_with_their_formats_sizes_and_rates() {
    let cameras = camera::list().unwrap();
    let names: Vec<_> = cameras.iter().map(|camera| camera.device.to_string()).collect();
    assert_eq!(names, ["0", "1"]);
    for camera in cameras {
        assert!(camera.name.contains("vivid"), "{}", camera.name);
        let offers = camera.offers.unwrap();
        let has = |format, size, rate| {
            let rate = Rate::new(rate).unwrap();
            let mut of_it = offers.iter().filter(|offer| (offer.format, offer.size) == (format, size));
            of_it.any(|offer| offer.intervals.iter().any(|interval| interval.rate() == rate))
        };
        assert!(has(CameraFormat::Yuyv, (320, 180), 30.0) && has(CameraFormat::Grey, (320, 180), 12.5));
        assert!(!offers.iter().any(|offer| offer.format == CameraFormat::Mjpeg), "vivid has none");
    }
}

#[test]
#[ignore = "needs vivid"]
fn what_another_program_left_behind_does_not_matter() {
    let vivid = Vivid::healthy();
    for (fourcc, interval) in [(b"GREY", (2, 25)), (b"RGB3", (1, 15))] {
        vivid.leave(fourcc, interval);
        let frame = frame(&mut *open(CAMERA));
        assert_eq!((frame.width, frame.height, frame.format), (320, 180, PixelFormat::Gray8));
    }
}

#[test]
#[ignore = "needs vivid"]
fn without_a_wish_the_usual_is_taken() {
    let _vivid = Vivid::healthy();
    let frame = frame(&mut *open("camera:0"));
    assert_eq!((frame.width, frame.height, frame.format), (640, 480, PixelFormat::Gray8));
}

#[test]
#[ignore = "needs vivid"]
fn what_the_camera_cannot_do_is_answered_with_what_it_can() {
    let _vivid = Vivid::healthy();
    let text = refusal("camera:0?size=320x180&fps=77");
    assert!(text.starts_with("/dev/video0: the camera has no 320x180 at 77 frames/s, expected one of\n"), "{text}");
    assert!(text.contains("\n  yuyv 320x180 at 1, 2, 4, 5, 10, 12.5, 15, 25, 30"), "{text}");
    let text = refusal("camera:0?format=mjpeg");
    assert!(text.contains("the camera has no mjpeg, expected one of\n"), "{text}");
}

#[test]
#[ignore = "needs vivid"]
fn what_is_no_camera_is_named() {
    let text = refusal("camera:7");
    assert!(text.starts_with("/dev/video7: cannot open the camera: No such file or directory"), "{text}");
    assert!(text.ends_with("`puvae cameras` lists the cameras there are"), "{text}");
    let text = refusal("camera:/dev/null");
    assert!(text.starts_with("/dev/null: no camera: the device offers no pictures"), "{text}");
}

#[test]
#[ignore = "needs vivid"]
fn a_camera_that_another_program_uses_is_left_to_it() {
    let _vivid = Vivid::healthy();
    let mut first = open(CAMERA);
    frame(&mut *first);
    let text = refusal(CAMERA);
    assert!(text.contains("the driver refused to") && text.contains("close the other program"), "{text}");
    frame(&mut *first);
    drop(first);
    frame(&mut *open(CAMERA));
}

#[test]
#[ignore = "needs vivid"]
fn a_refused_step_is_named_and_the_camera_can_be_opened_again() {
    let vivid = Vivid::healthy();
    vivid.order(Fault::Buffers, 1);
    let text = refusal(CAMERA);
    assert!(text.starts_with("/dev/video0: the driver refused to give buffers: "), "{text}");
    for (fault, step) in [(Fault::Queue, "take a buffer"), (Fault::Start, "start streaming")] {
        let feed = feed(CAMERA, PixelFormat::Gray8).unwrap();
        let mut source = feed.source;
        vivid.order(fault, 1);
        let text = crate::device::error(&mut *source);
        assert!(text.starts_with(&format!("/dev/video0: the driver refused to {step}: ")), "{text}");
        drop(source);
        assert_eq!(frame(&mut *feed.reopen.unwrap()(0).unwrap()).capture.id.0, 0);
    }
}
