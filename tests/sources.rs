//! One suite that every source must pass, and what each refuses.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

#[path = "support/conformance.rs"]
mod conformance;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use conformance::conforms;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, GrayImage, ImageEncoder as _, RgbImage, RgbaImage};
use puvae::clock::{Clock, SimulatedClock, StopFlag, SystemClock};
use puvae::frame::{Frame, FrameId, PixelFormat, StampSource};
use puvae::source::{self, Next, Pacing, RawVideo, Source, SourceError, SourceOptions};
use tempfile::TempDir;

const FRAMES: usize = 12;

/// Twelve pictures in three folders, of several sizes, types and colours.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (class, name) in ["coat", "Bag", "dress"].into_iter().enumerate() {
        fs::create_dir(folder.path().join(name)).unwrap();
        for number in 0..4 {
            let file = |extension: &str| folder.path().join(name).join(format!("{number}.{extension}"));
            let side = 4 + number + class as u32;
            match number {
                0 => GrayImage::new(side, 5).save(file("png")).unwrap(),
                1 => RgbImage::new(side, 5).save(file("jpg")).unwrap(),
                2 => RgbaImage::new(side, 5).save(file("png")).unwrap(),
                _ => GrayImage::new(side, 5).save(file("pgm")).unwrap(),
            }
        }
    }
    fs::write(folder.path().join(".hidden"), "not a picture").unwrap();
    folder
}

fn idx_files(count: u8, labels: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 3];
    images.extend(0..count * 6);
    fs::write(folder.path().join("images"), images).unwrap();
    let header = [0, 0, 8, 1, 0, 0, 0, labels.len() as u8];
    fs::write(folder.path().join("labels"), [&header[..], labels].concat()).unwrap();
    folder
}

fn idx_uri(folder: &Path) -> String {
    format!("idx:{},{}", folder.join("images").display(), folder.join("labels").display())
}

fn open(uri: &str, options: &SourceOptions, clock: &SimulatedClock) -> Result<Box<dyn Source>, SourceError> {
    Ok(source::open(&uri.parse().unwrap(), options, Arc::new(clock.clone()))?.source)
}

fn refusal(uri: &str, options: &SourceOptions) -> String {
    open(uri, options, &SimulatedClock::new()).err().expect("the source is refused").to_string()
}

/// The next frame of a source that has no other kind of news; `None` at its end.
fn next_frame(source: &mut dyn Source, stop: &StopFlag) -> Option<Frame> {
    match source.next(stop).unwrap() {
        Next::Frame(frame) => Some(frame),
        Next::End => None,
        other => panic!("a file gives frames and an end, not {other:?}"),
    }
}

fn all(source: &mut dyn Source) -> Vec<Frame> {
    let stop = StopFlag::new();
    std::iter::from_fn(|| next_frame(source, &stop)).collect()
}

fn classes(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_string()).collect())
}

