//! Response times of the last frames as bars against the deadline; the newest is on the right.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::widgets::Widget;

/// Eighths of a cell, from the bottom.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// A frame without a verdict.
const MISSED: &str = "░";
/// On top of a bar that goes on above.
const CUT: &str = "▲";

/// The bars.
pub(super) struct Chart<I> {
    /// The newest first; `None` of a frame without a verdict.
    pub(super) times: I,
    pub(super) deadline: Duration,
}

/// Rows from the bottom up to the deadline, in a chart of so many rows.
pub(super) fn deadline_rows(rows: u16) -> u16 {
    match rows {
        0..2 => rows,
        2..5 => rows - 1,
        _ => rows * 3 / 4,
    }
}

impl<I: Iterator<Item = Option<Duration>>> Widget for Chart<I> {
    fn render(mut self, area: Rect, buffer: &mut Buffer) {
        let rows = deadline_rows(area.height);
        for column in (area.left()..area.right()).rev() {
            let time = self.times.next();
            for row in 0..area.height {
                let (symbol, colour) = match time {
                    None => line(row, rows),
                    Some(None) => (MISSED, Color::Red),
                    Some(Some(time)) => bar(time, self.deadline, row, rows, row + 1 == area.height),
                };
                if let Some(cell) = buffer.cell_mut((column, area.bottom() - 1 - row)) {
                    cell.set_symbol(symbol).set_style(Style::new().fg(colour));
                }
            }
        }
    }
}

/// The cell of a bar that is `row` rows above the bottom.
fn bar(time: Duration, deadline: Duration, row: u16, deadline_rows: u16, top: bool) -> (&'static str, Color) {
    let late = time > deadline;
    let eighths = time.as_secs_f64() / deadline.as_secs_f64() * f64::from(deadline_rows) * 8.0;
    let above = eighths.ceil().max(1.0) - f64::from(row) * 8.0;
    let colour = if late { Color::Red } else { Color::Green };
    match above {
        _ if above <= 0.0 => line(row, deadline_rows),
        _ if above > 8.0 && top => (CUT, colour),
        _ => (EIGHTHS[above.min(8.0) as usize], colour),
    }
}

/// The deadline, at the bottom of the first row above it.
fn line(row: u16, deadline_rows: u16) -> (&'static str, Color) {
    if row == deadline_rows { ("▁", Color::Yellow) } else { (" ", Color::Reset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: u16, newest_first: &[Option<u64>]) -> Vec<String> {
        let area = Rect::new(0, 0, newest_first.len() as u16 + 1, rows);
        let mut buffer = Buffer::empty(area);
        let times = newest_first.iter().map(|ms| ms.map(Duration::from_millis));
        Chart { times, deadline: Duration::from_millis(32) }.render(area, &mut buffer);
        let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        (0..rows).map(row).collect()
    }

    #[test]
    fn bars_stand_against_the_deadline() {
        // From the left: nothing yet, no verdict, far too late, a little late, exactly on time, half the time, next to none.
        let times = [Some(1), Some(16), Some(32), Some(33), Some(900), None];
        assert_eq!(drawn(3, &times), ["▁░▲▁▁▁▁", " ░███  ", " ░████▁",]);
    }

    #[test]
    fn one_row_has_no_line() {
        assert_eq!(drawn(1, &[Some(16), Some(64)]), [" ▲▄"]);
        assert!(drawn(0, &[Some(16)]).is_empty());
    }
}
