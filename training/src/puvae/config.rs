//! What can be chosen about a purifier; every point that the paper leaves open is a field.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Levels of brightness of a picture in bytes.
const MOST_LEVELS: u32 = 256;
/// Latent dimensions that the runtime takes.
const MOST_LATENT: i64 = 1 << 14;

/// Which layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// The paper's Table 2: 27.8 million parameters for 28×28 grey pictures, 42.1 million for 32×32 in colour.
    Paper,
    /// Ours, below 3 million parameters for either, made to be shipped.
    Lite,
}

/// How a loss is reduced over pixels and over latent dimensions; always the mean over the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Sum: the only reading under which the paper's coefficients do not collapse.
    Sum,
    /// Mean.
    Mean,
}

/// The form of L_CE (Eq. 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrossEntropy {
    /// −y·log y_s − (1−y)·log(1−y_s) over the softmax outputs, as printed in the paper.
    Binary,
    /// −log y_s at the true class, as every re-implementation has it.
    Categorical,
}

/// One of the two pictures the network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// The frame as it came.
    Frame,
    /// What the denoiser made of it.
    Denoised,
}

/// The whole configuration of a purifier and its losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PuvaeConfig {
    /// Which layers.
    pub size: Size,
    /// Side of the square pictures, in pixels.
    pub side_px: i64,
    /// Channels of the pictures: 1 or 3.
    #[serde(default = "grey")]
    pub channels: i64,
    /// Number of classes K.
    pub classes: i64,
    /// Latent dimensions Z.
    pub latent: i64,
    /// Standard deviation of the latent noise at inference (1 in training).
    pub sigma_eps: f64,
    /// Whether a denoiser stands in front.
    pub denoiser: bool,
    /// Levels of brightness that a frame is brought to before anything else looks at it, at least 2; 0 leaves it as it comes.
    #[serde(default)]
    pub input_levels: u32,
    /// What the encoder sees.
    pub encoder_input: Input,
    /// What candidates are compared with.
    pub reference: Input,
    /// Over pixels and latent dimensions.
    pub reduction: Reduction,
    /// Weight of the reconstruction loss L_RC (Eq. 15).
    pub lambda_rc: f64,
    /// Weight of L_KL (Eq. 16, without the usual ½).
    pub lambda_kl: f64,
    /// Weight of L_CE (Eq. 18), the source classifier's cross-entropy on the reconstruction.
    pub lambda_ce: f64,
    /// The form of L_CE.
    pub cross_entropy: CrossEntropy,
    /// Share of each batch on which L_CE is computed, in `(0, 1]`.
    pub ce_share: f64,
    /// Weight of the denoiser's Bernoulli cross-entropy to the clean picture.
    pub lambda_denoise: f64,
    /// Weight of the selector loss: cross-entropy of softmax(−½‖reference − candidate‖²) over the classes.
    pub lambda_select: f64,
    /// Share of each batch on which the selector loss is computed, in `(0, 1]`.
    pub select_share: f64,
    /// Share of the images mirrored left to right before anything else, in `[0, 1]`: each image is drawn anew each time.
    #[serde(default)]
    pub mirror_share: f64,
    /// Share of each batch with random noise added, in `[0, 1]`.
    pub random_share: f64,
    /// Share of each batch attacked with FGSM of the source classifier, in `[0, 1]`; the rest stays clean.
    pub fgsm_share: f64,
    /// Largest ε of that noise and of that attack; each image draws its own.
    pub epsilon_max: f64,
    /// Share of each batch attacked through the purifier itself, at its selection, in `[0, 1]`.
    #[serde(default)]
    pub self_share: f64,
    /// Largest ε of the attack at the selection; each image draws its own.
    #[serde(default)]
    pub self_epsilon_max: f64,
    /// Steps of the attack at the selection, from a random start.
    #[serde(default)]
    pub self_steps: u32,
}

/// Channels of the pictures of configurations from before there was colour.
fn grey() -> i64 {
    1
}

