//! The top of the page: what each defence is worth, in a line for each target.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::page;
use super::tables::BLOCKS;
use crate::evaluate::adaptive::Outcome;
use crate::evaluate::checks::accuracy_behind;
use crate::evaluate::{BLACK_BOX, CLEAN, Results, UNDEFENDED};
use crate::runs;

/// What the last column holds: the classifier that the purifiers learned from.
const OTHER: &str = "other classifier";
/// What stands in the columns, by the names in results.
const COLUMNS: [&str; 8] =
    [UNDEFENDED, "puvae-paper", "puvae-lite", "magnet", "adversarial", "binarise", "class-mean", OTHER];

/// The lines of the targets that were measured, with what they say.
pub(super) fn write(folder: &Path) -> Result<String> {
    let mut text = "## Summary\n\nAccuracy in percent: on clean images / the lowest under the attacks made on M_t by one who does not know the defence / worst case of the adaptive \
                    attacks by one who does, of the most thorough attempt with this ε, with its number of images (intervals and attacks are in the tables; † is of an earlier version of the attacker).\n\n"
        .to_owned();
    writeln!(text, "| target | {} |\n|---|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()))?;
    for block in BLOCKS.iter().filter(|block| block.table < 6) {
        let path = page::file(folder, &block.name());
        if !path.exists() {
            continue;
        }
        let table = Results::read(&path)?;
        let beside = page::beside(folder, &block.name())?;
        let beside: Vec<Results> = beside.iter().map(|(_, path)| Results::read(path)).collect::<Result<_>>()?;
        let other = table.defences.keys().find(|name| name.starts_with("classifier-")).map_or(OTHER, String::as_str);
        let cells = COLUMNS.map(|column| cell(&table, &beside, if column == OTHER { other } else { column }));
        writeln!(text, "| {} {} | {} |", block.dataset, block.target.letter().to_uppercase(), cells.join(" | "))?;
    }
    Ok(text + "\n")
}

/// `clean / lowest / adaptive`, each `–` where it was not measured.
fn cell(table: &Results, beside: &[Results], name: &str) -> String {
    let behind = |row| accuracy_behind(row, name);
    let attacks = table.rows.iter().filter(|row| row.parameters.is_some() && !row.attack.starts_with(BLACK_BOX));
    let lowest = attacks.filter_map(behind).min_by(f64::total_cmp);
    let clean = table.row(CLEAN).and_then(behind);
    let number = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.1}"));
    let adaptive = hardest(table, beside, name).map_or_else(
        || "–".into(),
        |outcome| {
            let earlier = if outcome.weakness().is_some() { "†" } else { "" };
            format!("{:.1}{earlier} ({})", outcome.worst, outcome.n)
        },
    );
    if clean.or(lowest).is_none() {
        "–".into()
    } else {
        format!("{} / {} / {adaptive}", number(clean), number(lowest))
    }
}

/// What the most thorough attacker left of this network on the table's images, of those with the table's ε; of two alike, he of the
/// later version, then who had more images, then who took more steps.
fn hardest<'a>(table: &'a Results, beside: &'a [Results], name: &str) -> Option<&'a Outcome> {
    let own = table.adaptive.get(name)?;
    let about = |results: &Results| results.defences.get(name).cloned().unwrap_or_default();
    let same = |other: &&Results| {
        let hashes = [&other.images_sha256, &table.images_sha256];
        let of_other_images = hashes.iter().all(|hash| !hash.is_empty()) && hashes[0] != hashes[1];
        other.split == table.split
            && !of_other_images
            && runs::are_alike(&other.target, &table.target)
            && runs::are_alike(&about(other), &about(table))
    };
    let others = beside.iter().filter(same).filter_map(|results| results.adaptive.get(name));
    let others = others.filter(|outcome| outcome.effort.epsilon == own.effort.epsilon);
    std::iter::once(own).chain(others).max_by_key(|outcome| {
        let effort = outcome.effort;
        (effort.thorough.is_some(), outcome.attacker, outcome.n, effort.steps * effort.restarts)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evaluate::adaptive::ATTACKER;

    /// Results of one defence with this outcome.
    fn results(about: Value, worst: f64, change: impl FnOnce(&mut Value)) -> Results {
        let outcome = json!({
            "attacker": ATTACKER, "effort": { "epsilon": 0.3, "alpha": 0.03, "steps": 40, "restarts": 5 }, "n": 64, "clean": 90.0,
            "rows": [], "worst": worst, "unbounded": 0.0
        });
        let mut results = json!({
            "schema": 3, "command": "", "dataset": "mnist", "split": "test", "images_sha256": "i", "seed": 1, "device": "",
            "target": { "seed": 2 }, "defences": { "d": about }, "rows": [], "adaptive": { "d": outcome }, "warnings": [],
            "seconds": 0.0
        });
        change(&mut results);
        serde_json::from_value(results).unwrap()
    }

    #[test]
    fn the_most_thorough_attempt_on_the_same_network_and_images_is_shown() {
        let network = || json!({ "config": { "network": 1 }, "epoch": 6, "seed": 1 });
        let table = results(network(), 80.0, |_| {});
        let shown = |beside: &[Results]| hardest(&table, beside, "d").unwrap().worst;
        let thorough = |results: &mut Value| {
            results["adaptive"]["d"]["effort"]["thorough"] = json!({ "queries": 9 });
        };
        assert_eq!(shown(&[results(network(), 70.0, thorough)]), 70.0);
        assert_eq!(shown(&[results(network(), 90.0, thorough)]), 90.0, "not the lowest: who tried the most");
        let hashed = json!({ "config": { "network": 1 }, "epoch": 6, "seed": 1, "weights_sha256": "a" });
        assert_eq!(shown(&[results(hashed, 70.0, thorough)]), 70.0, "the table does not tell its hash");
        let more = |attacker: u32, worst| {
            results(network(), worst, move |results: &mut Value| {
                thorough(results);
                results["adaptive"]["d"]["attacker"] = json!(attacker);
                results["adaptive"]["d"]["n"] = json!(if attacker == ATTACKER { 100 } else { 200 });
            })
        };
        let [earlier, later] = [(2, 75.0), (3, 70.0)];
        for [one, other] in [[earlier, later], [later, earlier]] {
            assert_eq!(shown(&[more(one.0, one.1), more(other.0, other.1)]), 70.0, "the later of two earlier ones");
        }
        assert_eq!(
            shown(&[more(2, 75.0), more(ATTACKER, 60.0)]),
            60.0,
            "the present attacker's, though of fewer images"
        );

        type Change = fn(&mut Value);
        let others: [(&str, Change); 6] = [
            ("another ε", |results| results["adaptive"]["d"]["effort"]["epsilon"] = json!(0.4)),
            ("held-out images", |results| results["split"] = json!("held-out")),
            ("other images", |results| results["images_sha256"] = json!("j")),
            ("another target", |results| results["target"]["seed"] = json!(7)),
            ("another recipe", |results| results["defences"]["d"]["config"]["network"] = json!(2)),
            ("untrained", |results| results["defences"]["d"] = Value::Null),
        ];
        for (what, change) in others {
            let other = results(network(), 10.0, |results| {
                thorough(results);
                change(results);
            });
            assert_eq!(shown(&[other]), 80.0, "{what}");
        }
    }
}
