//! Defences that no gradient trains: what every trained one has to beat.

use tch::{Kind, Tensor};

use super::{Cleaned, Defence};
use crate::data::{Batch, Split, batches};

/// Black or white: 1 where a value is above one half. The gradient is the identity's.
#[derive(Debug, Clone, Copy)]
pub struct Binarise;

impl Defence for Binarise {
    fn name(&self) -> String {
        "binarise".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let hard = x.detach().gt(0.5).to_kind(Kind::Float);
        Cleaned { frames: hard + (x - x.detach()), label: None, score: None }
    }
}

/// The median of each value's 3×3 neighbourhood in its channel, edges repeated. The gradient is exact: it goes to the value
/// that was the median.
#[derive(Debug, Clone, Copy)]
pub struct MedianFilter;

impl Defence for MedianFilter {
    fn name(&self) -> String {
        "median".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let (n, c, h, w) = x.size4().expect("pictures are [N, C, H, W]");
        let windows =
            x.replication_pad2d([1, 1, 1, 1]).reshape([n * c, 1, h + 2, w + 2]).im2col([3, 3], [1, 1], [0, 0], [1, 1]); // [N·C, 9, H·W]
        let frames = windows.median_dim(1, false).0.reshape([n, c, h, w]);
        Cleaned { frames, label: None, score: None }
    }
}

/// Every pixel of the mean of a class without pictures: farther from any picture than every other mean.
const FAR: f64 = 9.0;

/// The mean picture of the class whose mean is nearest: what a purifier that selects a class comes down to when its candidates no longer
/// depend on the picture. The gradient of the frames is the identity's, that of the selection is exact.
#[derive(Debug)]
pub struct ClassMean {
    means: Tensor, // [K, C, H, W]
}

impl ClassMean {
    /// Learns the means of `classes` classes from the pictures of `split`.
    #[must_use]
    pub fn of(split: &Split, classes: i64) -> Self {
        let [channels, height, width] = split.shape();
        let mut means = Tensor::zeros([classes, channels, height, width], (Kind::Float, split.device()));
        for range in batches(split.len(), 1_000) {
            let Batch { x, y } = split.range(range);
            let _ = means.index_add_(0, &y, &x);
        }
        let counts = split.labels().bincount::<Tensor>(None, classes).reshape([classes, 1, 1, 1]);
        Self { means: (means / counts.clamp_min(1)).masked_fill(&counts.eq(0), FAR) }
    }

    fn of_class(&self, x: &Tensor, class: &Tensor) -> Tensor {
        self.means.index_select(0, class) + (x - x.detach())
    }

    /// Root-mean-square errors to every class's mean, `[N, K]`.
    fn distances(&self, x: &Tensor) -> Tensor {
        (x.unsqueeze(1) - &self.means).square().flatten(2, -1).mean_dim(2, false, Kind::Float).sqrt()
    }
}

impl Defence for ClassMean {
    fn name(&self) -> String {
        "class-mean".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let label = tch::no_grad(|| self.distances(x)).argmin(1, false);
        let frames = self.of_class(x, &label);
        let score = (x - &frames).square().flatten(1, -1).mean_dim(1, false, Kind::Float).sqrt();
        Cleaned { frames, label: Some(label), score: Some(score) }
    }

    fn selection(&self, x: &Tensor) -> Option<Tensor> {
        Some(-self.distances(x))
    }

    fn candidate(&self, x: &Tensor, class: &Tensor) -> Option<Tensor> {
        Some(tch::no_grad(|| self.of_class(x, class)))
    }

    fn fixed_candidates(&self) -> Option<&Tensor> {
        Some(&self.means)
    }
}
