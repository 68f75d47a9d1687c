//! The pictures and what was said of them.

use ndarray::{ArrayView3, Axis};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::{BAD, GOOD, QUIET, STRONG, View, WARN, figure, text};
use crate::live::latest::{NewestVerdict, Shot};
use crate::live::picture::{Picture, fit};
use crate::pipeline::Verdict;
use crate::report::percent;

/// Columns that the words get at least.
const WORDS: u16 = 17;
/// Rows for the name of a picture, above it.
const CAPTION: u16 = 1;
/// Columns of a picture that can be made out.
const LEAST: u16 = 8;
/// Rows for the words on one verdict.
const WORD_ROWS: u16 = 8;
/// Between a picture and what is on its right.
const GAP: u16 = 1;

/// The rows that are of use, of `most`, with so many columns.
pub(super) fn rows(view: &View<'_>, width: u16, most: u16) -> u16 {
    let pictures = Pictures::of(&view.shown.shot).map_or(0, |pictures| {
        let layout = pictures.layout((width, most));
        layout.down * (layout.high + CAPTION)
    });
    let regions = view.shown.verdict.as_ref().map_or(0, |newest| newest.verdicts.len() as u16);
    pictures.max(WORD_ROWS).max(regions + 2).min(most)
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let pictures = Pictures::of(&view.shown.shot);
    let used = pictures.map_or(0, |pictures| pictures.draw(frame, area, view));
    let words = Rect { x: area.x + used, width: area.width.saturating_sub(used), ..area };
    let lines = view.shown.verdict.as_ref().map_or_else(waiting, |verdict| said(view, verdict));
    for (row, line) in words.rows().zip(lines) {
        frame.render_widget(line, row);
    }
}

fn waiting<'a>() -> Vec<Line<'a>> {
    vec![Line::styled("no verdict yet", QUIET)]
}

/// One region: input and purified picture side by side. Several: the inputs above, the purified pictures below.
struct Pictures<'a> {
    regions: Vec<(ArrayView3<'a, f32>, ArrayView3<'a, f32>)>,
}

impl<'a> Pictures<'a> {
    fn of(shot: &'a Shot) -> Option<Self> {
        let regions: Vec<_> = shot.input.axis_iter(Axis(0)).zip(shot.purified.axis_iter(Axis(0))).collect();
        (!regions.is_empty()).then_some(Self { regions })
    }

    /// How they are laid out in so much room.
    fn layout(&self, room: (u16, u16)) -> Layout {
        let several = self.regions.len() > 1;
        let (across, down) = if several { (self.regions.len() as u16, 2) } else { (2, 1) };
        let (_, height, width) = self.regions[0].0.dim();
        let (columns, rows) = (room.0.saturating_sub(WORDS), (room.1 / down).saturating_sub(CAPTION));
        let all_across = fit(height, width, (columns / across).saturating_sub(GAP), rows);
        // Where many regions would be too small to be seen, the first ones are shown.
        let least = LEAST.min(fit(height, width, columns.saturating_sub(GAP), rows).0);
        let (wide, high) = if all_across.0 >= least { all_across } else { fit(height, width, least, rows) };
        let across = if wide == 0 { 0 } else { across.min(columns / (wide + GAP)) };
        Layout { several, across, down, wide, high }
    }

    /// The columns it took, with a gap.
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) -> u16 {
        let layout = self.layout((area.width, area.height));
        let several = layout.several;
        let shown = if several { layout.across } else { layout.across / 2 };
        for (index, (input, purified)) in (0..shown).zip(&self.regions) {
            let name = |name: &str| if several { format!("{name} {index}") } else { name.to_owned() };
            let second = if several { (index, 1) } else { (1, 0) };
            captioned(frame, layout.place(area, index, 0), *input, &name("input"), view);
            captioned(frame, layout.place(area, second.0, second.1), *purified, &name("purified"), view);
        }
        layout.across * (layout.wide + GAP)
    }
}

struct Layout {
    several: bool,
    /// Pictures beside each other, and above each other.
    across: u16,
    down: u16,
    /// Columns and rows of one.
    wide: u16,
    high: u16,
}

impl Layout {
    /// Where a picture is, with the row for its name.
    fn place(&self, area: Rect, x: u16, y: u16) -> Rect {
        let height = self.high + CAPTION;
        Rect { x: area.x + x * (self.wide + GAP), y: area.y + y * height, width: self.wide, height }
    }
}

fn captioned(frame: &mut Frame<'_>, area: Rect, pixels: ArrayView3<'_, f32>, name: &str, view: &View<'_>) {
    frame.render_widget(Line::styled(name, QUIET), Rect { height: 1, ..area });
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    frame.render_widget(Picture { pixels, colours: view.facts.colours }, below);
}

fn said<'a>(view: &'a View<'_>, newest: &NewestVerdict) -> Vec<Line<'a>> {
    let mut lines = match &newest.verdicts[..] {
        [verdict] => one(view, verdict, newest.label),
        verdicts => verdicts.iter().map(|verdict| region(view, verdict)).collect(),
    };
    let age = view.reading.age();
    let late = age.is_some_and(|age| age > view.reading.deadline.get());
    let age = figure("age ", age.map_or("n/a".into(), text), if late { WARN } else { Style::new() });
    lines.push(Line::from(age));
    lines.push(Line::from(figure("frame ", newest.frame.to_string(), Style::new())));
    lines
}

fn name(view: &View<'_>, class: usize) -> String {
    view.facts.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
}

fn one<'a>(view: &'a View<'_>, verdict: &Verdict, label: Option<usize>) -> Vec<Line<'a>> {
    let answer = match label {
        Some(label) if label == verdict.class => GOOD,
        Some(_) => BAD,
        None => Style::new().fg(Color::Cyan),
    };
    let mut lines = vec![
        Line::styled(name(view, verdict.class), answer.add_modifier(Modifier::BOLD)),
        Line::from(figure("", percent(f64::from(verdict.confidence)), STRONG)),
    ];
    let marks: Vec<Span<'_>> = marks(verdict);
    if !marks.is_empty() {
        lines.push(Line::from(marks));
    }
    if let Some(label) = label.filter(|label| *label != verdict.class) {
        lines.push(Line::from(figure("is ", name(view, label), Style::new())));
    }
    if let Some(label) = verdict.label_star {
        lines.push(Line::from(figure("y* ", name(view, label), Style::new())));
    }
    if let Some(score) = verdict.score {
        lines.push(Line::from(figure("score ", format!("{score:.3}"), Style::new())));
    }
    lines
}

fn region<'a>(view: &'a View<'_>, verdict: &Verdict) -> Line<'a> {
    let mut spans = figure("", format!("{} ", verdict.region), QUIET);
    spans.push(Span::styled(name(view, verdict.class), STRONG.fg(Color::Cyan)));
    spans.push(Span::raw(format!(" {} ", percent(f64::from(verdict.confidence)))));
    spans.extend(marks(verdict));
    Line::from(spans)
}

fn marks<'a>(verdict: &Verdict) -> Vec<Span<'a>> {
    let mark = |text| Span::styled(text, BAD.add_modifier(Modifier::REVERSED));
    let mut marks = Vec::new();
    if verdict.suspect {
        marks.push(mark(" SUSPECT "));
    }
    if !verdict.purified {
        marks.push(Span::styled(" NOT PURIFIED ", WARN.add_modifier(Modifier::REVERSED)));
    }
    marks
}
