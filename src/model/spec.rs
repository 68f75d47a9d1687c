//! `ModelSpec`: what an ONNX file says about itself.
//!
//! One JSON string under the key [`METADATA_KEY`] in the file's `metadata_props`. There is no second
//! file that could drift from the first. Training writes it, the runtime reads it; this module is all
//! they share about it, so it knows serde and nothing of ONNX.

mod purifier;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub use purifier::{Distance, PurifierSpec, Score, Selection, SuspectThreshold};

/// Key of the spec in an ONNX file's `metadata_props`.
pub const METADATA_KEY: &str = "puvae.model_spec";

/// Version of the spec this crate reads and writes.
pub const SPEC_VERSION: u32 = 1;

/// More than any classifier's input; keeps an absurd spec from asking for all memory.
const MAX_SIDE_PX: usize = 1 << 14;

/// More than any classifier's; keeps an absurd spec from asking for all memory.
const MAX_CLASSES: usize = 1 << 16;

/// What a model file is for, what it takes and what it returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Always [`SPEC_VERSION`].
    pub version: u32,
    /// Purifier or classifier.
    pub role: Role,
    /// Shape of one input picture.
    pub input: InputShape,
    /// Class names, 2 to 65 536, in the order of the logits; of a purifier, those of the data it was made for.
    pub classes: Vec<String>,
    /// Present exactly when `role` is [`Role::Purifier`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purifier: Option<PurifierSpec>,
    /// Where the weights come from.
    pub provenance: Provenance,
}

/// The two kinds of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `frames → purified`; with a selection `frames, noise → purified, label, distances`; either with `score` if it has one.
    Purifier,
    /// `frames → logits`.
    Classifier,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Role::Purifier => "purifier",
            Role::Classifier => "classifier",
        })
    }
}

/// Shape of one picture, without the batch: `[channels, height, width]`, values in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputShape {
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl InputShape {
    /// Values in one picture.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl std::fmt::Display for InputShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Name of the architecture, for example `classifier-a` or `puvae-lite`.
    pub architecture: String,
    /// Data set it was trained on.
    pub dataset: String,
    /// The training configuration, as JSON.
    pub config: serde_json::Value,
    /// Seed of the training run.
    pub seed: u64,
    /// Version of the crate that wrote the file.
    pub crate_version: String,
}

/// Why a spec was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Not JSON, or not this shape of JSON.
    #[error("the model spec is not valid: {0}; export the file again with `puvae-train export`")]
    Json(#[from] serde_json::Error),
    /// A spec of another version.
    #[error(
        "the model spec has version {got}, expected {SPEC_VERSION}; export the file again with `puvae-train export` of this release"
    )]
    Version {
        /// What the file says.
        got: u32,
    },
    /// Well-formed, but contradicting itself.
    #[error("the model spec contradicts itself: {0}; export the file again with `puvae-train export`")]
    Contradiction(String),
}

