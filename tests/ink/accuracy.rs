//! How many of the digits are read, for each kind of disturbance.

use std::num::NonZeroUsize;

use ndarray::{Array2, Array4};
use puvae::classifier::{Classifier as _, top_class};
use puvae::frame::FrameId;
use puvae::model::engine::{Engine, EngineOptions, Provider};
use puvae::model::onnx_classifier::OnnxClassifier;
use puvae::model::onnx_purifier::OnnxPurifier;
use puvae::purifier::Purifier as _;

use crate::digits::{digits, in_repository, ink, preprocessor};
use crate::sheet::{Disturbance, Sheet};

/// Sheets for each disturbance, unless this variable says how many.
const SHEETS: usize = 25;
const SHEETS_VARIABLE: &str = "PUVAE_INK_SHEETS";
pub(crate) const SEED: u64 = 2026;

/// A kind of disturbance, and the share of sheets that must be read without and with the purifier.
const KINDS: [(&str, Disturbance, f32); 12] = [
    ("none", Disturbance::NONE, 0.94),
    ("small digits", Disturbance { size_px: (40.0, 80.0), ..Disturbance::NONE }, 0.92),
    ("large digits", Disturbance { size_px: (280.0, 330.0), pen: (0.35, 0.5), ..Disturbance::NONE }, 0.92),
    ("ball-point pen", Disturbance { line: Some((0.02, 0.05)), ..Disturbance::NONE }, 0.9),
    ("squared paper", Disturbance { squares: 0.3, ..Disturbance::NONE }, 0.92),
    ("gradient and shadow", Disturbance { gradient: 0.7, shadow: 0.6, ..Disturbance::NONE }, 0.92),
    ("noise in the dark", Disturbance { noise: 15.0, paper: (70.0, 110.0), ..Disturbance::NONE }, 0.92),
    ("blur", Disturbance { blur_px: 5.0, ..Disturbance::NONE }, 0.92),
    ("tilt", Disturbance { rotation_deg: 15.0, perspective: 0.5, ..Disturbance::NONE }, 0.86),
    (
        "sheet on a table",
        Disturbance { table: true, rotation_deg: 10.0, size_px: (80.0, 220.0), ..Disturbance::NONE },
        0.9,
    ),
    ("specks", Disturbance { specks: 12, ..Disturbance::NONE }, 0.92),
    ("all together", ALL, 0.86),
];

pub(crate) const ALL: Disturbance = Disturbance {
    size_px: (60.0, 240.0),
    paper: (110.0, 220.0),
    gradient: 0.6,
    shadow: 0.5,
    noise: 8.0,
    blur_px: 2.0,
    rotation_deg: 12.0,
    perspective: 0.3,
    pen: (0.4, 0.65),
    line: None,
    table: true,
    specks: 4,
    squares: 0.0,
};

struct Models {
    purifier: OnnxPurifier,
    classifier: OnnxClassifier,
}

impl Models {
    fn open() -> Self {
        let options =
            EngineOptions { provider: Provider::Cpu, threads: Some(NonZeroUsize::MIN), ..EngineOptions::default() };
        let mut engine = Engine::start(&options).unwrap_or_else(|error| panic!("{error}"));
        let purifier = in_repository("models/mnist-puvae-lite.onnx");
        let classifier = in_repository("models/mnist-classifier-a.onnx");
        Self {
            purifier: OnnxPurifier::open(&mut engine, &purifier, 0).unwrap_or_else(|error| panic!("{error}")),
            classifier: OnnxClassifier::open(&mut engine, &classifier).unwrap_or_else(|error| panic!("{error}")),
        }
    }

    /// What is read from the frames as they are, and purified.
    fn read(&mut self, frames: &Array4<f32>) -> [usize; 2] {
        let mut purified = self.purifier.room(1);
        self.purifier.purify(&[FrameId(0)], frames.view(), &mut purified).unwrap();
        [frames, &purified.frames].map(|frames| {
            let mut logits = Array2::zeros((1, 10));
            self.classifier.classify(frames.view(), &mut logits).unwrap();
            top_class(&logits).unwrap().0
        })
    }
}

fn tensor(values: Vec<f32>) -> Array4<f32> {
    Array4::from_shape_vec((1, 1, 28, 28), values).unwrap()
}

#[test]
fn digits_on_paper_are_read_whatever_light_and_camera_do_to_them() {
    let (images, labels) = digits();
    let sheets = std::env::var(SHEETS_VARIABLE).map_or(SHEETS, |sheets| sheets.parse().unwrap()).min(images.count);
    let mut models = Models::open();
    let mut preprocessor = preprocessor();
    let mut count = |frame: &mut dyn FnMut(usize) -> Vec<f32>| {
        let mut correct = [0; 2];
        for (index, &label) in labels.iter().enumerate().take(sheets) {
            for (correct, read) in correct.iter_mut().zip(models.read(&tensor(frame(index)))) {
                *correct += usize::from(read == usize::from(label));
            }
        }
        correct
    };
    println!("{sheets} digits, seed {SEED}: read without and with the purifier, %");
    let clean = |index| images.get(index).iter().map(|&byte| f32::from(byte) / 255.0).collect();
    print("MNIST's own pictures", count(&mut { clean }), sheets);
    let mut wanting = Vec::new();
    for (kind, disturbance, least) in KINDS {
        let correct = count(&mut |index| {
            let sheet = Sheet::new(Some(images.get(index)), &disturbance, SEED, index as u64);
            ink(&mut preprocessor, &sheet.photograph())
        });
        print(kind, correct, sheets);
        if correct.iter().any(|&correct| (correct as f32) < least * sheets as f32) {
            wanting.push(format!("{kind}: {correct:?} of {sheets}, expected {least}"));
        }
    }
    assert!(wanting.is_empty(), "{wanting:#?}");
}

fn print(kind: &str, correct: [usize; 2], sheets: usize) {
    let [plain, purified] = correct.map(|correct| correct as f32 / sheets as f32 * 100.0);
    println!("{kind:<22} {plain:5.1} {purified:5.1}");
}
