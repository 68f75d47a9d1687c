//! Results files as a Markdown table, with the paper's numbers beside ours.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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
        "| data, target | attack | undefended | purified | y* | paper's PuVAE | mean L2 | n | seed |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for results in all {
        let target = results.target["config"]["network"]["architecture"].as_str().unwrap_or("?");
        for row in &results.rows {
            let percent = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
            text += &format!(
                "| {} {} | {} | {:.2} | {} | {} | {} | {:.2} | {} | {} |\n",
                results.dataset,
                target.to_uppercase(),
                attack(row),
                row.undefended,
                percent(row.defended),
                percent(row.y_star),
                percent(paper(&results.dataset, target, &row.attack)),
                row.mean_l2,
                results.n,
                results.seed
            );
        }
    }
    text
}

fn attack(row: &Row) -> String {
    match row.parameters {
        None => "none".into(),
        Some(kind) => format!("{} ε {}", row.attack, kind.steps().epsilon),
    }
}

/// PuVAE's accuracy in the paper's Tables 3 and 4 (ε 0.3). It does not state iFGSM's number of steps, so its
/// number stands beside each of ours, and never states clean accuracy with the purifier on.
fn paper(dataset: &str, target: &str, attack: &str) -> Option<f64> {
    let iterative = attack.starts_with("ifgsm");
    match (dataset, target, attack) {
        ("mnist", "a", "fgsm") => Some(81.33),
        ("mnist", "b", "fgsm") => Some(88.25),
        ("fashion-mnist", "a", "fgsm") => Some(59.18),
        ("fashion-mnist", "b", "fgsm") => Some(52.46),
        ("mnist", "a", _) if iterative => Some(92.33),
        ("mnist", "b", _) if iterative => Some(92.25),
        ("fashion-mnist", "a", _) if iterative => Some(72.51),
        ("fashion-mnist", "b", _) if iterative => Some(71.04),
        _ => None,
    }
}
