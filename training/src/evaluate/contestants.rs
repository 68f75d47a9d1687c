//! What stands for evaluation, from what the command line names: a run's folder, an exported file, or an untrained
//! defence.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use tch::Device;

use super::{Contestant, Guard};
use crate::data::DataSet;
use crate::defence::Defence;
use crate::defence::defense_gan::{DefenseGan, Projection};
use crate::defence::trivial::{Binarise, ClassMean, MedianFilter};
use crate::nn::params::HasParams;
use crate::runs::{CLASSIFIER, DEFENSE_GAN, MAGNET, Stored, Trained, load_classifier, same_data};

/// A defence for an evaluation, from `binarise`, `median`, `class-mean`, or a run as `FOLDER` or `NAME=FOLDER`; without a name it has that
/// of its network. Only a Defense-GAN needs the `projection`.
///
/// # Errors
/// When the run is of no defence, or of other data, or the projection is absurd.
pub fn defence(set: &DataSet, given: &str, projection: Projection, device: Device) -> Result<Contestant> {
    let (name, run) = named(given)?;
    let untrained: Option<Box<dyn Defence>> = match run {
        "binarise" => Some(Box::new(Binarise)),
        "median" => Some(Box::new(MedianFilter)),
        "class-mean" => Some(Box::new(ClassMean::of(&set.train, set.class_count()))),
        _ => None,
    };
    let (defence, about) = match untrained {
        // Results tell untrained defences apart by their names only.
        Some(_) if name.is_some() => {
            bail!("{given}: {run} has no other name; leave `{}=` out", name.unwrap_or_default())
        }
        Some(defence) => (defence, serde_json::Value::Null),
        None => trained_defence(set, Path::new(run), projection, device)?,
    };
    Ok(Contestant { name: name.map_or_else(|| defence.name(), Into::into), guard: Guard::Defence(defence), about })
}

fn trained_defence(
    set: &DataSet,
    run: &Path,
    projection: Projection,
    device: Device,
) -> Result<(Box<dyn Defence>, serde_json::Value)> {
    let stored = Stored::read(run)?;
    match stored.kind() {
        MAGNET => {
            let trained = stored.magnet(device)?;
            let about = about(set, &trained)?;
            Ok((Box::new(trained.network), about))
        }
        DEFENSE_GAN => {
            let trained = stored.defense_gan(device)?;
            let mut about = about(set, &trained)?;
            about["projection"] = serde_json::to_value(projection)?;
            Ok((Box::new(DefenseGan::new(trained.network, projection)?), about))
        }
        CLASSIFIER => bail!("{}: a classifier defends as --replacement, expected a purifier", run.display()),
        _ => {
            let trained = stored.puvae(device)?;
            let about = about(set, &trained)?;
            Ok((Box::new(trained.network), about))
        }
    }
}

/// What is said of a network that was trained on the data of `set`.
fn about<T: HasParams>(set: &DataSet, trained: &Trained<T>) -> Result<serde_json::Value> {
    same_data(set, &trained.header)?;
    trained.about()
}

/// A classifier that answers in the target's place, from `FOLDER` or `NAME=FOLDER`.
///
/// # Errors
/// When the folder holds no classifier, or one for other data.
pub fn replacement(set: &DataSet, given: &str, device: Device) -> Result<Contestant> {
    let (name, folder) = named(given)?;
    let trained = load_classifier(Path::new(folder), device)?;
    let about = about(set, &trained)?;
    let name = name.map_or_else(|| trained.network.config.architecture.name().into(), Into::into);
    Ok(Contestant { name, guard: Guard::Replacement(trained.network), about })
}

/// A name and a path; a path may have a `=` of its own.
fn named(given: &str) -> Result<(Option<&str>, &str)> {
    match given.split_once('=') {
        Some((name, path)) if !name.contains('/') => {
            ensure!(!name.is_empty(), "{given}: no name before the `=`; leave it out, or give one");
            ensure!(!name.contains('|'), "{given}: a `|` in a name would break the tables; choose another name");
            Ok((Some(name), path))
        }
        _ => Ok((None, given)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_before_the_first_equals_sign_that_is_not_in_a_folder() {
        assert_eq!(named("lite=runs/a").unwrap(), (Some("lite"), "runs/a"));
        assert_eq!(named("runs/a").unwrap(), (None, "runs/a"));
        assert_eq!(named("runs/rate=1/a").unwrap(), (None, "runs/rate=1/a"));
        assert_eq!(named("lite=runs/rate=1/a").unwrap(), (Some("lite"), "runs/rate=1/a"));
        assert!(named("=runs/a").unwrap_err().to_string().contains("no name before the `=`"));
        assert!(named("a|b=runs/a").unwrap_err().to_string().contains("would break the tables"));
    }
}
