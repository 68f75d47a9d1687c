//! What tells one trained network from another, what it learned from, and which data it belongs to.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Trained;
use crate::checkpoint::Header;
use crate::data::DataSet;
use crate::nn::params::HasParams;

/// The key of a network's weights' SHA-256 in what results say of it.
const WEIGHTS: &str = "weights_sha256";

/// The sources that a purifier learned from, and those of the runs that it began with, by the header of its checkpoint; none of what is no
/// purifier.
#[must_use]
pub fn sources(header: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut run = &header["config"];
    while !run.is_null() {
        match &run["source"] {
            Value::Null => {}
            Value::Array(several) => found.extend(several),
            one => found.push(one),
        }
        run = &run["from"];
    }
    found
}

impl<T: HasParams> Trained<T> {
    /// What identifies exactly this network: its configuration, how it was trained, from which seed, and the hash of its weights.
    #[must_use]
    pub fn identity(&self) -> Value {
        let Header { config, epoch, seed, .. } = &self.header;
        json!({
            "config": config["network"],
            "schedule": config["schedule"],
            "epochs_done": epoch,
            "seed": seed,
            WEIGHTS: self.network.params().sha256(),
        })
    }

    /// The same of a purifier that another one begins with, and in it what that one learned from and began with.
    pub(super) fn history(&self) -> Value {
        let mut history = self.identity();
        for key in ["source", "from"] {
            if let Some(earlier) = self.header.config.get(key) {
                history[key] = earlier.clone();
            }
        }
        history
    }

    /// What results say of it: how it was made, and the hash of its weights.
    ///
    /// # Errors
    /// When the header is no JSON.
    pub fn about(&self) -> Result<Value> {
        let recipe = Header { classes: Vec::new(), held_out_sha256: String::new(), ..self.header.clone() };
        let mut about = serde_json::to_value(recipe)?;
        about[WEIGHTS] = self.network.params().sha256().into();
        Ok(about)
    }
}

/// Takes the hashes of weights out of `about`, at any depth, where `earlier`, which was said before these weights were hashed, has
/// none: then the recipe alone tells whether it is the same network.
pub fn as_known(about: &mut Value, earlier: &Value) {
    match (about, earlier) {
        (Value::Object(about), Value::Object(earlier)) => {
            if !earlier.contains_key(WEIGHTS) {
                about.remove(WEIGHTS);
            }
            for (key, value) in about {
                earlier.get(key).into_iter().for_each(|earlier| as_known(value, earlier));
            }
        }
        (Value::Array(about), Value::Array(earlier)) => {
            about.iter_mut().zip(earlier).for_each(|(about, earlier)| as_known(about, earlier));
        }
        _ => {}
    }
}

/// Whether two networks, as [`Trained::about`] tells of them, are the same by the hashes of their weights or, where one of them has none, by
/// how they were made.
#[must_use]
pub fn are_alike(one: &Value, other: &Value) -> bool {
    let recipe = |about: &Value, other: &Value| {
        let mut about = about.clone();
        as_known(&mut about, other);
        ["config", "epoch", "seed"].map(|key| about[key].clone())
    };
    if one[WEIGHTS].is_null() || other[WEIGHTS].is_null() {
        recipe(one, other) == recipe(other, one)
    } else {
        one[WEIGHTS] == other[WEIGHTS]
    }
}

/// Refuses a network that was trained on other data than `set`, as far as its header tells: another data set, pictures of
/// another size, other channels, other classes, or other images held out.
///
/// # Errors
/// Names what differs.
pub fn same_data(set: &DataSet, header: &Header) -> Result<()> {
    ensure!(
        header.dataset == set.name,
        "the {} was trained on {}, expected {}; give a run of the same data set",
        header.kind,
        header.dataset,
        set.name
    );
    let network = &header.config["network"];
    for (field, here) in [("side_px", set.side_px), ("channels", set.channels), ("classes", set.class_count())] {
        let there = network[field].as_i64();
        ensure!(
            there.is_none_or(|there| there == here),
            "the {} was trained on {} with {field} {}, but {field} is {here} now; read the pictures with the --side, --channels and class folders of that run",
            header.kind,
            set.name,
            network[field]
        );
    }
    ensure!(
        header.classes.is_empty() || header.classes == set.classes,
        "the {} was trained on {} with the classes {}, expected {}; give the class folders the names that they had",
        header.kind,
        set.name,
        header.classes.join(", "),
        set.classes.join(", ")
    );
    ensure!(
        header.held_out_sha256.is_empty() || header.held_out_sha256 == set.held_out.sha256(),
        "the {} was trained on {} with other images held out, so it may have learned from some that are held out now; read the images that it was trained with, or train again",
        header.kind,
        set.name
    );
    if !tells_held_out(set, header) {
        eprintln!(
            "note: the {} does not tell which images of {} were held out when it was trained; if they were read in another form then, it has learned from some that are held out now, which flatters held-out figures and thresholds",
            header.kind, set.name
        );
    }
    Ok(())
}

/// Whether it is known that what was held out from a network is what is held out of `set`, after [`same_data`].
pub(super) fn tells_held_out(set: &DataSet, header: &Header) -> bool {
    !header.held_out_sha256.is_empty() || set.has_one_form()
}
