//! The comparison for a terminal.

use std::fmt::Write as _;

use super::Comparison;
use super::rows::Figure;
use crate::report::table::{headline, lay_out};

pub(super) fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    let mut add = |part: String| writeln!(text, "{part}").expect("a string takes what is written to it");
    for (letter, run) in comparison.lettered() {
        add(format!(" {letter}  {}: {}", run.path.display(), headline(&run.report)));
    }
    add(figures(comparison));
    let settings = comparison.settings();
    if !settings.is_empty() {
        add("settings that differ".into());
    }
    for setting in settings {
        for ((letter, _), value) in comparison.lettered().zip(setting.values) {
            let name = if letter == 'A' { setting.name } else { "" };
            add(format!(" {name:<14}{letter}  {value}"));
        }
    }
    for warning in comparison.warnings() {
        add(format!("note: {warning}"));
    }
    text
}

fn figures(comparison: &Comparison) -> String {
    let mut header = vec![String::new()];
    for (letter, _) in comparison.lettered() {
        header.push(letter.to_string());
        header.extend((letter != 'A').then(|| "against A".to_owned()));
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let figures = comparison.sections().into_iter().flat_map(|section| section.figures);
    lay_out(&header, 1, figures.map(row).collect())
}

fn row(figure: Figure) -> Vec<String> {
    let mut row = vec![figure.name];
    for (at, cell) in figure.cells.into_iter().enumerate() {
        row.push(cell.value);
        row.extend((at > 0).then_some(cell.change));
    }
    row
}
