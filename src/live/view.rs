//! What is on the screen: a pure function of what is known, from 40×12 cells up.
//!
//! ```text
//! title                              capture
//! ┌ input ┐ ┌ purified ┐  verdict
//! │       │ │          │  y*, score …
//! └───────┘ └──────────┘  frame, age
//! response  p50 p99 max
//!  33 ms ▁▁▁▁▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
//! frames by fate
//! misses, suspects
//! state of the run, or the newest log line
//! ```

mod top;

use std::borrow::Cow;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::chart::{Chart, deadline_rows};
use super::latest::Shown;
use super::picture::Colours;
use crate::board::{Reading, WINDOW};
use crate::ledger::{DropReason, Fate};
use crate::pipeline::CaptureState;
use crate::report::{duration, micros, percent};
use crate::watchdog::Unready;

/// Columns for the deadline's name, beside the chart.
const GUTTER: u16 = 9;
/// Rows for the title, the response times and the ledger.
const FIXED_ROWS: u16 = 4;
/// Rows of the chart at most.
const HIGHEST_CHART: u16 = 16;
const QUIET: Style = Style::new().fg(Color::DarkGray);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WARN: Style = Style::new().fg(Color::Yellow);
const GOOD: Style = Style::new().fg(Color::Green);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

/// What does not change from frame to frame, or is not about frames.
pub(super) struct Facts<'a> {
    pub(super) classes: &'a [String],
    pub(super) title: &'a str,
    /// The newest log line.
    pub(super) log: Option<&'a str>,
    pub(super) colours: Colours,
}

/// Everything that is drawn.
pub(super) struct View<'a> {
    pub(super) reading: &'a Reading,
    pub(super) ready: &'a Result<(), Unready>,
    pub(super) shown: &'a Shown,
    pub(super) facts: Facts<'a>,
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let area = frame.area();
    let (least_chart, status_rows) = if area.height < 16 { (1, 1) } else { (3, 2) };
    let shared = area.height.saturating_sub(FIXED_ROWS + status_rows);
    // What the pictures leave goes to the chart.
    let top_rows = top::rows(view, area.width, shared.saturating_sub(least_chart));
    let chart_rows = shared.saturating_sub(top_rows).clamp(least_chart, HIGHEST_CHART);
    let rows = [1, 0, 1, chart_rows, 2, status_rows];
    let rows = rows.map(|rows| if rows == 0 { Constraint::Min(0) } else { Constraint::Length(rows) });
    let [title, top, response, chart, ledger, status] = Layout::vertical(rows).areas(area);
    draw_title(frame, title, view);
    top::draw(frame, top, view);
    frame.render_widget(fitting(responses(view), response.width), response);
    draw_chart(frame, chart, view);
    draw_lines(frame, ledger, [fates(view.reading), misses(view.reading)].map(|parts| fitting(parts, ledger.width)));
    draw_lines(frame, status, [state(view)].into_iter().chain(log(view)));
}

fn draw_lines<'a>(frame: &mut Frame<'_>, area: Rect, lines: impl IntoIterator<Item = Line<'a>>) {
    for (row, line) in area.rows().zip(lines) {
        frame.render_widget(line, row);
    }
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let reading = view.reading;
    let running = reading.figures.began.map(|began| reading.at.saturating_duration_since(began).as_secs());
    let clock = running.map_or_else(String::new, |s| format!(" {:02}:{:02}:{:02} ", s / 3600, s / 60 % 60, s % 60));
    let right = Line::from(vec![Span::styled(clock, QUIET), Span::styled("q quits", QUIET)]);
    let [left, corner] = Layout::horizontal([Constraint::Min(0), Constraint::Length(right.width() as u16)]).areas(area);
    let name = Span::styled("puvae ", STRONG.fg(Color::Cyan));
    frame.render_widget(Line::from(vec![name, Span::raw(view.facts.title)]), left);
    frame.render_widget(right, corner);
}

/// A line of these parts, the more important first; what has no room is left out, with all that follows.
fn fitting(parts: Vec<Vec<Span<'_>>>, width: u16) -> Line<'_> {
    let mut line = Line::default();
    for part in parts {
        let needed: usize = part.iter().map(Span::width).sum();
        let gap = if line.spans.is_empty() { "" } else { "  " };
        if line.width() + gap.len() + needed > usize::from(width) {
            break;
        }
        if !gap.is_empty() {
            line.push_span(gap);
        }
        line.spans.extend(part);
    }
    line
}

fn figure<'a>(name: impl Into<Cow<'a, str>>, value: String, style: Style) -> Vec<Span<'a>> {
    vec![Span::styled(name, QUIET), Span::styled(value, style)]
}

fn text(time: Duration) -> String {
    duration(micros(time))
}

