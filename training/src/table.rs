//! Results files as a Markdown table, with the paper's numbers beside ours.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::attack::Attack;
use crate::evaluate::{Results, Row};

/// Reads results files.
///
/// # Errors
/// When a file cannot be read or is not a results file.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Results>> {
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<Results> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read the results", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{}: not a results file of `puvae-train evaluate`", path.display()))
}

/// One row for each attack of each file; accuracies in percent.
#[must_use]
pub fn markdown(all: &[Results]) -> String {
    let mut text = String::from(
        "| data, target | attack | undefended | purified | y* | paper's PuVAE | mean L2 | images | seed |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for results in all {
        let target = results.target["config"]["network"]["architecture"].as_str().unwrap_or("?");
        for row in &results.rows {
            let percent = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
            text += &format!(
                "| {} {} | {} | {:.2} | {} | {} | {} | {:.2} | {} {} | {} |\n",
                results.dataset,
                target.to_uppercase(),
                attack(row),
                row.undefended,
                percent(row.defended),
                percent(row.y_star),
                percent(paper(results, target, row)),
                row.mean_l2,
                results.n,
                results.split,
                results.seed
            );
        }
        for warning in &results.warnings {
            text += &format!("\n{} {}: warning: {warning}\n\n", results.dataset, target.to_uppercase());
        }
    }
    text
}

fn attack(row: &Row) -> String {
    match row.parameters {
        None if row.attack == "clean" => "none".into(),
        None => row.attack.replace('-', " "),
        Some(kind) => format!("{} ε {}", row.attack, kind.steps().epsilon),
    }
}

/// PuVAE's accuracy in the paper's Tables 3 and 4, where ours was measured on the same thing: ε 0.3, test images,
/// purified. The paper does not state iFGSM's number of steps, so its number stands beside each of ours, and it
/// never states clean accuracy with the purifier on.
fn paper(results: &Results, target: &str, row: &Row) -> Option<f64> {
    let epsilon = row.parameters?.steps().epsilon;
    if results.split != "test" || row.defended.is_none() || epsilon != 0.3 {
        return None;
    }
    let fgsm = matches!(row.parameters, Some(Attack::Fgsm { .. }));
    match (results.dataset.as_str(), target, fgsm) {
        ("mnist", "a", true) => Some(81.33),
        ("mnist", "a", false) => Some(92.33),
        ("mnist", "b", true) => Some(88.25),
        ("mnist", "b", false) => Some(92.25),
        ("fashion-mnist", "a", true) => Some(59.18),
        ("fashion-mnist", "a", false) => Some(72.51),
        ("fashion-mnist", "b", true) => Some(52.46),
        ("fashion-mnist", "b", false) => Some(71.04),
        _ => None,
    }
}
