//! A picture in a terminal: two pixels in each cell, one above the other.

use ndarray::ArrayView3;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::widgets::Widget;

/// The upper half of a cell; its lower half is the background.
const HALF: &str = "▀";

/// What colours a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// Any.
    True,
    /// 24 greys and a cube of 6×6×6.
    Indexed,
}

impl Colours {
    pub(super) fn of_this_terminal() -> Self {
        let says = |name: &str, words: &[&str]| {
            std::env::var(name).is_ok_and(|value| words.iter().any(|word| value.contains(word)))
        };
        let true_colour = says("COLORTERM", &["truecolor", "24bit"])
            || says("TERM", &["direct", "kitty", "ghostty", "alacritty", "wezterm"]);
        if true_colour { Self::True } else { Self::Indexed }
    }

    fn of(self, [red, green, blue]: [u8; 3]) -> Color {
        match self {
            Self::True => Color::Rgb(red, green, blue),
            Self::Indexed if red == green && green == blue => match red {
                0..4 => Color::Indexed(16),
                247.. => Color::Indexed(231),
                grey => Color::Indexed(232 + ((u16::from(grey) - 3) / 10).min(23) as u8),
            },
            Self::Indexed => {
                let step = |value: u8| (u16::from(value) * 5 + 127) / 255;
                Color::Indexed((16 + 36 * step(red) + 6 * step(green) + step(blue)) as u8)
            }
        }
    }
}

/// A picture `[C, H, W]`, values in `[0, 1]`, drawn to fill its area.
pub(super) struct Picture<'a> {
    pub(super) pixels: ArrayView3<'a, f32>,
    pub(super) colours: Colours,
}

/// The largest size, in columns and rows, of a picture of `height × width` pixels in as many cells at most: whole
/// multiples of its own size where there is room.
pub(super) fn fit(height: usize, width: usize, columns: u16, rows: u16) -> (u16, u16) {
    if height == 0 || width == 0 || columns == 0 || rows == 0 {
        return (0, 0);
    }
    let scale = (f64::from(columns) / width as f64).min(f64::from(rows) * 2.0 / height as f64);
    let scale = if scale >= 1.0 { scale.floor() } else { scale };
    let cells = |side: f64, most: u16| (side.round() as u16).clamp(1, most);
    (cells(width as f64 * scale, columns), cells((height as f64 * scale / 2.0).ceil(), rows))
}

impl Picture<'_> {
    /// The mean over the part of the picture that falls into this half of a cell, of `columns × halves` in all.
    fn colour(&self, column: u16, half: u16, columns: u16, halves: u16) -> Color {
        let (channels, height, width) = self.pixels.dim();
        let range = |index: u16, of: u16, side: usize| {
            let from = usize::from(index) * side / usize::from(of);
            let to = (usize::from(index + 1) * side).div_ceil(usize::from(of));
            from..to.clamp(from + 1, side)
        };
        let (rows, columns) = (range(half, halves, height), range(column, columns, width));
        let value = |channel: usize| {
            let part = rows.clone().flat_map(|y| columns.clone().map(move |x| self.pixels[(channel, y, x)]));
            let mean = part.sum::<f32>() / (rows.len() * columns.len()) as f32;
            (mean.clamp(0.0, 1.0) * 255.0).round() as u8
        };
        self.colours.of(if channels == 3 { [value(0), value(1), value(2)] } else { [value(0); 3] })
    }
}

impl Widget for Picture<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        if self.pixels.is_empty() {
            return;
        }
        for row in 0..area.height {
            for column in 0..area.width {
                let colour = |half| self.colour(column, 2 * row + half, area.width, 2 * area.height);
                let (upper, lower) = (colour(0), colour(1));
                if let Some(cell) = buffer.cell_mut((area.x + column, area.y + row)) {
                    cell.set_symbol(HALF).set_fg(upper).set_bg(lower);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_picture_keeps_its_proportions_and_grows_in_whole_steps() {
        assert_eq!(fit(28, 28, 30, 14), (28, 14));
        assert_eq!(fit(28, 28, 83, 60), (56, 28));
        assert_eq!(fit(28, 28, 90, 60), (84, 42));
        assert_eq!(fit(28, 28, 10, 5), (10, 5));
        assert_eq!(fit(224, 224, 100, 14), (28, 14));
        assert_eq!(fit(480, 640, 80, 40), (80, 30));
        assert_eq!(fit(0, 28, 80, 40), (0, 0));
        assert_eq!(fit(1, 1000, 10, 10), (10, 1));
    }

    #[test]
    fn each_cell_shows_two_pixels() {
        let pixels = Array3::from_shape_vec((1, 2, 2), vec![0.0, 1.0, 0.5, 0.25]).unwrap();
        let area = Rect::new(0, 0, 2, 1);
        let mut buffer = Buffer::empty(area);
        Picture { pixels: pixels.view(), colours: Colours::True }.render(area, &mut buffer);
        let cell = |x| (buffer[(x, 0)].fg, buffer[(x, 0)].bg);
        let grey = |value| Color::Rgb(value, value, value);
        assert_eq!((cell(0), cell(1)), ((grey(0), grey(128)), (grey(255), grey(64))));
    }

    #[test]
    fn a_picture_that_is_too_large_is_averaged() {
        let pixels =
            Array3::from_shape_fn((3, 8, 4), |(channel, y, _)| if channel == 0 && y % 2 == 0 { 1.0 } else { 0.0 });
        let area = Rect::new(0, 0, 1, 1);
        let mut buffer = Buffer::empty(area);
        Picture { pixels: pixels.view(), colours: Colours::True }.render(area, &mut buffer);
        assert_eq!((buffer[(0, 0)].fg, buffer[(0, 0)].bg), (Color::Rgb(128, 0, 0), Color::Rgb(128, 0, 0)));
    }

    #[test]
    fn a_terminal_without_true_colour_gets_the_nearest_it_has() {
        let of = |rgb| Colours::Indexed.of(rgb);
        assert_eq!([of([0; 3]), of([8; 3]), of([128; 3]), of([255; 3])], [16, 232, 244, 231].map(Color::Indexed));
        assert_eq!([of([255, 0, 0]), of([0, 255, 255])], [196, 51].map(Color::Indexed));
    }
}
