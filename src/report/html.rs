//! The report as one HTML page that needs nothing else: no script, no font, no file beside it.

use std::fmt::{Display, Write as _};

use super::findings::findings;
use super::plot;
use super::schema::{Accuracy, Histogram, Report, SCHEMA, Sample};
use super::table::{age_limit, duration, headline, optional, pace, percent, rows};
use crate::frame::StampSource;
use crate::model::file::ModelInfo;

const STYLE: &str = include_str!("page.css");
pub(super) const WIDE: (u32, u32) = (1000, 230);
const SMALL: (u32, u32) = (480, 170);

/// The page.
#[must_use]
pub fn render(report: &Report) -> String {
    let parts = [summary(report), ledger(report), latency(report), age(report), pictures(report), facts(report)];
    page(headline(report), &parts, &report.run.puvae_version)
}

/// A page with these parts, made by this version of the program.
pub(super) fn page(title: String, parts: &[String], version: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>puvae: {title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}\n\
         <footer>Made by puvae {} from report schema {SCHEMA}.</footer>\n</main>\n</body>\n</html>\n",
        parts.join("\n"),
        text(version),
        title = text(title),
    )
}

/// What is written into the page as text, whatever it holds.
pub(super) fn text(value: impl Display) -> String {
    let value = value.to_string();
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn summary(report: &Report) -> String {
    let response = &report.latency_us.response;
    let share = |share: Option<f64>| share.map_or("n/a".into(), percent);
    let correct = report.accuracy.as_ref().and_then(Accuracy::correct_ratio);
    let figures = [
        (share(report.miss_ratio), "frames missed"),
        (optional(response.p50), "response, median"),
        (optional(response.p99), "response, 99 % within"),
        (share(report.age_over_deadline_ratio), "of the time without a fresh verdict"),
        (share(correct), "classified correctly"),
    ];
    let mut html =
        format!("<h1>puvae run</h1>\n<p class=\"headline\">{}</p>\n<div class=\"figures\">\n", text(headline(report)));
    for (figure, what) in figures {
        push(&mut html, format!("<div><b>{}</b><span>{what}</span></div>", text(figure)));
    }
    html += "</div>\n";
    if let Some(failure) = &report.run.failure {
        push(&mut html, format!("<p class=\"failure\">{}</p>", text(failure)));
    }
    html
}

fn ledger(report: &Report) -> String {
    let mut html = String::from(
        "<h2>Frames</h2>\n<p class=\"note\">Every captured frame has exactly one fate. All but the first are misses.</p>\n\
         <table>\n<tr><th>fate</th><th>frames</th><th>share</th><th></th></tr>\n",
    );
    let captured = report.ledger.captured;
    let share = |count: u64| if captured == 0 { 0.0 } else { count as f64 / captured as f64 };
    for (index, (name, count)) in rows(report).into_iter().enumerate() {
        let class = if index == 0 { "" } else { " class=\"miss\"" };
        let width = share(count) * 100.0;
        let bar = if count > 0 { format!("<i{class} style=\"width:{width:.2}%\"></i>") } else { String::new() };
        let row = format!(
            "<tr><td>{name}</td><td>{count}</td><td>{}</td><td class=\"bar\">{bar}</td></tr>",
            text(percent(share(count)))
        );
        push(&mut html, row);
    }
    push(&mut html, format!("<tr class=\"sum\"><td>captured</td><td>{captured}</td><td></td><td></td></tr>\n</table>"));
    html
}

fn latency(report: &Report) -> String {
    let mut html = String::from(
        "<h2>Latency</h2>\n<p class=\"note\">Nothing is left out: the longest value is the last column. Response counts from capture to \
         verdict; age is how old the newest verdict is, over time.</p>\n<div class=\"wide\">\n<table>\n\
         <tr><th>step</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th><th>samples</th></tr>\n",
    );
    for (name, histogram) in report.latency_us.named() {
        push(&mut html, latency_row(name, histogram, report.deadline_us));
    }
    html += "</table>\n</div>\n";
    let range = plot::common_range(report);
    let plot = |histogram: &Histogram, size| plot::histogram(histogram, report.deadline_us, range, size);
    let response = plot(&report.latency_us.response, WIDE);
    push(&mut html, format!("<h3>response, number of frames</h3>\n{response}\n<div class=\"plots\">"));
    for (name, histogram) in report.latency_us.named() {
        if matches!(name, "queue" | "preprocess" | "purify" | "classify") && histogram.count > 0 {
            push(&mut html, format!("<div><h3>{name}</h3>\n{}</div>", plot(histogram, SMALL)));
        }
    }
    push(&mut html, format!("</div>\n<p class=\"key\"><i></i>deadline {}</p>", duration(report.deadline_us)));
    html
}

fn latency_row(name: &str, histogram: &Histogram, deadline_us: u64) -> String {
    let Histogram { p50, p90, p99, p99_9, max, .. } = *histogram;
    let mut html = format!("<tr><td>{name}</td>");
    for value in [p50, p90, p99, p99_9, max] {
        let class = if value.is_some_and(|value| value > deadline_us) { " class=\"over\"" } else { "" };
        html += &format!("<td{class}>{}</td>", optional(value));
    }
    html + &format!("<td>{}</td></tr>", histogram.count)
}

fn age(report: &Report) -> String {
    if report.deliveries_us.is_empty() {
        return String::new();
    }
    let heading = "<h2>Age of the newest verdict</h2>\n<p class=\"note\">";
    let Some(plot) = plot::age(report, WIDE) else {
        return format!(
            "{heading}Not drawn: this report of a long run does not hold it; run again for one that does.</p>"
        );
    };
    let limit = age_limit(report).map(|limit| format!(" Note: {}.", text(limit))).unwrap_or_default();
    let thinned = match report.deliveries_stride {
        0 | 1 => String::new(),
        stride => {
            format!(" Each corner stands for {stride} verdicts: the oldest age and the longest response among them.")
        }
    };
    format!(
        "{heading}It grows until the next verdict comes, and falls to that frame’s \
         response time. Above the line the newest answer was older than the deadline.{thinned}{limit}</p>\n{plot}\
         <p class=\"key\"><i></i>deadline {}</p>",
        duration(report.deadline_us)
    )
}

fn pictures(report: &Report) -> String {
    if report.samples.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<h2>Pictures</h2>\n<p class=\"note\">Input, purified picture and verdict of some frames, spread over the run.</p>\n<div class=\"strip\">\n",
    );
    for sample in &report.samples {
        push(&mut html, figure(sample, report.has_several_regions()));
    }
    html + "</div>"
}

