//! Results files as Markdown, with the paper's numbers beside ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;

use crate::attack::Aim;
use crate::evaluate::adaptive::{Outcome, OutcomeRow};
use crate::evaluate::interval::wilson;
use crate::evaluate::{BLACK_BOX, CLEAN, Cell, Results, Row, checks};
use crate::paper::{self, Line};
use crate::puvae::PuvaeConfig;
use crate::runs;
use crate::runs::substitute::Origin;

/// Images below which a threshold that rejects 1 % of them is noise: it is one of the few largest scores.
const FEWEST_FOR_A_THRESHOLD: usize = 1_000;

/// A section for each results file, under the name of the file.
///
/// # Errors
/// When a file cannot be read or is not a results file.
pub fn of_files(paths: &[PathBuf]) -> Result<String> {
    let sections = paths.iter().map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(section(&name, &Results::read(path)?))
    });
    Ok(sections.collect::<Result<Vec<_>>>()?.join("\n"))
}

/// A table of the attackers who see the classifier only, one of those who know the defence, and the warnings.
#[must_use]
pub fn section(name: &str, results: &Results) -> String {
    let target = target(results);
    let names: Vec<&String> = results.defences.keys().collect();
    let mut text = format!(
        "### {name}: {}, target {} ({} images, seed {})\n\n",
        results.dataset,
        target.to_uppercase(),
        results.split,
        results.seed
    );
    if !results.finished {
        text += "**Not finished:** rows are missing; the same command goes on (`puvae-train evaluate` with `--resume`).\n\n";
    }
    let columns: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let head = ["attack", "n", "mean L2", "mean L∞", "success rate", "undefended"]
        .into_iter()
        .chain(columns)
        .chain(["paper's best"]);
    table_head(&mut text, head);
    for row in &results.rows {
        table_row(&mut text, cells(results, target, row, &names));
    }
    for (name, rows) in lost(results) {
        writeln!(text, "\nLost, since {name} was not there when the row was measured anew: {}.", rows.join(", "))
            .expect("writing to a string does not fail");
    }
    if let Some(about) = substitute(results) {
        writeln!(text, "\n{about}").expect("writing to a string does not fail");
    }
    detectors(&mut text, results);
    if !results.adaptive.is_empty() {
        text += "\nAdaptive attacks (the attacker knows the defence):\n\n";
        adaptive(&mut text, results);
    }
    for warning in results.signs() {
        writeln!(text, "\nWarning: {warning}.").expect("writing to a string does not fail");
    }
    let carried = checks::of_transfer(&results.rows);
    if !carried.is_empty() {
        writeln!(
            text,
            "\nOut of order, since attacks that were made on one network are only carried to another: {}.",
            carried.join("; ")
        )
        .expect("writing to a string does not fail");
    }
    text
}

/// What the defences' detectors reject, and what is right of the rest.
fn detectors(text: &mut String, results: &Results) {
    let detects = |name: &&String| {
        results.rows.iter().any(|row| row.defended.get(*name).is_some_and(|cell| cell.rejected.is_some()))
    };
    let names: Vec<&String> = results.defences.keys().filter(detects).collect();
    let calibrated_on = match results.calibrated_on {
        0 => results.rows.iter().map(|row| row.n).max().unwrap_or(0),
        told => told,
    };
    if names.is_empty() || calibrated_on < FEWEST_FOR_A_THRESHOLD {
        return;
    }
    let among = if results.split == "test" { "" } else { ", some of which are judged here" };
    writeln!(
        text,
        "\nAccuracy with rejection: what each defence's detector rejects (its threshold rejects 1 % of the first {calibrated_on} clean held-out images{among}), and what is right of the rest:\n"
    )
    .expect("writing to a string does not fail");
    let heads = names.iter().flat_map(|name| [format!("{name} rejects"), "of the rest right".into()]);
    let heads: Vec<String> = std::iter::once("attack".into()).chain(heads).collect();
    table_head(text, heads.iter().map(String::as_str));
    for row in &results.rows {
        let cells = names.iter().flat_map(|name| {
            let cell = row.defended.get(*name);
            [percent(cell.and_then(|cell| cell.rejected)), percent(cell.and_then(|cell| cell.accuracy_of_accepted))]
        });
        table_row(text, std::iter::once(attack_text(row)).chain(cells).collect());
    }
}

/// Defences that have cells in some rows of finished results, and those rows where they have none.
fn lost(results: &Results) -> Vec<(&str, Vec<String>)> {
    let lacks = |name: &String| -> Vec<String> {
        results.rows.iter().filter(|row| !row.defended.contains_key(name)).map(attack_text).collect()
    };
    let all = results.defences.keys().filter(|_| results.finished).map(|name| (name.as_str(), lacks(name)));
    all.filter(|(_, rows)| !rows.is_empty()).collect()
}