impl PuvaeConfig {
    /// The default of each size: the paper's coefficients, or our recipe.
    #[must_use]
    pub fn preset(size: Size, side_px: i64, channels: i64, classes: i64) -> Self {
        let paper = Self {
            size,
            side_px,
            channels,
            classes,
            latent: 32,
            sigma_eps: 0.1,
            denoiser: false,
            input_levels: 0,
            encoder_input: Input::Frame,
            reference: Input::Frame,
            reduction: Reduction::Sum,
            lambda_rc: 0.01,
            lambda_kl: 0.1,
            lambda_ce: 10.0,
            cross_entropy: CrossEntropy::Binary,
            ce_share: 1.0,
            lambda_denoise: 0.0,
            lambda_select: 0.0,
            select_share: 1.0,
            mirror_share: 0.0,
            random_share: 0.0,
            fgsm_share: 0.0,
            epsilon_max: 0.0,
            self_share: 0.0,
            self_epsilon_max: 0.0,
            self_steps: 0,
        };
        match size {
            Size::Paper => paper,
            Size::Lite => {
                let lite = Self {
                    denoiser: true,
                    encoder_input: Input::Denoised,
                    reference: Input::Denoised,
                    lambda_kl: 0.01,
                    cross_entropy: CrossEntropy::Categorical,
                    ce_share: 0.2,
                    lambda_denoise: 0.01,
                    lambda_select: 2.0,
                    select_share: 0.6,
                    random_share: 0.25,
                    fgsm_share: 0.35,
                    epsilon_max: 0.35,
                    ..paper
                };
                // In colour the decoder has to be held to the picture, and the selection to be kept up with it.
                let colour =
                    Self { lambda_rc: 0.1, lambda_select: 5.0, mirror_share: 0.5, epsilon_max: 0.08, ..lite.clone() };
                if channels == 1 { lite } else { colour }
            }
        }
    }

    /// This one with the fields of a TOML text in place of its own.
    ///
    /// # Errors
    /// When the text is not TOML, or has a field or a value that a configuration has not.
    pub fn with(&self, fields: &str) -> Result<Self> {
        let fields: toml::Table = toml::from_str(fields).context("not TOML")?;
        let mut table = toml::Table::try_from(self)?;
        table.extend(fields);
        table.try_into().context("not a configuration of a purifier")
    }

    /// This one for pictures that are almost black and white, as MNIST's are: every pixel becomes one or the other first, which takes
    /// most of what an attacker has put there.
    #[must_use]
    pub fn quantised(self) -> Self {
        Self { input_levels: 2, ..self }
    }

    /// The name in model files and results: `puvae-paper`, `puvae-lite`, `puvae-lite-quantised`.
    #[must_use]
    pub fn name(&self) -> String {
        let size = match self.size {
            Size::Paper => "puvae-paper",
            Size::Lite => "puvae-lite",
        };
        if self.input_levels > 0 { format!("{size}-quantised") } else { size.into() }
    }

    /// The fields that are not as the preset has them: name, value, the preset's value.
    #[must_use]
    pub fn departures(&self) -> Vec<(String, Value, Value)> {
        let fields = |config: &Self| match serde_json::to_value(config) {
            Ok(Value::Object(fields)) => fields,
            _ => unreachable!("a structure of plain fields becomes an object"),
        };
        let preset = fields(&Self::preset(self.size, self.side_px, self.channels, self.classes));
        let own = fields(self).into_iter();
        own.filter_map(|(name, value)| {
            let usual = preset[&name].clone();
            (value != usual).then_some((name, value, usual))
        })
        .collect()
    }

    /// Values in a picture.
    #[must_use]
    pub fn pixels(&self) -> i64 {
        self.channels * self.side_px * self.side_px
    }

    /// Width of the encoder's hidden layers.
    pub(super) fn encoder_features(&self) -> i64 {
        match self.size {
            Size::Paper => 1024,
            Size::Lite => 512,
        }
    }

    /// Width of the decoder's first layer.
    pub(super) fn decoder_features(&self) -> i64 {
        match (self.size, self.channels) {
            (Size::Paper, 1) => 512,
            (Size::Paper, _) => 1024,
            (Size::Lite, _) => 256,
        }
    }