/// `part` says that the verdict is of one region among several, of which the label says nothing.
fn figure(sample: &Sample, part: bool) -> String {
    let image = |png: &str, what: &str| {
        format!("<img alt=\"{what} of frame {}\" src=\"data:image/png;base64,{}\">", sample.frame, text(png))
    };
    let purified = match &sample.purified_png {
        Some(png) => image(png, "purified picture"),
        None => "<span class=\"none\">not purified</span>".into(),
    };
    let verdict = match (&sample.class, sample.label.as_ref().filter(|_| !part)) {
        (Some(class), Some(label)) if class == label => format!("<b class=\"right\">{} ✓</b>", text(class)),
        (Some(class), Some(label)) => {
            format!("<b class=\"wrong\">{} ✗</b> <span class=\"quiet\">is {}</span>", text(class), text(label))
        }
        (Some(class), None) => format!("<b>{}</b>", text(class)),
        (None, _) => format!("<b>{}</b>", text(&sample.fate)),
    };
    let confidence =
        sample.confidence.map(|share| format!(" · {}", text(percent(f64::from(share))))).unwrap_or_default();
    let suspect = if sample.suspect { " · <span class=\"wrong\">suspect</span>" } else { "" };
    format!(
        "<figure><div class=\"pair\">{}{purified}</div><figcaption>{verdict}<br>\
         <span class=\"quiet\">frame {}{confidence}{suspect}</span></figcaption></figure>",
        image(&sample.input_png, "input"),
        sample.frame
    )
}

fn facts(report: &Report) -> String {
    let run = &report.run;
    let mut html = String::from("<h2>Findings and settings</h2>\n<table class=\"facts\">\n");
    let mut row =
        |name: &str, value: String| push(&mut html, format!("<tr><td>{name}</td><td>{}</td></tr>", text(value)));
    for (name, finding) in findings(report) {
        row(name, finding);
    }
    row("started", run.started_at.clone().unwrap_or_else(|| "n/a".into()));
    row("source", run.source.clone());
    row("pace", pace(run));
    row("preprocessing", run.prep.to_string());
    row("on unpurified", run.on_unpurified.to_string());
    row("time stamps", run.stamp_source.map_or("n/a", stamps).into());
    row("purifier", report.models.purifier.as_ref().map_or("none".into(), model));
    row("classifier", model(&report.models.classifier));
    row("ONNX Runtime", run.onnxruntime.clone());
    row("seed", run.seed.to_string());
    if let Some(warmup) = &report.warmup {
        row(
            "warm-up",
            format!(
                "{} runs of both models, counted apart: the first {}, then purifier {} and classifier {} (medians)",
                warmup.runs,
                duration(warmup.first_us),
                duration(warmup.purify_us),
                duration(warmup.classify_us)
            ),
        );
    }
    html + "</table>"
}

pub(super) fn stamps(source: StampSource) -> &'static str {
    match source {
        StampSource::Driver => "by the camera's driver",
        StampSource::Dequeue => "when the frame was taken from its source, before decoding",
        StampSource::Schedule => "when the frame was due",
    }
}

fn model(model: &ModelInfo) -> String {
    let from = &model.spec.provenance;
    format!("{} ({} on {}, sha256 {}…)", model.path.display(), from.architecture, from.dataset, model.sha256.short())
}

pub(super) fn push(html: &mut String, line: String) {
    writeln!(html, "{line}").expect("a string takes all text");
}
