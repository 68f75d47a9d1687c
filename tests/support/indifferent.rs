//! A classifier that takes no time and knows nothing.

use ndarray::{Array2, ArrayView4};
use puvae::classifier::Classifier;
use puvae::model::ModelError;
use puvae::model::spec::InputShape;

pub(crate) struct Indifferent {
    shape: InputShape,
    classes: Vec<String>,
}

impl Indifferent {
    pub(crate) fn new(shape: InputShape, classes: usize) -> Box<Self> {
        Box::new(Self { shape, classes: (0..classes).map(|class| class.to_string()).collect() })
    }
}

impl Classifier for Indifferent {
    fn input(&self) -> InputShape {
        self.shape
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn classify(&mut self, _: ArrayView4<'_, f32>, logits: &mut Array2<f32>) -> Result<(), ModelError> {
        logits.fill(0.0);
        Ok(())
    }
}