    /// β of the equivalent β-VAE, whose KL has a ½ that Eq. 16 lacks and whose losses are sums.
    #[must_use]
    pub fn effective_beta(&self) -> f64 {
        let ratio = 2.0 * self.lambda_kl / self.lambda_rc;
        match self.reduction {
            Reduction::Sum => ratio,
            Reduction::Mean => ratio * self.pixels() as f64 / self.latent as f64,
        }
    }

    /// Refuses what cannot be trained.
    ///
    /// # Errors
    /// Names the field, the rule and the value.
    pub fn check(&self) -> Result<()> {
        let share = |name, value: f64, low: f64| {
            ensure!((low..=1.0).contains(&value), "{name} is {value}, expected {low} to 1");
            Ok(())
        };
        share("mirror_share", self.mirror_share, 0.0)?;
        share("random_share", self.random_share, 0.0)?;
        share("fgsm_share", self.fgsm_share, 0.0)?;
        share("self_share", self.self_share, 0.0)?;
        share("random_share + fgsm_share + self_share", self.random_share + self.fgsm_share + self.self_share, 0.0)?;
        share("self_epsilon_max", self.self_epsilon_max, 0.0)?;
        ensure!(
            self.self_share == 0.0 || (self.self_steps > 0 && self.self_epsilon_max > 0.0),
            "self_share is {}, but self_steps is {} and self_epsilon_max {}; expected both above 0",
            self.self_share,
            self.self_steps,
            self.self_epsilon_max
        );
        ensure!(
            self.self_share <= self.select_share,
            "self_share is {}, expected at most select_share, which is {}: the selector loss is there for these pictures",
            self.self_share,
            self.select_share
        );
        share("ce_share", self.ce_share, 0.01)?;
        share("select_share", self.select_share, 0.01)?;
        share("epsilon_max", self.epsilon_max, 0.0)?;
        ensure!(
            self.input_levels != 1 && self.input_levels <= MOST_LEVELS,
            "input_levels is {}, expected 0 or 2 to {MOST_LEVELS}",
            self.input_levels
        );
        ensure!((1..=MOST_LATENT).contains(&self.latent), "latent is {}, expected 1 to {MOST_LATENT}", self.latent);
        ensure!(
            self.sigma_eps.is_finite() && self.sigma_eps >= 0.0,
            "sigma_eps is {}, expected at least 0",
            self.sigma_eps
        );
        self.check_shape()?;
        ensure!(self.classes > 1, "classes is {}, expected at least 2", self.classes);
        let lambdas = [
            ("lambda_rc", self.lambda_rc),
            ("lambda_kl", self.lambda_kl),
            ("lambda_ce", self.lambda_ce),
            ("lambda_denoise", self.lambda_denoise),
            ("lambda_select", self.lambda_select),
        ];
        for (name, lambda) in lambdas {
            ensure!(lambda.is_finite() && lambda >= 0.0, "{name} is {lambda}, expected a number of at least 0");
        }
        let denoised = self.encoder_input == Input::Denoised || self.reference == Input::Denoised;
        ensure!(self.denoiser || !denoised, "encoder_input or reference is `denoised`, but denoiser is false");
        Ok(())
    }

    fn check_shape(&self) -> Result<()> {
        let Self { side_px, channels, .. } = self;
        ensure!(matches!(channels, 1 | 3), "channels is {channels}, expected 1 or 3");
        match self.size {
            Size::Paper => ensure!(
                matches!((side_px, channels), (28, 1) | (32, 3)),
                "pictures of {side_px}×{side_px} with {channels} channels, but the paper's network has layers for 28×28×1 and 32×32×3; use the preset lite"
            ),
            Size::Lite => ensure!(
                *side_px >= 16 && side_px % 4 == 0,
                "side_px is {side_px}, expected a multiple of 4 from 16 up; give pictures of another --side"
            ),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_the_preset_is_named() {
        let paper = PuvaeConfig::preset(Size::Paper, 28, 1, 10);
        assert_eq!(paper.departures(), []);
        let weaker = PuvaeConfig { lambda_kl: 0.01, ..paper };
        assert_eq!(weaker.departures(), [("lambda_kl".into(), 0.01.into(), 0.1.into())]);
    }
}
