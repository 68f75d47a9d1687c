//! Which file of `results/` holds what, a line for each.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::page;
use super::tables::{BLOCKS, Block};
use crate::evaluate::Results;
use crate::evaluate::adaptive::Outcome;

/// The lines of the files that are there, in the order of their sections on the page.
pub(super) fn write(folder: &Path) -> Result<String> {
    let mut text = "## What was measured\n\nEach line is of `results/FILE.json` and leads to its section. The last column is of the attackers who know the defence.\n\n\
                    | file | images | ε | attacks | behind | images, steps × starts of who knows |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for name in BLOCKS.iter().map(Block::name) {
        let table = (name.clone(), page::file(folder, &name));
        let beside = page::beside(folder, &name)?.into_iter().map(|(what, path)| (format!("{name}-{what}"), path));
        for (name, path) in std::iter::once(table).chain(beside).filter(|(_, path)| path.exists()) {
            let results = Results::read(&path)?;
            let attacks = results.rows.iter().filter(|row| row.parameters.is_some());
            writeln!(
                text,
                "| [{name}](#{name}) | {} | {} | {} | {} | {} |",
                results.rows.iter().map(|row| row.n).max().unwrap_or(0),
                once(
                    results.rows.iter().filter_map(|row| row.parameters?.epsilon()).map(|epsilon| epsilon.to_string())
                ),
                once(attacks.map(|row| row.attack.clone())),
                once(results.defences.keys().cloned()),
                once(results.adaptive.values().map(tried))
            )?;
        }
    }
    Ok(text + "\n")
}

/// How hard the attacker tried who knows the defence.
fn tried(outcome: &Outcome) -> String {
    let effort = outcome.effort;
    let thorough = effort.thorough.map_or("", |_| " thorough");
    format!("{}, {} × {}{thorough}", outcome.n, effort.steps, effort.restarts)
}

/// Each text once, in the order in which they come.
fn once(texts: impl Iterator<Item = String>) -> String {
    let mut seen = BTreeSet::new();
    let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
    if texts.is_empty() { "–".into() } else { texts.join(", ") }
}