fn responses<'a>(view: &View<'_>) -> Vec<Vec<Span<'a>>> {
    let deadline = view.reading.deadline.get();
    let limit = figure("deadline ", text(deadline), WARN);
    let Some([p50, p99, max, longest]) = view.shown.times.quantiles() else {
        return vec![figure("response ", "n/a".into(), QUIET), limit];
    };
    let time =
        |name: &'static str, time: Duration| figure(name, text(time), if time > deadline { BAD } else { STRONG });
    let mut parts =
        vec![time("p50 ", p50), time("p99 ", p99), time("max ", max), limit, time("longest ever ", longest)];
    parts[0].insert(0, Span::styled("response ", QUIET));
    parts
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let [gutter, bars] = Layout::horizontal([Constraint::Length(GUTTER), Constraint::Min(0)]).areas(area);
    let deadline = view.reading.deadline.get();
    let rows = deadline_rows(area.height);
    if rows < area.height {
        let label = Rect { y: gutter.bottom() - 1 - rows, height: 1, ..gutter };
        frame.render_widget(Line::styled(format!("{:>8} ", text(deadline)), WARN), label);
    } else {
        frame.render_widget(Line::styled("frames", QUIET), gutter);
    }
    frame.render_widget(Chart { times: view.shown.times.newest_first(), deadline }, bars);
}

fn fates<'a>(reading: &Reading) -> Vec<Vec<Span<'a>>> {
    let sum = |wanted: &dyn Fn(Fate) -> bool| {
        Fate::ALL.into_iter().filter(|fate| wanted(*fate)).map(|fate| reading.figures.fate(fate)).sum::<u64>()
    };
    let missed = |count| if count > 0 { BAD } else { Style::new() };
    let driver = Fate::Dropped(DropReason::Driver);
    let of =
        |name: &'static str, style: &dyn Fn(u64) -> Style, count: u64| figure(name, count.to_string(), style(count));
    vec![
        of("captured ", &|_| STRONG, reading.captured()),
        of("on time ", &|_| GOOD, reading.figures.fate(Fate::OnTime)),
        of("late ", &missed, reading.figures.fate(Fate::Late)),
        of("expired ", &missed, sum(&|fate| matches!(fate, Fate::Expired(_)))),
        of("dropped ", &missed, sum(&|fate| matches!(fate, Fate::Dropped(_)) && fate != driver)),
        of("failed ", &missed, sum(&|fate| matches!(fate, Fate::Failed(_)))),
        of("lost by the driver ", &missed, reading.figures.fate(driver)),
        of("in flight ", &|_| Style::new(), reading.in_flight()),
    ]
}

fn misses<'a>(reading: &Reading) -> Vec<Vec<Span<'a>>> {
    let figures = &reading.figures;
    let (decided, on_time) = (figures.decided(), figures.fate(Fate::OnTime));
    let share = |ratio: Option<f64>| ratio.map_or("n/a".into(), percent);
    let over = |ratio: Option<f64>| if ratio.is_some_and(|ratio| ratio > 0.0) { BAD } else { GOOD };
    let all = (decided > 0).then(|| 1.0 - on_time as f64 / decided as f64);
    let recent = reading.recent.miss_ratio();
    let count = |name: &'static str, count: u64, style| {
        figure(name, count.to_string(), if count > 0 { style } else { Style::new() })
    };
    vec![
        figure("missed ", share(all), over(all)),
        figure(format!("last {} s ", WINDOW.as_secs()), share(recent), over(recent)),
        count("suspects ", figures.suspects, WARN),
        count("not purified ", figures.unpurified, WARN),
        count("longest run of misses ", figures.longest_miss_run, WARN),
        count("held ", figures.held, WARN),
    ]
}

fn state<'a>(view: &View<'_>) -> Line<'a> {
    let capture = &view.reading.capture;
    let style = match capture.state {
        CaptureState::Running => GOOD,
        CaptureState::Stopped => QUIET,
        CaptureState::Stalled | CaptureState::Retrying => BAD,
    };
    let mut spans = figure("capture ", capture.state.to_string(), style);
    if let Some(since) = capture.since {
        let since = view.reading.at.saturating_duration_since(since);
        spans.push(Span::styled(format!(" for {} s", since.as_secs()), QUIET));
    }
    match view.ready {
        Ok(()) => spans.push(Span::styled("  ready", GOOD)),
        // Said already.
        Err(Unready::Capture { detail, reason, .. }) => {
            let reason = if detail.is_empty() { reason.to_string() } else { detail.clone() };
            spans.push(Span::styled(format!(": {reason}"), BAD));
        }
        Err(why) => spans.push(Span::styled(format!("  not ready: {why}"), WARN)),
    }
    Line::from(spans)
}

fn log<'a>(view: &View<'a>) -> Option<Line<'a>> {
    view.facts.log.map(|line| Line::styled(line.trim_start(), QUIET))
}

#[cfg(test)]
mod tests;
