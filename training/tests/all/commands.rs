//! `puvae-train` by its commands, from data to a table.

use std::path::Path;
use std::process::Command;

use puvae::idx::{read_images, read_labels};
use tch::{Kind, Tensor};

use crate::common::{my_turn, squares, write_idx};

/// Runs `puvae-train` with these words and the data set; its exit code, standard output and standard error.
fn train(root: &Path, words: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_puvae-train"))
        .current_dir(root)
        .args(words.split_whitespace())
        .args(["--data", "data", "--dataset", "mnist"])
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn done(root: &Path, words: &str) -> String {
    let (code, stdout, stderr) = train(root, words);
    assert_eq!(code, Some(0), "{words}: {stderr}");
    stdout
}

#[test]
fn a_reader_that_goes_away_ends_the_program_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_puvae-train"))
        .current_dir(folder.path())
        .args(["data", "--data", "data", "--dataset", "mnist"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (None, ""));
}

/// Squares in ten classes, as the files of MNIST.
fn write_data(root: &Path) {
    let data = root.join("data/mnist");
    std::fs::create_dir_all(&data).unwrap();
    write_idx(&data, "train", &squares(120, 10, 1));
    write_idx(&data, "t10k", &squares(20, 10, 2));
}

/// A folder with squares in ten classes for data and a classifier of one epoch.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    done(folder.path(), "classifier --arch e --epochs 1 --batch 20 --out runs/e");
    folder
}

#[test]
fn a_run_goes_on_with_resume_and_what_is_evaluated_becomes_a_table() {
    let folder = trained();
    let root = folder.path();
    let checkpoint = || std::fs::read(root.join("runs/e/checkpoint.safetensors")).unwrap();
    let before = checkpoint();
    let (code, _, stderr) = train(root, "classifier --arch e --epochs 1 --batch 20 --out runs/e");
    assert!(code == Some(1) && stderr.contains("--resume"), "{stderr}");
    done(root, "classifier --arch e --epochs 1 --batch 20 --out runs/e --resume");
    assert!(checkpoint() == before, "there was nothing left to do");

    let evaluate = "evaluate --target runs/e --defence median --attacks fgsm --images 8 --costly-images 4 --out results.json \
                    --adaptive-images 4 --adaptive-steps 2 --adaptive-restarts 1 --adaptive-thorough --adaptive-queries 3";
    let (code, _, stderr) = train(root, &evaluate.replace("median", "m=median"));
    assert!(code == Some(1) && stderr.contains("m=median: median has no other name; leave `m=` out"), "{stderr}");
    let said = done(root, evaluate);
    assert!(said.contains("then a search without gradients"), "{said}");
    let output =
        Command::new(env!("CARGO_BIN_EXE_puvae-train")).arg("table").arg(root.join("results.json")).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    for part in ["| fgsm ε 0.3 | 8 |", "| median | 4 | 0.3 | 2 × 1, 3 queries |", "then made on undefended"] {
        assert!(table.contains(part), "{part}: {table}");
    }
}

#[test]
fn attacked_frames_stand_in_turns_and_move_by_no_more_than_epsilon() {
    let folder = trained();
    let root = folder.path();
    done(root, "attack --target runs/e --attacks fgsm,ifgsm-3 --epsilon 0.1 --images 12 --out attacked");
    let file = |kind: &str| root.join(format!("attacked-{kind}-ubyte.gz"));
    let (parts, labels) = (read_labels(&file("parts.idx1")).unwrap(), read_labels(&file("labels.idx1")).unwrap());
    assert_eq!(parts, [0, 1, 2].repeat(4));
    done(root, "attack --target runs/e --attacks fgsm,ifgsm-3 --epsilon 0.001 --images 12 --out clean");
    let pictures = |name: &str| read_images(&root.join(format!("{name}-images.idx3-ubyte.gz"))).unwrap();
    let (attacked, clean) = (pictures("attacked"), pictures("clean"));
    assert_eq!((attacked.count, labels.len()), (12, 12));
    let moved: Vec<u8> = (attacked.pixels.chunks(784).zip(clean.pixels.chunks(784)))
        .map(|(attacked, clean)| attacked.iter().zip(clean).map(|(a, b)| a.abs_diff(*b)).max().unwrap())
        .collect();
    for (part, most) in parts.iter().zip(moved) {
        assert!(if *part == 0 { most == 0 } else { (1..=25).contains(&most) }, "part {part}: {most}");
    }
}