impl ModelSpec {
    /// Reads and checks a spec.
    ///
    /// # Errors
    /// When the text is not a spec, has another version or contradicts itself (no classes, an empty or absurdly large
    /// picture, a purifier without purifier fields or the other way round).
    pub fn from_json(text: &str) -> Result<Self, SpecError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(text)?;
        if version != SPEC_VERSION {
            return Err(SpecError::Version { got: version });
        }
        let spec: Self = serde_json::from_str(text)?;
        spec.check()?;
        Ok(spec)
    }

    /// The spec as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a spec has string keys and finite numbers only")
    }

    fn check(&self) -> Result<(), SpecError> {
        let contradiction = |text: String| Err(SpecError::Contradiction(text));
        if !(2..=MAX_CLASSES).contains(&self.classes.len()) {
            return contradiction(format!("{} class names, expected 2 to {MAX_CLASSES}", self.classes.len()));
        }
        let mut seen = HashSet::new();
        if let Some(name) = self.classes.iter().find(|name| !seen.insert(*name)) {
            return contradiction(format!("class {name:?} stands there twice"));
        }
        if let Some(index) = self.classes.iter().position(|name| name.trim().is_empty()) {
            return contradiction(format!("class {index} has no name"));
        }
        // They are shown in terminals, which take them for commands.
        let Provenance { architecture, dataset, crate_version, .. } = &self.provenance;
        let threshold = self.purifier.as_ref().and_then(|purifier| purifier.suspect_above.as_ref());
        let shown = [architecture, dataset, crate_version].into_iter().chain(&self.classes);
        let mut shown = shown.chain(threshold.map(|threshold| &threshold.calibrated_on));
        if let Some(text) = shown.find(|text| text.contains(char::is_control)) {
            return contradiction(format!("control characters in {text:?}"));
        }
        let InputShape { channels, height, width } = self.input;
        if !matches!(channels, 1 | 3) || ![height, width].iter().all(|side| (1..=MAX_SIDE_PX).contains(side)) {
            return contradiction(format!(
                "input {}, expected 1 or 3 channels and sides of 1 to {MAX_SIDE_PX} pixels",
                self.input
            ));
        }
        if (self.role == Role::Purifier) != self.purifier.is_some() {
            return contradiction(format!(
                "role {} {} the field `purifier`",
                self.role,
                if self.purifier.is_some() { "with" } else { "without" }
            ));
        }
        match &self.purifier {
            Some(purifier) => purifier.check(self.classes.len()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection() -> Selection {
        Selection { latent: 32, sigma_eps: 0.5, distance: Distance::RmseToDenoised }
    }

    fn threshold() -> SuspectThreshold {
        SuspectThreshold { threshold: 0.25, quantile: 0.99, calibrated_on: "mnist held-out 10".into() }
    }

    fn spec() -> ModelSpec {
        ModelSpec {
            version: SPEC_VERSION,
            role: Role::Purifier,
            input: InputShape { channels: 1, height: 28, width: 28 },
            classes: vec!["a".into(), "b".into()],
            purifier: Some(PurifierSpec { selection: Some(selection()), score: None, suspect_above: None }),
            provenance: Provenance {
                architecture: "puvae-lite".into(),
                dataset: "mnist".into(),
                config: serde_json::json!({}),
                seed: 1,
                crate_version: "0.1.0".into(),
            },
        }
    }

    #[test]
    fn a_spec_survives_the_round_trip() {
        assert_eq!(ModelSpec::from_json(&spec().to_json()).unwrap(), spec());
    }

    #[test]
    fn a_purifier_that_selects_a_class_has_its_three_fields_beside_the_others() {
        let purifier = PurifierSpec {
            selection: Some(selection()),
            score: Some(Score::RmseToInput),
            suspect_above: Some(threshold()),
        };
        assert_eq!(
            serde_json::to_string(&purifier).unwrap(),
            "{\"latent\":32,\"sigma_eps\":0.5,\"distance\":\"rmse_to_denoised\",\"score\":\"rmse_to_input\",\
             \"suspect_above\":{\"threshold\":0.25,\"quantile\":0.99,\"calibrated_on\":\"mnist held-out 10\"}}"
        );
    }

    #[test]
    fn a_reformer_names_its_score_and_nothing_of_a_selection() {
        let score = Some(Score::MeanPowerToInput { exponent: 2.0 });
        let purifier = PurifierSpec { selection: None, score, suspect_above: None };
        let text = serde_json::to_string(&purifier).unwrap();
        assert_eq!(text, "{\"score\":{\"mean_power_to_input\":{\"exponent\":2.0}}}");
        let reformer = ModelSpec { purifier: Some(purifier), ..spec() };
        assert_eq!(ModelSpec::from_json(&reformer.to_json()).unwrap(), reformer);
    }

    #[test]
    fn half_a_selection_and_a_threshold_of_nothing_are_refused() {
        let half = spec().to_json().replacen("\"sigma_eps\":0.5,", "", 1);
        let error = ModelSpec::from_json(&half).unwrap_err().to_string();
        assert!(
            error.contains("purifier has latent and distance, expected latent, sigma_eps and distance together"),
            "{error}"
        );
        let refused = |purifier| {
            ModelSpec::from_json(&ModelSpec { purifier: Some(purifier), ..spec() }.to_json()).unwrap_err().to_string()
        };
        let error = refused(PurifierSpec { selection: None, score: None, suspect_above: Some(threshold()) });
        assert!(error.contains("suspect_above without a score or a selection"), "{error}");
        let score = Some(Score::MeanPowerToInput { exponent: 0.0 });
        let error = refused(PurifierSpec { selection: None, score, suspect_above: None });
        assert!(error.contains("score exponent 0, expected a finite value above 0"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let text = spec().to_json().replacen("\"role\"", "\"rule\":1,\"role\"", 1);
        assert!(ModelSpec::from_json(&text).unwrap_err().to_string().contains("unknown field `rule`"));
    }

    #[test]
    fn absurd_shapes_and_classes_are_contradictions() {
        let refused = |spec: ModelSpec| ModelSpec::from_json(&spec.to_json()).unwrap_err().to_string();
        let input = InputShape { channels: 1, height: usize::MAX, width: 2 };
        assert!(refused(ModelSpec { input, ..spec() }).contains("expected 1 or 3 channels and sides of 1 to 16384"));
        let classes = vec!["a".into(), "a".into()];
        assert!(refused(ModelSpec { classes, ..spec() }).contains("class \"a\" stands there twice"));
        let classes = vec!["a\u{1b}[2J".into(), "b".into()];
        assert!(refused(ModelSpec { classes, ..spec() }).contains(r#"control characters in "a\u{1b}[2J""#));
        let classes = vec!["a".into(), " ".into()];
        assert!(refused(ModelSpec { classes, ..spec() }).contains("class 1 has no name"));
        let named = |count: usize| (0..count).map(|at| at.to_string()).collect();
        for count in [1, (1 << 16) + 1] {
            let words = format!("{count} class names, expected 2 to 65536");
            assert!(refused(ModelSpec { classes: named(count), ..spec() }).contains(&words));
        }
        let classifier = ModelSpec { role: Role::Classifier, purifier: None, classes: named(1 << 16), ..spec() };
        assert!(ModelSpec::from_json(&classifier.to_json()).is_ok());
    }

    #[test]
    fn an_absurd_latent_is_a_contradiction() {
        let refused = |latent| {
            let selection = Some(Selection { latent, ..selection() });
            let purifier = Some(PurifierSpec { selection, score: None, suspect_above: None });
            ModelSpec::from_json(&ModelSpec { purifier, ..spec() }.to_json()).map_err(|error| error.to_string())
        };
        for latent in [0, (1 << 14) + 1, usize::MAX] {
            let error = refused(latent).unwrap_err();
            let words =
                format!("latent {latent} and sigma_eps 0.5, expected 1 to 16384 and a finite value of at least 0");
            assert!(error.contains(&words), "{error}");
        }
        assert!(refused(1 << 14).is_ok());
    }

    #[test]
    fn latent_noise_that_is_absurd_in_all_is_a_contradiction() {
        let selection = Some(Selection { latent: 1 << 12, ..selection() });
        let purifier = Some(PurifierSpec { selection, score: None, suspect_above: None });
        let checked = |count: usize| {
            let classes = (0..count).map(|at| at.to_string()).collect();
            ModelSpec::from_json(&ModelSpec { purifier: purifier.clone(), classes, ..spec() }.to_json())
        };
        assert!(checked(1 << 10).is_ok());
        let error = checked((1 << 10) + 1).unwrap_err().to_string();
        assert!(
            error.contains("1025 classes with latent 4096 each, expected at most 4194304 values in all"),
            "{error}"
        );
    }

    #[test]
    fn another_version_is_refused_before_its_fields_are_read() {
        let error = ModelSpec::from_json(r#"{"version":7,"whatever":1}"#).unwrap_err();
        assert!(error.to_string().contains("version 7, expected 1"), "{error}");
    }

    #[test]
    fn a_purifier_without_purifier_fields_is_a_contradiction() {
        let error = ModelSpec::from_json(&ModelSpec { purifier: None, ..spec() }.to_json()).unwrap_err();
        assert!(error.to_string().contains("role purifier without the field `purifier`"), "{error}");
    }
}
