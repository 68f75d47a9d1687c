//! `puvae-train` seen from outside: what it says about bad input.

use std::path::Path;
use std::process::Command;

use puvae::idx::{Images, write_images, write_labels};

fn train(args: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_puvae-train")).args(args).env("RUST_BACKTRACE", "0").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A data set whose training files have `count` images and `labels` labels.
fn mnist(root: &Path, count: usize, labels: usize) {
    let folder = root.join("mnist");
    std::fs::create_dir_all(&folder).unwrap();
    for (prefix, count, labels) in [("train", count, labels), ("t10k", 2, 2)] {
        let images = Images { count, height: 28, width: 28, pixels: vec![0; count * 784] };
        write_images(&folder.join(format!("{prefix}-images-idx3-ubyte.gz")), &images).unwrap();
        write_labels(&folder.join(format!("{prefix}-labels-idx1-ubyte.gz")), &vec![0; labels]).unwrap();
    }
}

fn refused(root: &Path) -> String {
    let (code, text) = train(&["data", "--data", root.to_str().unwrap(), "--dataset", "mnist"]);
    assert_eq!(code, Some(1), "{text}");
    text
}

#[test]
fn a_missing_data_set_says_which_files_were_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = refused(folder.path());
    assert!(text.contains("mnist: no data set here; expected train-images-idx3-ubyte[.gz]"), "{text}");
    assert!(text.contains("has no folders") && text.contains("data --fetch"), "{text}");
    std::fs::create_dir(folder.path().join("mnist")).unwrap();
    std::fs::write(folder.path().join("mnist/t10k-images-idx3-ubyte"), [0; 3]).unwrap();
    let text = refused(folder.path());
    assert!(text.contains("found neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz"), "{text}");
}

#[test]
fn counts_that_differ_and_truncated_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    mnist(folder.path(), 3, 2);
    assert!(refused(folder.path()).contains("holds 3 images"));
    mnist(folder.path(), 3, 3);
    let images = folder.path().join("mnist/train-images-idx3-ubyte.gz");
    let bytes = std::fs::read(&images).unwrap();
    std::fs::write(&images, &bytes[..bytes.len() / 2]).unwrap();
    let text = refused(folder.path());
    assert!(text.contains("train-images-idx3-ubyte.gz: truncated"), "{text}");
}

#[test]
fn too_few_images_to_hold_any_back_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    mnist(folder.path(), 3, 3);
    assert!(refused(folder.path()).contains("3 training images, expected at least 5: a fifth is held out for choices"));
}

#[test]
fn a_folder_without_a_run_and_an_unknown_field_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    mnist(folder.path(), 10, 10);
    let root = folder.path().to_str().unwrap();
    let out = folder.path().join("out");
    let common = ["--data", root, "--dataset", "mnist", "--epochs", "1", "--out", out.to_str().unwrap()];
    let (code, text) = train(&[&["puvae", "--source", "/nonexistent"], &common[..]].concat());
    assert!(code == Some(1) && text.contains("/nonexistent: no run to read"), "{text}");

    let config = folder.path().join("config.toml");
    std::fs::write(&config, "lambda_rx = 1.0").unwrap();
    let args = ["puvae", "--source", "/nonexistent", "--config", config.to_str().unwrap()];
    let (code, text) = train(&[&args, &common[..]].concat());
    assert!(code == Some(1) && text.contains("unknown field `lambda_rx`"), "{text}");
}

#[test]
fn a_configuration_for_other_pictures_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    mnist(folder.path(), 10, 10);
    let root = folder.path().to_str().unwrap();
    let (config, out) = (folder.path().join("config.toml"), folder.path().join("out"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-classifier-b.onnx");
    for (line, words) in [
        ("channels = 3", "channels is 3, but mnist has 1; leave channels out of --config"),
        ("side_px = 32", "side_px is 32, but mnist has 28; leave side_px out of --config"),
    ] {
        std::fs::write(&config, line).unwrap();
        let args = ["puvae", "--source", source, "--config", config.to_str().unwrap(), "--data", root, "--epochs", "1"];
        let (code, text) = train(&[&args[..], &["--dataset", "mnist", "--out", out.to_str().unwrap()]].concat());
        assert!(code == Some(1) && text.contains(words), "{text}");
    }
    assert!(!out.exists());
}

#[test]
fn what_belongs_to_adversarial_training_is_refused_without_it() {
    let args = ["classifier", "--arch", "a", "--adversarial-steps", "5", "--data", ".", "--dataset", "x", "--out", "y"];
    let (code, text) = train(&args);
    assert!(code == Some(2) && text.contains("--adversarial-epsilon"), "{text}");
}

#[test]
fn only_a_classifier_is_exported_in_eight_bits() {
    let magnet = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-magnet.onnx");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    let data = ["--data", folder.path().to_str().unwrap(), "--dataset", "mnist", "--out", out.to_str().unwrap()];
    let (code, text) = train(&[&["export", "--run", magnet, "--weights", "int8"], &data[..]].concat());
    assert_eq!(code, Some(1));
    assert!(
        text.contains("mnist-magnet.onnx: a magnet, and --weights int8 is for classifiers; leave it out"),
        "{text}"
    );
    assert!(!out.exists());
}

#[test]
fn an_export_replaces_onnx_files_only_and_nothing_replaces_a_folder_or_device() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-magnet.onnx");
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    std::fs::write(&checkpoint, "precious").unwrap();
    let refused = |command: &[&str], out: &str| {
        let data = ["--data", folder.path().to_str().unwrap(), "--dataset", "mnist", "--out", out];
        let (code, text) = train(&[command, &data[..]].concat());
        assert_eq!(code, Some(1), "{text}");
        text
    };
    let text = refused(&["export", "--run", model], checkpoint.to_str().unwrap());
    assert!(text.contains("checkpoint.safetensors: expected a file name that ends in .onnx"), "{text}");
    assert_eq!(std::fs::read_to_string(&checkpoint).unwrap(), "precious");
    for out in ["/dev/null", folder.path().to_str().unwrap()] {
        let text = refused(&["evaluate", "--target", model], out);
        assert!(text.contains(&format!("{out}: not a regular file, whose place a new one could take")), "{text}");
    }
}

#[test]
fn a_defense_gan_refuses_absurd_schedules_before_it_writes_anything() {
    let folder = tempfile::tempdir().unwrap();
    mnist(folder.path(), 10, 10);
    let (root, out) = (folder.path().to_str().unwrap(), folder.path().join("out"));
    let common = ["defense-gan", "--data", root, "--dataset", "mnist", "--out", out.to_str().unwrap()];
    for (options, expected) in [
        (["--iterations", "0"], "--iterations is 0, expected at least 1"),
        (["--batch", "9"], "8 training images, expected at least one batch of 9"),
        (["--rate", "0"], "--rate is 0, expected a number above 0"),
    ] {
        let (code, text) = train(&[&common[..], &options].concat());
        assert!(code == Some(1) && text.contains(expected), "{text}");
    }
    assert!(!out.exists(), "a refused training leaves no folder behind");
}