fn target(results: &Results) -> &str {
    results.target["config"]["network"]["architecture"].as_str().unwrap_or("?")
}

/// Where the substitute of the black-box rows comes from.
fn substitute(results: &Results) -> Option<String> {
    let origin: Origin = serde_json::from_value(results.substitute["config"]["substitute"].clone()).ok()?;
    let oracle = origin.defence.map_or("undefended target".into(), |defence| {
        format!("target behind {}", defence["name"].as_str().unwrap_or("a defence"))
    });
    Some(format!(
        "`{BLACK_BOX}…`: made on a substitute that learned from {} answers of the {oracle}; it agrees with it on {:.1} % of other held-out images.",
        origin.queries, origin.agreement
    ))
}

fn cells(results: &Results, target: &str, row: &Row, names: &[&String]) -> Vec<String> {
    let paper = paper_line(results, target, row);
    let undefended = match (paper, row.attack == CLEAN) {
        (Some(line), _) => with_paper(row.undefended, Some(line.undefended)),
        (None, true) if results.split == "test" => with_paper(row.undefended, paper::clean(&results.dataset, target)),
        (None, _) => percent(Some(row.undefended)),
    };
    let paper_of = |name: &str| paper.and_then(|line| line.of(name));
    let cell = |name: &String| row.defended.get(name).map(|cell| defended(cell, paper_of(name)));
    let defended = names.iter().map(|name| cell(name).unwrap_or_else(|| "–".into()));
    let size = [format!("{:.2}", row.mean_l2), format!("{:.3}", row.mean_linf), percent(row.attack_success)];
    let mut cells = vec![attack_text(row), row.n.to_string()];
    cells.extend(size);
    cells.push(undefended);
    cells.extend(defended);
    cells.push(percent(paper.map(|line| line.best())));
    cells
}

/// The paper's numbers, where ours were measured on the same thing. Its black-box table (Table 6) is not known here.
fn paper_line(results: &Results, target: &str, row: &Row) -> Option<Line> {
    let aim = if row.attack.starts_with("untargeted-") { Aim::Untargeted } else { Aim::Targeted };
    let known = results.split == "test" && !row.attack.starts_with(BLACK_BOX);
    known.then(|| paper::line(&results.dataset, target, row.parameters?, aim)).flatten()
}

fn attack_text(row: &Row) -> String {
    match row.parameters.and_then(|attack| attack.epsilon()) {
        Some(epsilon) => format!("{} ε {epsilon}", row.attack),
        None => row.attack.replace("uniform-noise", "uniform noise"),
    }
}

/// Accuracy; where the defence's own choice differs from the classifier's answer, that too.
fn defended(cell: &Cell, paper: Option<f64>) -> String {
    let accuracy = with_paper(cell.accuracy, paper);
    match cell.y_star {
        Some(y_star) if (y_star - cell.accuracy).abs() >= 0.005 => format!("{accuracy} (y* {y_star:.2})"),
        _ => accuracy,
    }
}

/// How long each network was trained, beside the published recipe where there is one.
#[must_use]
pub fn trained(results: &Results) -> String {
    let others = results.defences.iter().filter(|(_, about)| !about.is_null());
    let all =
        std::iter::once(("the target", &results.target)).chain(others.map(|(name, about)| (name.as_str(), about)));
    let lengths: Vec<String> = all.map(|(name, header)| trained_for(name, header, &results.dataset)).collect();
    format!("Trained: {}.", lengths.join(", "))
}

/// The same of one network, by the header of its checkpoint.
#[must_use]
pub(crate) fn trained_for(name: &str, header: &serde_json::Value, dataset: &str) -> String {
    let published = paper::published_training(name, dataset).map(|length| format!("published: {length}"));
    let rounded =
        (header["config"]["network"]["weights"] == "int8").then(|| "weights rounded to eight bits".to_owned());
    let remarks: Vec<String> =
        published.into_iter().chain(departures(&header["config"]["network"])).chain(rounded).collect();
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
    let schedule = &header["config"]["schedule"];
    let epochs = header["epoch"].as_u64().unwrap_or(0);
    let length = match (schedule["checkpoint_every"].as_u64(), schedule["iterations"].as_u64()) {
        (Some(every), Some(iterations)) => format!("{} iterations", iterations.min(epochs * every)),
        _ => format!("{epochs} epochs"),
    };
    let sources = runs::sources(header).into_iter();
    let sources: BTreeSet<String> =
        sources.filter_map(|source| Some(source["config"]["architecture"].as_str()?.to_uppercase())).collect();
    let sources = match sources.len() {
        0 => String::new(),
        count => format!(" on classifier{} {}", if count > 1 { "s" } else { "" }, Vec::from_iter(sources).join(", ")),
    };
    format!("{name}{sources} for {length}{remarks}{}", earlier(&header["config"]["from"]))
}

