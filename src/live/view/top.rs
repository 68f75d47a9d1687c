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
/// Between a picture and what is on its right.
const GAP: u16 = 1;

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

    /// The columns it took, with a gap.
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) -> u16 {
        let several = self.regions.len() > 1;
        let (across, down) = if several { (self.regions.len() as u16, 2) } else { (2, 1) };
        let (_, height, width) = self.regions[0].0.dim();
        // A row above each picture for its name.
        let rows = (area.height / down).saturating_sub(1);
        let room = area.width.saturating_sub(WORDS);
        let all_across = fit(height, width, (room / across).saturating_sub(GAP), rows);
        // Where many regions would be too small to be seen, the first ones are shown.
        let least = 8.min(fit(height, width, room, rows).0);
        let (columns, rows) = if all_across.0 >= least { all_across } else { fit(height, width, least, rows) };
        if columns == 0 || rows == 0 {
            return 0;
        }
        let across = across.min(room / (columns + GAP));
        for (index, (input, purified)) in self.regions.iter().take(usize::from(across)).enumerate() {
            let place = |x: u16, y: u16| Rect {
                x: area.x + x * (columns + GAP),
                y: area.y + y * (rows + 1),
                width: columns,
                height: rows + 1,
            };
            let (first, second) =
                if several { (place(index as u16, 0), place(index as u16, 1)) } else { (place(0, 0), place(1, 0)) };
            let name = |name: &str| if several { format!("{name} {index}") } else { name.to_owned() };
            captioned(frame, first, *input, &name("input"), view);
            captioned(frame, second, *purified, &name("purified"), view);
        }
        across * (columns + GAP)
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
