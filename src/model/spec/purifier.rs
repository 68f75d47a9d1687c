//! The part of a spec that only purifiers have: what they give besides pictures.

use serde::{Deserialize, Serialize};

use super::SpecError;

/// More than any purifier's; keeps an absurd spec from asking for all memory.
const MAX_LATENT: usize = 1 << 14;
/// The same of the noise for one frame, K·Z values.
const MAX_NOISE: usize = 1 << 22;

/// What only purifiers have.
///
/// In JSON the fields of `selection` stand beside the others: `latent`, `sigma_eps` and `distance`, all three or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PurifierFields", into = "PurifierFields")]
pub struct PurifierSpec {
    /// How it selects a class; `None` of a reformer, which gives pictures and nothing else.
    pub selection: Option<Selection>,
    /// What the output `score` measures; `None` where there is no such output.
    pub score: Option<Score>,
    /// Frames whose score is above this are suspicious; absent when it was not calibrated. Without the output `score` it
    /// refers to the selected candidate's distance.
    pub suspect_above: Option<SuspectThreshold>,
}

/// How a purifier selects one of its candidates, one for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Latent dimensions Z of the `noise` input `[N, K, Z]`, 1 to 16 384; K·Z is at most 4 194 304.
    pub latent: usize,
    /// Standard deviation σ_ε of the latent noise (the caller scales the noise by it).
    pub sigma_eps: f32,
    /// What `distances` measures.
    pub distance: Distance,
}

/// A [`PurifierSpec`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PurifierFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latent: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sigma_eps: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distance: Option<Distance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<Score>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspect_above: Option<SuspectThreshold>,
}

impl TryFrom<PurifierFields> for PurifierSpec {
    type Error = String;

    fn try_from(fields: PurifierFields) -> Result<Self, String> {
        let PurifierFields { latent, sigma_eps, distance, score, suspect_above } = fields;
        let selection = match (latent, sigma_eps, distance) {
            (Some(latent), Some(sigma_eps), Some(distance)) => Some(Selection { latent, sigma_eps, distance }),
            (None, None, None) => None,
            _ => {
                let given = [
                    ("latent", latent.is_some()),
                    ("sigma_eps", sigma_eps.is_some()),
                    ("distance", distance.is_some()),
                ];
                let given: Vec<&str> = given.iter().filter(|field| field.1).map(|field| field.0).collect();
                return Err(format!(
                    "purifier has {}, expected latent, sigma_eps and distance together (it selects a class), or none of \
                     them (it selects none)",
                    given.join(" and ")
                ));
            }
        };
        Ok(Self { selection, score, suspect_above })
    }
}

impl From<PurifierSpec> for PurifierFields {
    fn from(spec: PurifierSpec) -> Self {
        let PurifierSpec { selection, score, suspect_above } = spec;
        Self {
            latent: selection.as_ref().map(|selection| selection.latent),
            sigma_eps: selection.as_ref().map(|selection| selection.sigma_eps),
            distance: selection.as_ref().map(|selection| selection.distance),
            score,
            suspect_above,
        }
    }
}

/// From what each class's candidate is measured, as root-mean-square error over all pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// RMSE to the input frame (Eq. 21 of the paper).
    RmseToInput,
    /// RMSE to the output of the denoiser that the graph begins with.
    RmseToDenoised,
}

/// How unlike a clean picture a frame was, by how far purifying moved it; larger is more suspicious.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Score {
    /// Root-mean-square error, over all pixels, of the purified frame to the input frame.
    RmseToInput,
    /// Mean over all pixels of |input − purified|^exponent (MagNet's detector).
    MeanPowerToInput {
        /// The exponent, above 0.
        exponent: f64,
    },
}

/// A threshold on the score, with how it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspectThreshold {
    /// The threshold itself, in units of the score.
    pub threshold: f32,
    /// The quantile of clean pictures' scores it was set at.
    pub quantile: f64,
    /// Which pictures those were, for example `fashion-mnist held-out 10000`.
    pub calibrated_on: String,
}

impl PurifierSpec {
    /// `classes` is how many there are, K.
    pub(super) fn check(&self, classes: usize) -> Result<(), SpecError> {
        let contradiction = |text: String| Err(SpecError::Contradiction(text));
        if let Some(Selection { latent, sigma_eps, .. }) = self.selection
            && (!(1..=MAX_LATENT).contains(&latent) || !sigma_eps.is_finite() || sigma_eps < 0.0)
        {
            return contradiction(format!(
                "latent {latent} and sigma_eps {sigma_eps}, expected 1 to {MAX_LATENT} and a finite value of at least 0"
            ));
        }
        if let Some(Selection { latent, .. }) = self.selection
            && classes.saturating_mul(latent) > MAX_NOISE
        {
            return contradiction(format!(
                "{classes} classes with latent {latent} each, expected at most {MAX_NOISE} values in all"
            ));
        }
        if let Some(Score::MeanPowerToInput { exponent }) = self.score
            && !(exponent.is_finite() && exponent > 0.0)
        {
            return contradiction(format!("score exponent {exponent}, expected a finite value above 0"));
        }
        let Some(SuspectThreshold { threshold, .. }) = self.suspect_above else { return Ok(()) };
        if !threshold.is_finite() || threshold < 0.0 {
            return contradiction(format!("suspect_above {threshold}, expected a finite value of at least 0"));
        }
        if self.selection.is_none() && self.score.is_none() {
            return contradiction("suspect_above without a score or a selection that it could refer to".into());
        }
        Ok(())
    }
}
