//! Every seed of the fuzz targets, and every input that once broke a parser, without a fuzzer.

#![cfg(feature = "runtime")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

#[path = "../fuzz/checks.rs"]
pub mod checks;

use std::collections::BTreeSet;
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

/// A test for each target, and the list of them all.
macro_rules! targets {
    ($($target:ident: $what:ident,)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(#[test]
        fn $what() {
            check(stringify!($target), checks::$target);
        })*
    };
}

targets! {
    idx: idx_files_hold_what_their_headers_say,
    stdin: raw_frames_are_cut_where_they_end,
    mjpeg: jpeg_pictures_are_whole_or_refused,
    raw: uncompressed_pictures_are_whole_or_refused,
    spec: model_specs_are_read_back_as_they_were_written,
    uri: source_uris_and_regions_are_shown_as_they_are_read,
    config: configuration_files_are_read_or_refused_with_the_right_line,
    onnx: onnx_files_keep_all_but_their_spec,
    report: reports_can_be_shown_in_every_form,
}

#[test]
fn every_target_is_built_and_has_seeds_and_a_test() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names_in = |folder: &str| -> BTreeSet<String> {
        let paths = std::fs::read_dir(fuzz.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let manifest: toml::Table = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap().parse().unwrap();
    let built = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap().to_owned());
    let tested: BTreeSet<String> = TARGETS.iter().map(|target| (*target).to_owned()).collect();
    assert_eq!(tested, names_in("fuzz_targets"));
    assert_eq!(tested, names_in("seeds"));
    assert_eq!(tested, built.collect());
}
