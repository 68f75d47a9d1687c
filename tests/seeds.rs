//! Every seed of the fuzz targets, and every input that once broke a parser, without a fuzzer.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

#[path = "../fuzz/checks.rs"]
pub mod checks;

use std::path::Path;

#[track_caller]
fn check(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "{}: no seeds", folder.display());
    for seed in seeds {
        println!("{}", seed.display());
        check(&std::fs::read(seed).unwrap());
    }
}

#[test]
fn idx_files_hold_what_their_headers_say() {
    check("idx", checks::idx);
}

#[test]
fn raw_frames_are_cut_where_they_end() {
    check("stdin", checks::stdin);
}

#[test]
fn jpeg_pictures_are_whole_or_refused() {
    check("mjpeg", checks::mjpeg);
}

#[test]
fn uncompressed_pictures_are_whole_or_refused() {
    check("raw", checks::raw);
}

#[test]
fn model_specs_are_read_back_as_they_were_written() {
    check("spec", checks::spec);
}

#[test]
fn source_uris_and_regions_are_shown_as_they_are_read() {
    check("uri", checks::uri);
}

#[test]
fn configuration_files_are_read_or_refused_with_the_right_line() {
    check("config", checks::config);
}

#[test]
fn onnx_files_keep_all_but_their_spec() {
    check("onnx", checks::onnx);
}

#[test]
fn reports_can_be_shown_in_every_form() {
    check("report", checks::report);
}
