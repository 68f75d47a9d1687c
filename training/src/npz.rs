//! An attack's pictures, and a network's weights, in NumPy's format: for other tools to check and to go on with.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::json;
use tch::{Device, Tensor};

use crate::attack::{self, Goal, Plan};
use crate::classifier::Classifier;
use crate::data::{DataSet, Split};
use crate::files;
use crate::runs::{Trained, same_data};

/// Attacks `target` on a named split and writes `x` and `x_adv` `[N, C, H, W]` f32, `y` and `y_target` `[N]` i64 (−1 where nothing is
/// aimed at), and `parameters`: JSON text as bytes. The pictures are those that an evaluation with the same seed and
/// the same number of images judges under an attack that is not costly.
///
/// # Errors
/// When the target was trained on other data, there are no images, or the file cannot be written.
pub fn attack(
    target: &Trained<Classifier>,
    set: &DataSet,
    (split, split_name): (&Split, &str),
    plan: Plan,
    path: &Path,
) -> Result<()> {
    same_data(set, &target.header)?;
    let adversarial = attack::run(&target.network, plan, split, target.network.config.classes)?;
    let clean = split.all();
    let y_target = match plan.goal(&clean.y, target.network.config.classes) {
        Goal::Targeted(classes) => classes,
        Goal::Untargeted(_) => clean.y.full_like(-1),
    };
    let parameters = json!({
        "attack": plan.attack,
        "aim": plan.aim,
        "seed": plan.seed,
        "dataset": set.name,
        "split": split_name,
        "n": split.len(),
        "victim": target.identity(),
        "success": adversarial.success,
        "mean_l2": adversarial.mean_l2,
    });
    let tensors = [
        ("x".to_owned(), clean.x),
        ("x_adv".to_owned(), adversarial.x),
        ("y".to_owned(), clean.y),
        ("y_target".to_owned(), y_target),
        ("parameters".to_owned(), Tensor::from_slice(parameters.to_string().as_bytes())),
    ];
    write(&tensors, path)
}

/// Writes a classifier's parameters by name, in libtorch's layout.
///
/// # Errors
/// When the file cannot be written.
pub fn weights(classifier: &Classifier, path: &Path) -> Result<()> {
    write(&classifier.params.all().into_iter().collect::<Vec<_>>(), path)
}

/// Refuses a name that NumPy would not take for one of its archives.
///
/// # Errors
/// Names the file.
pub fn check(path: &Path) -> Result<()> {
    ensure!(
        path.extension().is_some_and(|ending| ending == "npz"),
        "{}: expected a file name that ends in .npz",
        path.display()
    );
    Ok(())
}

fn write(tensors: &[(String, Tensor)], path: &Path) -> Result<()> {
    check(path)?;
    let plain: Vec<(&str, Tensor)> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor.detach().to_device(Device::Cpu).contiguous()))
        .collect();
    files::replace_with(path, |partial| Ok(Tensor::write_npz(&plain, partial)?))
}
