//! Defences that need no training: what every trained one has to beat.

use tch::{Kind, Tensor};

use super::{Cleaned, Defence};

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