/// Runs `check` on each kind of source; all have 12 frames and 3 classes.
fn for_each_source(check: impl Fn(&str)) {
    let folder = folder();
    check(&format!("dir:{}", folder.path().display()));
    let idx = idx_files(12, &[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    check(&idx_uri(idx.path()));
    check("synthetic:9x7?classes=3&channels=3&frames=12");
}

#[test]
fn frames_are_numbered_whole_labelled_and_in_order_of_time() {
    for_each_source(|uri| {
        for fps in [None, Some(30.0)] {
            let clock = SimulatedClock::new();
            let names = classes(&["bag", "coat", "dress"]);
            let mut source = open(uri, &SourceOptions { fps, classes: names, ..Default::default() }, &clock).unwrap();
            let frames = all(&mut *source);
            assert_eq!(frames.len(), FRAMES, "{uri}");
            for (index, frame) in frames.iter().enumerate() {
                assert_eq!(frame.capture.id, FrameId(index as u64), "{uri}");
                assert_eq!(frame.pixels.len(), frame.width * frame.height * frame.format.channels(), "{uri}");
                assert!(frame.label.is_some_and(|label| label < 3), "{uri}");
            }
            assert!(frames.is_sorted_by_key(|frame| frame.capture.at), "{uri}");
            assert!(frames.iter().all(|frame| frame.capture.at >= clock.start()), "{uri}");
        }
    });
}

/// Sources that come at their own pace. Each says `None` or a broken frame now and then, and some fail and come back.
const LIVE: [&str; 5] = [
    "synthetic:9x7?classes=3&frames=12&faults=resize@3+1",
    "synthetic:9x7?classes=3&frames=12&faults=lose@3+2,stall@8+150ms",
    "synthetic:9x7?classes=3&frames=12&faults=marked@3+1,corrupt@5+2,burst@8+3",
    "synthetic:9x7?classes=3&frames=12&faults=unplug@4+50ms",
    "synthetic:9x7?classes=3&frames=12&faults=unplug@2+50ms,unplug@9+150ms,lose@0+1",
];

#[test]
fn a_live_source_explains_each_gap_and_comes_back_after_an_error() {
    for uri in LIVE {
        let clock = SimulatedClock::new();
        let options = SourceOptions { fps: Some(50.0), ..Default::default() };
        let mut feed = source::open(&uri.parse().unwrap(), &options, Arc::new(clock.clone())).unwrap();
        assert_eq!((feed.source.pacing(), feed.source.frames()), (Pacing::Live, Some(12)));
        while !conforms(&mut *feed.source, || clock.now()) {
            let reopen = feed.reopen.as_ref().expect("what can fail can be opened again");
            feed.source = loop {
                clock.advance(Duration::from_millis(10));
                match reopen(0) {
                    Ok(source) => break source,
                    Err(error) => {
                        assert_eq!(error.to_string(), "the synthetic camera was unplugged, as its script says")
                    }
                }
            };
        }
    }
}

#[test]
fn a_file_keeps_to_what_every_source_must() {
    for_each_source(|uri| {
        for fps in [None, Some(50.0)] {
            let clock = SimulatedClock::new();
            let mut source = open(uri, &SourceOptions { fps, ..Default::default() }, &clock).unwrap();
            assert!(conforms(&mut *source, || clock.now()), "{uri}");
        }
    });
}

#[test]
fn a_pipe_keeps_to_what_every_source_must() {
    let (from, mut into) = std::io::pipe().unwrap();
    let writer = std::thread::spawn(move || {
        for bytes in [&[1; 5][..], &[2; 70], &[3; 45]] {
            into.write_all(bytes).unwrap();
        }
    });
    let form = RawVideo { width: 5, height: 4, format: PixelFormat::Rgb8 };
    let mut feed = source::open_raw(from.into(), form, &SourceOptions::default(), Arc::new(SystemClock)).unwrap();
    assert!(conforms(&mut *feed.source, || SystemClock.now()));
    writer.join().unwrap();
}

#[test]
fn the_end_stays_the_end() {
    for_each_source(|uri| {
        let mut source = open(uri, &SourceOptions::default(), &SimulatedClock::new()).unwrap();
        all(&mut *source);
        assert!(all(&mut *source).is_empty(), "{uri}");
    });
}

#[test]
fn a_paced_source_stamps_frames_with_the_moment_they_were_due() {
    for_each_source(|uri| {
        let clock = SimulatedClock::new();
        let mut source = open(uri, &SourceOptions { fps: Some(8.0), ..Default::default() }, &clock).unwrap();
        assert_eq!(source.pacing(), Pacing::Paced);
        let stop = StopFlag::new();
        for index in 0..FRAMES as u32 {
            let frame = next_frame(&mut *source, &stop).unwrap();
            assert_eq!(frame.capture.at - clock.start(), Duration::from_millis(125) * index, "{uri}");
            assert_eq!(frame.capture.stamp_source, StampSource::Schedule);
            if index == 5 {
                clock.advance(Duration::from_millis(300)); // Nobody asks for two frames: they are late, and say so.
            }
        }
    });
}

#[test]
fn a_source_that_waits_stamps_frames_with_the_moment_they_were_taken() {
    for_each_source(|uri| {
        let clock = SimulatedClock::new();
        let mut source = open(uri, &SourceOptions::default(), &clock).unwrap();
        assert_eq!(source.pacing(), Pacing::Unpaced);
        clock.advance(Duration::from_millis(40));
        let frame = next_frame(&mut *source, &StopFlag::new()).unwrap();
        assert_eq!((frame.capture.at, frame.capture.stamp_source), (clock.now(), StampSource::Dequeue), "{uri}");
    });
}

#[test]
fn a_limit_ends_a_source_early_but_never_plays_it_twice() {
    for_each_source(|uri| {
        for (limit, expected) in [(5, 5), (100, FRAMES)] {
            let options = SourceOptions { frames: Some(limit), ..Default::default() };
            assert_eq!(all(&mut *open(uri, &options, &SimulatedClock::new()).unwrap()).len(), expected, "{uri}");
        }
    });
}

#[test]
fn a_source_tells_how_many_frames_it_will_give() {
    for_each_source(|uri| {
        let frames = |options| open(uri, &options, &SimulatedClock::new()).unwrap().frames();
        assert_eq!(frames(SourceOptions::default()), Some(FRAMES as u64), "{uri}");
        assert_eq!(frames(SourceOptions { frames: Some(5), ..Default::default() }), Some(5), "{uri}");
    });
    let endless = open("synthetic:", &SourceOptions::default(), &SimulatedClock::new()).unwrap();
    assert_eq!(endless.frames(), None);
}

#[test]
fn the_lowest_and_the_highest_rate_can_be_played() {
    for_each_source(|uri| {
        for fps in [source::LOWEST_FPS, source::HIGHEST_FPS] {
            let options = SourceOptions { fps: Some(fps), ..Default::default() };
            assert_eq!(all(&mut *open(uri, &options, &SimulatedClock::new()).unwrap()).len(), FRAMES, "{uri}");
        }
    });
}

#[test]
fn a_stopped_source_ends_for_good() {
    for_each_source(|uri| {
        let mut source = open(uri, &SourceOptions::default(), &SimulatedClock::new()).unwrap();
        let stop = StopFlag::new();
        stop.set();
        assert!(next_frame(&mut *source, &stop).is_none());
        assert!(next_frame(&mut *source, &StopFlag::new()).is_none(), "{uri}");
    });
}

#[test]
#[cfg(all(feature = "camera", target_os = "linux"))]
fn a_camera_that_is_not_there_is_named_before_the_run() {
    let text = refusal("camera:250", &SourceOptions::default());
    assert!(text.starts_with("/dev/video250: cannot open the camera: "), "{text}");
    assert!(text.ends_with("`puvae cameras` lists the cameras there are"), "{text}");
    let options = SourceOptions { frames: Some(0), ..Default::default() };
    assert!(refusal("camera:250", &options).starts_with("0 frames were asked for"));
}

#[test]
fn absurd_options_are_refused() {
    for_each_source(|uri| {
        for fps in [0.0, -1.0, 1e-20, 0.000_9, 10_001.0, f64::NAN, f64::INFINITY] {
            let text = refusal(uri, &SourceOptions { fps: Some(fps), ..Default::default() });
            assert!(text.contains("frames a second, expected 0.001 to 10000; leave --fps out"), "{text}");
        }
        let text = refusal(uri, &SourceOptions { frames: Some(0), ..Default::default() });
        assert!(text.starts_with("0 frames were asked for, expected at least 1"), "{text}");
    });
}

#[test]
#[cfg(unix)]
fn absurd_options_of_raw_frames_are_refused_too() {
    let form = RawVideo { width: 4, height: 4, format: PixelFormat::Gray8 };
    for (options, words) in [
        (SourceOptions { frames: Some(0), ..Default::default() }, "0 frames were asked for"),
        (SourceOptions { fps: Some(0.0), ..Default::default() }, "0 frames a second, expected 0.001 to 10000"),
        (SourceOptions { fps: Some(30.0), ..Default::default() }, "--fps was given, but frames on standard input"),
    ] {
        let (from, _to) = std::io::pipe().unwrap();
        let text = source::open_raw(from.into(), form, &options, Arc::new(SystemClock)).unwrap_err().to_string();
        assert!(text.starts_with(words), "{text}");
    }
}

#[test]
fn folders_name_the_classes_and_their_pictures_come_in_natural_order() {
    let folder = folder();
    let uri = format!("dir:{}", folder.path().display());
    let mut unnamed = open(&uri, &SourceOptions::default(), &SimulatedClock::new()).unwrap();
    let frames = all(&mut *unnamed);
    assert_eq!(
        frames.iter().map(|frame| frame.label.unwrap()).collect::<Vec<_>>(),
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    );
    assert_eq!(frames.iter().map(|frame| frame.width).collect::<Vec<_>>(), [5, 6, 7, 8, 4, 5, 6, 7, 6, 7, 8, 9]);
    let formats: Vec<_> = frames[..4].iter().map(|frame| frame.format).collect();
    assert_eq!(formats, [PixelFormat::Gray8, PixelFormat::Rgb8, PixelFormat::Rgb8, PixelFormat::Gray8]);
    let options = SourceOptions { classes: classes(&["dress", "coat", "bag"]), ..Default::default() };
    let frames = all(&mut *open(&uri, &options, &SimulatedClock::new()).unwrap());
    assert_eq!((frames[0].label, frames[11].label), (Some(2), Some(0)), "the classifier's order counts");
}

#[test]
fn pictures_are_turned_upright_as_their_exif_tag_says() {
    let folder = tempfile::tempdir().unwrap();
    // Upright: 2×3, counted from 1. Stored on its side, as phones do: "row 0 is the right-hand side" (orientation 6).
    let (upright, stored) = ([1_u8, 2, 3, 4, 5, 6], [2_u8, 4, 6, 1, 3, 5]);
    let rgb: Vec<u8> = stored.iter().flat_map(|&value| [value; 3]).collect();
    for (name, pixels, colour) in
        [("0.png", &stored[..], ExtendedColorType::L8), ("1.png", &rgb[..], ExtendedColorType::Rgb8)]
    {
        let mut encoder = PngEncoder::new(fs::File::create(folder.path().join(name)).unwrap());
        encoder.set_exif_metadata(exif_orientation(6)).unwrap();
        encoder.write_image(pixels, 3, 2, colour).unwrap();
    }
    GrayImage::from_raw(3, 2, stored.to_vec()).unwrap().save(folder.path().join("2.png")).unwrap();
    let uri = format!("dir:{}", folder.path().display());
    let frames = all(&mut *open(&uri, &SourceOptions::default(), &SimulatedClock::new()).unwrap());
    let sides: Vec<_> = frames.iter().map(|frame| (frame.width, frame.height)).collect();
    assert_eq!(sides, [(2, 3), (2, 3), (3, 2)], "the last has no tag");
    assert_eq!(frames[0].pixels[..], upright);
    assert!(frames[1].pixels.chunks(3).eq(upright.map(|value| [value; 3])));
    assert_eq!(frames[2].pixels[..], stored);
}

/// An EXIF block with nothing but an orientation: TIFF's header, and a directory of one entry of the tag 0x0112.
fn exif_orientation(orientation: u8) -> Vec<u8> {
    let header = [b"II".as_slice(), &[42, 0, 8, 0, 0, 0]].concat();
    let entry = [1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
    [header, entry.to_vec()].concat()
}

#[test]
fn a_folder_names_the_file_of_each_frame() {
    let folder = folder();
    GrayImage::new(4, 4).save(folder.path().join("zebra.png")).unwrap();
    let source =
        open(&format!("dir:{}", folder.path().display()), &SourceOptions::default(), &SimulatedClock::new()).unwrap();
    let files = source.files();
    assert_eq!(files.len(), FRAMES + 1);
    assert_eq!((files[0].as_str(), files[1].as_str()), ("zebra.png", "Bag/0.png"), "pictures beside the folders first");
    assert_eq!(files[FRAMES], "dress/3.pgm");
    assert!(open("synthetic:", &SourceOptions::default(), &SimulatedClock::new()).unwrap().files().is_empty());
}

#[test]
fn a_folder_that_is_no_class_is_refused_by_name() {
    let folder = folder();
    let options = SourceOptions { classes: classes(&["bag", "coat"]), ..Default::default() };
    let text = refusal(&format!("dir:{}", folder.path().display()), &options);
    assert!(
        text.contains("dress: the folder's name is no class of the classifier, expected one of bag, coat"),
        "{text}"
    );
    fs::create_dir(folder.path().join("0")).unwrap();
    let options = SourceOptions { classes: classes(&["bag", "coat", "dress"]), ..Default::default() };
    let text = refusal(&format!("dir:{}", folder.path().display()), &options);
    assert!(text.contains("0 and ") && text.contains("Bag both stand for class 0"), "{text}");
}

#[test]
fn a_folder_with_nothing_or_nothing_fitting_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("dir:{}", folder.path().display());
    assert!(refusal(&uri, &SourceOptions::default()).contains("no pictures in it, expected at least one"));
    fs::write(folder.path().join("notes.txt"), "notes").unwrap();
    let text = refusal(&uri, &SourceOptions::default());
    assert!(text.contains("notes.txt: not a picture of a known type, expected one of png, jpg"), "{text}");
    let text = refusal(&format!("{uri}/notes.txt"), &SourceOptions::default());
    assert!(text.contains("notes.txt: not a folder"), "{text}");
    let text = refusal(&format!("{uri}/missing"), &SourceOptions::default());
    assert!(text.contains("missing: cannot read"), "{text}");
}

#[test]
fn a_picture_with_a_broken_header_is_named_before_the_run() {
    let folder = folder();
    fs::write(folder.path().join("coat/2.png"), "no picture").unwrap();
    let text = refusal(&format!("dir:{}", folder.path().display()), &SourceOptions::default());
    assert!(text.contains("coat/2.png: broken picture: "), "{text}");
}

#[cfg(unix)]
#[test]
fn a_pipe_under_a_pictures_name_is_named_before_the_run() {
    let folder = folder();
    let pipe = folder.path().join("coat/4.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = refusal(&format!("dir:{}", folder.path().display()), &SourceOptions::default());
    assert!(text.contains("coat/4.png: not a regular file, expected a picture; remove it from the folder"), "{text}");
}

#[test]
fn a_picture_bomb_is_named_before_the_run() {
    let folder = folder();
    // A whole PNG header (grey, 8 bits) that claims 60000×60000 pixels, and no pixels.
    let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xea\x60\0\0\xea\x60\x08\0\0\0\0";
    let chunk = &header[12..];
    let bytes = [header, &crc32(chunk).to_be_bytes()[..], b"\0\0\0\0IDAT", &crc32(b"IDAT").to_be_bytes()].concat();
    fs::write(folder.path().join("coat/bomb.png"), bytes).unwrap();
    let text = refusal(&format!("dir:{}", folder.path().display()), &SourceOptions::default());
    assert!(
        text.contains("coat/bomb.png: 60000×60000 pixels take 3600000000 bytes, expected at most 268435456"),
        "{text}"
    );
}

/// The checksum of a PNG chunk (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_picture_that_was_cut_off_is_named_when_its_turn_comes() {
    let folder = folder();
    let path = folder.path().join("coat/0.png");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    let mut source =
        open(&format!("dir:{}", folder.path().display()), &SourceOptions::default(), &SimulatedClock::new()).unwrap();
    let stop = StopFlag::new();
    let mut broken = None;
    let frames = std::iter::from_fn(|| match source.next(&stop).unwrap() {
        Next::Frame(frame) => Some(frame.capture.id.0),
        Next::Broken(frame) => {
            broken = Some(frame.reason.to_string());
            Some(frame.capture.id.0)
        }
        _ => None,
    });
    assert!(frames.eq(0..12), "the others are played");
    let text = broken.expect("one picture is broken");
    assert!(text.contains("coat/0.png: broken picture: ") && !text.contains("cable"), "{text}");
}

#[test]
fn idx_files_that_do_not_fit_are_refused() {
    let idx = idx_files(2, &[1, 9]);
    let options = SourceOptions { classes: classes(&["a", "b", "c"]), ..Default::default() };
    let text = refusal(&idx_uri(idx.path()), &options);
    assert!(text.contains("labels: label 9 at position 1, expected labels below 3"), "{text}");
    let idx = idx_files(3, &[1, 1]);
    assert!(refusal(&idx_uri(idx.path()), &SourceOptions::default()).contains("holds 3 images"));
    let idx = idx_files(0, &[]);
    assert!(refusal(&idx_uri(idx.path()), &SourceOptions::default()).contains("no pictures in it"));
}

#[test]
fn a_synthetic_source_must_draw_the_classifiers_classes() {
    let options = SourceOptions { classes: classes(&["a", "b"]), ..Default::default() };
    let text = refusal("synthetic:9x9?classes=3", &options);
    assert_eq!(text, "the synthetic source has 3 classes, the classifier has 2; write `classes=2`");
}
