//! What must be true of a parser's answer, whatever the bytes are.
//!
//! One function for each fuzz target; `tests/seeds.rs` calls them with every seed, so that what was found once stays found.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use puvae::clock::{SimulatedClock, StopFlag};
use puvae::config::{Config, TextError};
use puvae::frame::PixelFormat;
use puvae::idx;
use puvae::model::external::weights_outside;
use puvae::model::metadata::with_spec;
use puvae::model::spec::ModelSpec;
use puvae::preprocess::Region;
use puvae::report::compare::{Comparison, Run};
use puvae::report::{Report, html, table};
use puvae::source::camera::mjpeg;
use puvae::source::camera::raw::{self, Layout};
use puvae::source::{FrameFault, Next, RawVideo, SourceError, SourceOptions, SourceUri, open_raw};

/// Bytes before the first picture or label of an IDX file.
const IMAGES_HEADER: usize = 16;
const LABELS_HEADER: usize = 8;

/// IDX files, plain and gzip: as many bytes as the header says, and the same pictures however they are packed.
pub fn idx(data: &[u8]) {
    let path = Path::new("data");
    if data.starts_with(&[0x1F, 0x8B]) {
        return packed_idx(data, path);
    }
    let images = idx::images_from(data, path);
    if let Ok(images) = &images {
        assert_eq!(images.pixels.len(), images.count * images.height * images.width);
        assert_eq!(&images.pixels, &data[IMAGES_HEADER..]);
        if images.count > 0 {
            assert_eq!(images.get(images.count - 1).len(), images.height * images.width);
        }
        assert_eq!(&idx::images_from(pack(data).as_slice(), path).expect("what is read plain is read packed"), images);
    }
    if let Ok(labels) = idx::labels_from(data, path) {
        assert!(images.is_err(), "a file of images and of labels");
        assert_eq!(&labels, &data[LABELS_HEADER..]);
    }
}

fn packed_idx(data: &[u8], path: &Path) {
    if let Ok(packed) = idx::images_from(data, path) {
        assert_eq!(packed, idx::images_from(unpack(data).as_slice(), path).expect("what is read packed is read plain"));
    }
    if let Ok(packed) = idx::labels_from(data, path) {
        assert_eq!(packed, &unpack(data)[LABELS_HEADER..]);
    }
}

fn pack(data: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(data).and_then(|()| packer.finish()).expect("memory takes all bytes")
}

fn unpack(data: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(data).read_to_end(&mut unpacked).expect("it was unpacked before");
    unpacked
}

/// Raw frames: as many as there are bytes for, one behind the other, and a rest is never a frame.
///
/// The first three bytes say the form, the others are what is read.
pub fn stdin(data: &[u8]) {
    let Some((&[width, height, colour], bytes)) = data.split_first_chunk() else { return };
    let format = if colour % 2 == 0 { PixelFormat::Gray8 } else { PixelFormat::Rgb8 };
    let form = RawVideo { width: 1 + usize::from(width % 24), height: 1 + usize::from(height % 24), format };
    // What a pipe takes without anybody who reads.
    let bytes = &bytes[..bytes.len().min(32 << 10)];
    let (reader, mut writer) = std::io::pipe().expect("a process may open a pipe");
    writer.write_all(bytes).expect("a pipe takes that much");
    drop(writer);
    let clock = Arc::new(SimulatedClock::new());
    let mut source =
        open_raw(reader.into(), form, &SourceOptions::default(), clock).expect("nothing is asked of it").source;
    let whole = form.width * form.height * format.channels();
    let mut frames = bytes.chunks_exact(whole);
    for (id, expected) in frames.by_ref().enumerate() {
        let Ok(Next::Frame(frame)) = source.next(&StopFlag::new()) else { panic!("no frame {id}") };
        assert_eq!((frame.capture.id.0, frame.capture.lost, &frame.pixels[..]), (id as u64, 0, expected));
        assert_eq!((frame.width, frame.height, frame.format), (form.width, form.height, format));
    }
    match (source.next(&StopFlag::new()), frames.remainder().len()) {
        (Ok(Next::End), 0) => {}
        (Err(SourceError::StdinCutOff { got, expected, .. }), rest) => assert_eq!((got, expected), (rest, whole)),
        (other, rest) => panic!("{other:?} with {rest} bytes left"),
    }
}

/// Sides of the pictures of [`mjpeg`].
const JPEG: (usize, usize) = (24, 16);

