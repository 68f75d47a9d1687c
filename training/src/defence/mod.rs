//! Defences: what stands between a picture and the classifier.

pub mod defense_gan;
pub mod magnet;
pub mod trivial;

use tch::{Kind, Tensor};

use crate::data::{Split, batches};
use crate::progress::ProgressBar;
use crate::puvae::Puvae;

/// A picture goes in, a cleaner one comes out.
pub trait Defence {
    /// The name that results use.
    fn name(&self) -> String;

    /// Purifies pictures `[N, C, H, W]` in `[0, 1]`; what it draws comes from torch's random stream. Where `x`
    /// asks for a gradient the frames carry one: the true gradient, or, where there is none, the identity's
    /// (the backward pass differentiable approximation of Athalye et al., 2018); each defence says which.
    fn purify(&self, x: &Tensor) -> Cleaned;

    /// What the defence's own choice of a class rests on, `[N, K]`, larger is likelier, with a gradient to `x`; `None` where it
    /// chooses none.
    fn selection(&self, _x: &Tensor) -> Option<Tensor> {
        None
    }

    /// What the defence would make of pictures if they were of these classes, `[N, C, H, W]`; `None` where it has no such picture.
    fn candidate(&self, _x: &Tensor, _class: &Tensor) -> Option<Tensor> {
        None
    }

    /// The pictures of the classes, `[K, C, H, W]`, where they are the same whatever the defence is shown.
    fn fixed_candidates(&self) -> Option<&Tensor> {
        None
    }

    /// Pictures purified at a time when there are many.
    fn batch(&self) -> usize {
        250
    }
}

/// What a defence makes of pictures.
#[derive(Debug)]
pub struct Cleaned {
    /// What the classifier gets, `[N, C, H, W]` in `[0, 1]`.
    pub frames: Tensor,
    /// The class the defence itself has chosen, `[N]` i64, if it chooses one.
    pub label: Option<Tensor>,
    /// How unlike a clean picture each one was, `[N]`: larger is more suspicious. `None` without a detector.
    pub score: Option<Tensor>,
}

/// The gradient is exact: it runs through the candidate that was chosen.
impl Defence for Puvae {
    fn name(&self) -> String {
        self.config.name()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let purified = Puvae::purify(self, x, &self.draw_noise(x.size()[0]));
        Cleaned { frames: purified.frames, label: Some(purified.label), score: Some(purified.score) }
    }

    fn selection(&self, x: &Tensor) -> Option<Tensor> {
        Some(self.class_scores(x))
    }

    fn candidate(&self, x: &Tensor, class: &Tensor) -> Option<Tensor> {
        Some(tch::no_grad(|| self.reconstruct(x, class)))
    }
}

/// Purifies many pictures `[N, C, H, W]`, a batch at a time, without gradients, with randomness from `seed`;
/// `bar` counts them.
///
/// # Panics
/// When there are no pictures.
pub fn purify_all(defence: &dyn Defence, x: &Tensor, seed: i64, bar: &ProgressBar) -> Cleaned {
    tch::manual_seed(seed);
    let parts: Vec<Cleaned> = batches(x.size()[0] as usize, defence.batch())
        .map(|range| {
            let cleaned = tch::no_grad(|| defence.purify(&x.narrow(0, range.start as i64, range.len() as i64)));
            bar.inc(range.len() as u64);
            cleaned
        })
        .collect();
    bar.finish_and_clear();
    let cat = |pick: fn(&Cleaned) -> Option<&Tensor>| -> Option<Tensor> {
        let parts: Option<Vec<&Tensor>> = parts.iter().map(pick).collect();
        parts.map(|parts| Tensor::cat(&parts, 0))
    };
    Cleaned {
        frames: cat(|part| Some(&part.frames)).expect("every part has frames"),
        label: cat(|part| part.label.as_ref()),
        score: cat(|part| part.score.as_ref()),
    }
}

/// Share of clean held-out images that a detector lets pass.
pub const ACCEPTED_QUANTILE: f64 = 0.99;

/// The score above which a picture is suspect: [`ACCEPTED_QUANTILE`] of the clean ones in `split` are not; `None` without a detector. Seed
/// and `bar` as in [`purify_all`].
///
/// # Panics
/// When there are no images.
pub fn threshold(defence: &dyn Defence, split: &Split, seed: i64, bar: &ProgressBar) -> Option<f64> {
    let scores = scores(defence, split, seed, bar)?.to_kind(Kind::Double);
    Some(scores.quantile_scalar(ACCEPTED_QUANTILE, 0, false, "linear").double_value(&[]))
}

/// How unlike a clean picture each image of `split` is, `[N]`, or `None` without a detector; as [`purify_all`], with no more than a batch of
/// pictures in memory as floats.
///
/// # Panics
/// When there are no images.
pub fn scores(defence: &dyn Defence, split: &Split, seed: i64, bar: &ProgressBar) -> Option<Tensor> {
    tch::manual_seed(seed);
    let scores = batches(split.len(), defence.batch()).map(|range| {
        bar.inc(range.len() as u64);
        tch::no_grad(|| defence.purify(&split.range(range).x)).score
    });
    let scores: Option<Vec<Tensor>> = scores.collect();
    bar.finish_and_clear();
    scores.map(|scores| Tensor::cat(&scores, 0))
}
