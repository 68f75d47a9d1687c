//! The top of the page: what each defence is worth, in a line for each target.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::page;
use super::tables::BLOCKS;
use crate::evaluate::adaptive::{ATTACKER, Outcome};
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
            let earlier = if outcome.attacker < ATTACKER { "†" } else { "" };
            format!("{:.1}{earlier} ({})", outcome.worst, outcome.n)
        },
    );
    if clean.or(lowest).is_none() {
        "–".into()
    } else {
        format!("{} / {} / {adaptive}", number(clean), number(lowest))
    }
}

/// What the most thorough attacker left of this network, of those with the table's ε; of two alike, who had more images.
fn hardest<'a>(table: &'a Results, beside: &'a [Results], name: &str) -> Option<&'a Outcome> {
    let own = table.adaptive.get(name)?;
    let about = |results: &Results| results.defences.get(name).cloned().unwrap_or_default();
    let same = |other: &&Results| {
        runs::may_be_same(&other.target, &table.target) && runs::may_be_same(&about(other), &about(table))
    };
    let others = beside.iter().filter(same).filter_map(|results| results.adaptive.get(name));
    let others = others.filter(|outcome| outcome.effort.epsilon == own.effort.epsilon);
    std::iter::once(own).chain(others).max_by_key(|outcome| (outcome.effort.thorough.is_some(), outcome.n))
}