/// JPEG pictures of a camera: whole, or refused; never with anything in it that was there before.
pub fn mjpeg(data: &[u8]) {
    for format in [PixelFormat::Gray8, PixelFormat::Rgb8] {
        let bytes = JPEG.0 * JPEG.1 * format.channels();
        same_whatever_was_there(bytes, |pixels| mjpeg::decode(data, JPEG, format, pixels));
    }
}

/// Uncompressed pictures of a camera. The first three bytes say how it lies in memory.
pub fn raw(data: &[u8]) {
    let Some((&[width, height, stride], bytes)) = data.split_first_chunk() else { return };
    let layout = Layout { width: (width % 40).into(), height: (height % 20).into(), stride: stride.into() };
    let pixels = layout.width * layout.height;
    same_whatever_was_there(pixels, |into| raw::grey(bytes, layout, into));
    same_whatever_was_there(pixels, |into| raw::yuyv_to_grey(bytes, layout, into));
    same_whatever_was_there(3 * pixels, |into| raw::yuyv_to_rgb(bytes, layout, into));
}

fn same_whatever_was_there(bytes: usize, decode: impl Fn(&mut Vec<u8>) -> Result<(), FrameFault>) {
    let [over_black, over_white] =
        [vec![0; 3], vec![255; bytes + 1]].map(|mut pixels| decode(&mut pixels).map(|()| pixels));
    if let Ok(pixels) = &over_black {
        assert_eq!(pixels.len(), bytes);
    }
    assert_eq!(over_black, over_white);
}

/// Model specs: what is written is what is read back.
pub fn spec(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(spec) = ModelSpec::from_json(text) {
        let json = spec.to_json();
        assert!(!json.contains('\n'));
        assert_eq!(ModelSpec::from_json(&json).expect("a spec that was accepted is accepted again"), spec);
    }
}

/// Source URIs and regions: what is shown names the same.
pub fn uri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(uri) = text.parse::<SourceUri>() {
        assert_eq!(uri.to_string().parse(), Ok(uri));
    }
    if let Ok(region) = text.parse::<Region>() {
        assert_eq!(region.to_string().parse(), Ok(region));
    }
}

/// Configuration files: unknown keys are unknown and in the line that is named; what is read is what is written.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match text.parse::<Config>() {
        Ok(config) => {
            let written = toml::to_string(&config).expect("a configuration has plain values only");
            let again: Config = written.parse().expect("what is written is a configuration");
            // As text: NaN is no frame rate, but it is a number in TOML.
            assert_eq!(format!("{again:?}"), format!("{config:?}"));
            drop(config.check());
        }
        Err(TextError::UnknownKeys(unknown)) => {
            assert!(!unknown.is_empty());
            let (keys, lines) = (Config::keys(), text.split('\n').count());
            for unknown in unknown {
                assert!(!keys.contains(&unknown.key) && (1..=lines).contains(&unknown.line), "{unknown:?}");
                assert!(unknown.nearest.is_none_or(|nearest| keys.contains(&nearest)));
            }
        }
        Err(error) => assert!(error.to_string().contains("correct the file")),
    }
}

/// ONNX files, the outermost layer and the way to their tensors: a spec that is put in changes nothing else.
pub fn onnx(data: &[u8]) {
    let outside = weights_outside(data);
    let [one, other] = ["one", "other"].map(named);
    if let Some(with_one) = with_spec(data, &one) {
        assert_eq!(weights_outside(&with_one), outside);
        let with_other = with_spec(&with_one, &other).expect("it was a message before");
        assert_eq!(with_other, with_spec(data, &other).expect("it was a message before"), "the spec is replaced");
    }
}

fn named(architecture: &str) -> ModelSpec {
    let spec = format!(
        r#"{{"version":1,"role":"classifier","input":{{"channels":1,"height":2,"width":2}},"classes":["a","b"],
        "provenance":{{"architecture":"{architecture}","dataset":"","config":{{}},"seed":0,"crate_version":"0"}}}}"#
    );
    ModelSpec::from_json(&spec).expect("the text above is a spec")
}

/// Reports: what is read can be shown in every form.
pub fn report(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(report) = Report::from_json(text) {
        assert!(!table::render(&report).is_empty());
        assert!(html::render(&report).contains("</html>"));
        let run = Run { path: "a.json".into(), report };
        let comparison = Comparison::new(vec![run.clone(), run]).expect("two can be compared");
        assert!(!comparison.to_table().is_empty());
        assert!(comparison.to_html().contains("</html>"));
    }
}