#[test]
fn attacked_frames_in_colour_stand_in_a_folder_for_each_part_and_class() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (part, count) in [("train", 40), ("test", 6)] {
        for (class, colour) in [("stop", [200, 0, 0]), ("go", [0, 200, 0])] {
            let folder = root.join("data/mnist").join(part).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            let picture = image::RgbImage::from_pixel(32, 32, image::Rgb(colour));
            (0..count).for_each(|index| picture.save(folder.join(format!("{index}.png"))).unwrap());
        }
    }
    done(root, "classifier --arch e --epochs 1 --batch 16 --out runs/e");
    done(root, "attack --target runs/e --attacks fgsm,ifgsm-3 --epsilon 0.1 --images 12 --out attacked");
    let mut counts = [0; 3];
    for (part, count) in ["clean", "fgsm", "ifgsm-3"].iter().zip(&mut counts) {
        for (class, colour) in [("stop", [200, 0, 0]), ("go", [0, 200, 0])] {
            let Ok(files) = std::fs::read_dir(root.join("attacked").join(part).join(class)) else { continue };
            for file in files {
                *count += 1;
                let picture = image::open(file.unwrap().path()).unwrap().into_rgb8();
                let moved = |pixel: &image::Rgb<u8>| pixel.0.iter().zip(colour).map(|(a, b)| a.abs_diff(b)).max();
                let most = picture.pixels().filter_map(moved).max().unwrap();
                assert!(if *part == "clean" { most == 0 } else { (1..=25).contains(&most) }, "{part}: {most}");
            }
        }
    }
    assert_eq!(counts, [4; 3], "the parts take turns");
}

#[test]
fn arrays_for_numpy_hold_pictures_labels_targets_and_how_they_were_made() {
    let _turn = my_turn();
    let folder = trained();
    let root = folder.path();
    done(root, "attack --target runs/e --attacks fgsm --epsilon 0.1 --images 6 --npz a.npz --weights w.npz");
    let arrays = Tensor::read_npz(root.join("a.npz")).unwrap();
    let array = |name: &str| &arrays.iter().find(|(found, _)| found == name).unwrap().1;
    assert_eq!(array("x_adv").size(), [6, 1, 28, 28]);
    let furthest = (array("x_adv") - array("x")).abs().max().double_value(&[]);
    assert!((0.05..=0.1 + 1e-6).contains(&furthest), "{furthest}");
    assert!(!array("y").eq_tensor(array("y_target")).any().int64_value(&[]).eq(&1), "a target is a wrong class");
    let text: Vec<u8> = Vec::try_from(&array("parameters").to_kind(Kind::Uint8)).unwrap();
    let parameters: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert!(parameters["n"] == 6 && parameters["aim"] == "targeted", "{parameters}");
    assert!(!Tensor::read_npz(root.join("w.npz")).unwrap().is_empty());

    done(root, "attack --target runs/e --attacks untargeted-fgsm --images 6 --npz u.npz");
    let arrays = Tensor::read_npz(root.join("u.npz")).unwrap();
    let target = &arrays.iter().find(|(found, _)| found == "y_target").unwrap().1;
    assert!(target.eq(-1).all().int64_value(&[]) == 1);

    let refused = |words: &str| train(root, words).2;
    let text = refused("attack --target runs/e --attacks fgsm,ifgsm-3 --images 6 --npz a.npz");
    assert!(text.contains("--npz takes one attack, got 2"), "{text}");
    let text = refused("attack --target runs/none --attacks fgsm --images 6 --npz a.npy");
    assert!(text.contains("a.npy: expected a file name that ends in .npz"), "{text}");
}