/// The runs that it began with, the last first.
fn earlier(from: &serde_json::Value) -> String {
    let Some(epochs) = from["epochs_done"].as_u64() else { return String::new() };
    let departures = departures(&from["config"]);
    let departures = if departures.is_empty() { String::new() } else { format!(" ({})", departures.join("; ")) };
    format!(", after another run's {epochs}{departures}{}", earlier(&from["from"]))
}

/// What a purifier's configuration changes of its preset; of the paper's network, the preset is the paper.
fn departures(network: &serde_json::Value) -> Vec<String> {
    let config = serde_json::from_value::<PuvaeConfig>(network.clone());
    let departures = config.map_or_else(|_| Vec::new(), |config| config.departures());
    departures.into_iter().map(|(field, value, usual)| format!("{field} {value} in place of {usual}")).collect()
}

fn with_paper(ours: f64, paper: Option<f64>) -> String {
    paper.map_or_else(|| format!("{ours:.2}"), |paper| format!("{ours:.2} (paper {paper:.2})"))
}

fn adaptive(text: &mut String, results: &Results) {
    let head = [
        "defence",
        "n",
        "ε",
        "steps × starts",
        "clean",
        "each attack",
        "worst case (95 % interval)",
        "without a bound",
    ];
    table_head(text, head.into_iter());
    for (name, outcome) in &results.adaptive {
        table_row(text, adaptive_cells(name, outcome));
    }
    let mut earlier = BTreeMap::<String, Vec<&str>>::new();
    for (name, outcome) in &results.adaptive {
        outcome.weakness().into_iter().for_each(|weakness| earlier.entry(weakness).or_default().push(name));
    }
    for (weakness, names) in earlier {
        writeln!(text, "\nFrom an earlier version of the attacker, who {weakness}: {}.", names.join(", "))
            .expect("writing to a string does not fail");
    }
}

fn adaptive_cells(name: &str, outcome: &Outcome) -> Vec<String> {
    let effort = outcome.effort;
    let queries = effort.thorough.map(|thorough| format!(", {} queries", thorough.queries));
    let (low, high) = wilson(outcome.worst, outcome.n);
    let attacks: Vec<String> = outcome.rows.iter().map(attack_that_knows).collect();
    vec![
        name.into(),
        outcome.n.to_string(),
        effort.epsilon.to_string(),
        format!("{} × {}{}", effort.steps, effort.restarts, queries.unwrap_or_default()),
        format!("{:.1}", outcome.clean),
        attacks.join(", "),
        format!("**{:.1}** ({low:.1} to {high:.1})", outcome.worst),
        format!("{:.1}", outcome.unbounded),
    ]
}

/// What an attack left, and of those in several rounds that came after others, after each round: whether more would have helped.
fn attack_that_knows(row: &OutcomeRow) -> String {
    let rounds: Vec<String> = row.after_rounds.iter().map(|left| format!("{left:.1}")).collect();
    let text = format!("{} {:.1}", row.attack, row.accuracy);
    if rounds.len() > 2 && row.came_after_others() {
        format!("{text} (after each start {})", rounds.join(", "))
    } else {
        text
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.2}"))
}

fn table_head<'a>(text: &mut String, head: impl Iterator<Item = &'a str>) {
    let head: Vec<&str> = head.collect();
    writeln!(text, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()))
        .expect("writing to a string does not fail");
}

fn table_row(text: &mut String, cells: Vec<String>) {
    writeln!(text, "| {} |", cells.join(" | ")).expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puvae::Size;

    #[test]
    fn a_purifier_is_told_with_every_run_that_it_began_with() {
        let network = |self_share| {
            let config = PuvaeConfig { self_share, ..PuvaeConfig::preset(Size::Lite, 28, 1, 10) };
            serde_json::to_value(config).unwrap()
        };
        let first = serde_json::json!({ "config": network(0.0), "epochs_done": 8 });
        let second = serde_json::json!({ "config": network(0.5), "epochs_done": 6, "from": first });
        let header = serde_json::json!({ "epoch": 3, "config": { "network": network(0.0), "from": second } });
        assert_eq!(
            trained_for("purifier", &header, "mnist"),
            "purifier for 3 epochs, after another run's 6 (self_share 0.5 in place of 0.0), after another run's 8"
        );
    }
}
