//! The comparison as a page.

use super::Comparison;
use super::rows::Section;
use crate::report::html::{WIDE, page, push, text};
use crate::report::plot;
use crate::report::table::{duration, headline};

pub(super) fn render(comparison: &Comparison) -> String {
    let title = format!("{} runs compared", comparison.runs.len());
    let parts = [runs(comparison, &title), responses(comparison), figures(comparison), settings(comparison)];
    page(title, &parts, env!("CARGO_PKG_VERSION"))
}

/// The colour that stands for a run.
fn swatch(letter: char) -> String {
    let number = u32::from(letter) - u32::from('A') + 1;
    format!("<i class=\"run\" style=\"background:var(--run-{number})\"></i>{letter}")
}

fn runs(comparison: &Comparison, title: &str) -> String {
    let mut html = format!("<h1>puvae report</h1>\n<p class=\"headline\">{title}</p>\n<table class=\"facts\">\n");
    for (letter, run) in comparison.lettered() {
        let (path, headline) = (text(run.path.display()), text(headline(&run.report)));
        push(&mut html, format!("<tr><td>{} {path}</td><td>{headline}</td></tr>", swatch(letter)));
    }
    html += "</table>\n";
    for warning in comparison.warnings() {
        push(&mut html, format!("<p class=\"failure\">{}</p>", text(warning)));
    }
    html
}

fn responses(comparison: &Comparison) -> String {
    let mut deadlines: Vec<u64> = comparison.runs.iter().map(|run| run.report.deadline_us).collect();
    deadlines.sort_unstable();
    deadlines.dedup();
    let deadlines: Vec<String> = deadlines.into_iter().map(duration).collect();
    let key: Vec<String> = comparison.lettered().map(|(letter, _)| swatch(letter)).collect();
    format!(
        "<h2>Response</h2>\n<p class=\"note\">From capture to verdict, as a share of each run's verdicts. Both axes are \
         logarithmic, so that a single outlier can be seen; nothing is left out.</p>\n{}\n\
         <p class=\"key\">{} <i></i>deadline {}</p>",
        plot::responses(comparison, (WIDE.0, 300)),
        key.join(" "),
        deadlines.join(", ")
    )
}

fn figures(comparison: &Comparison) -> String {
    let mut html = String::from(
        "<h2>Figures</h2>\n<p class=\"note\">Beside each figure stands what it is against A: a difference, a ratio (×), \
         or a difference in percentage points (pp).</p>\n<div class=\"wide\">\n<table>\n<tr><th></th>",
    );
    for (letter, _) in comparison.lettered() {
        let against = if letter == 'A' { "" } else { "<th>against A</th>" };
        html += &format!("<th>{}</th>{against}", swatch(letter));
    }
    push(&mut html, "</tr>".into());
    for Section { title, figures } in comparison.sections() {
        push(&mut html, format!("<tr class=\"sum\"><td>{title}</td></tr>"));
        for figure in figures {
            html += &format!("<tr><td>{}</td>", text(&figure.name));
            for (at, cell) in figure.cells.iter().enumerate() {
                let change = format!("<td class=\"quiet\">{}</td>", text(&cell.change));
                html += &format!("<td>{}</td>{}", text(&cell.value), if at == 0 { "" } else { &change });
            }
            push(&mut html, "</tr>".into());
        }
    }
    html + "</table>\n</div>"
}

fn settings(comparison: &Comparison) -> String {
    let settings = comparison.settings();
    if settings.is_empty() {
        return "<h2>Settings</h2>\n<p class=\"note\">All the same.</p>".into();
    }
    let mut html = String::from("<h2>Settings that differ</h2>\n<table class=\"facts\">\n");
    for setting in settings {
        let values = comparison.lettered().zip(&setting.values);
        let values: Vec<String> =
            values.map(|((letter, _), value)| format!("{} {}", swatch(letter), text(value))).collect();
        push(&mut html, format!("<tr><td>{}</td><td>{}</td></tr>", setting.name, values.join("<br>")));
    }
    html + "</table>"
}
