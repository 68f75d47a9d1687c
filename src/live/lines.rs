//! Log lines that wait until the terminal is free again.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

/// The most lines that wait; older ones are given up first.
const MOST: usize = 200;

/// Lines in the order in which they came; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<String>,
    lost: usize,
}

impl Lines {
    /// Adds one.
    pub fn push(&self, line: &str) {
        let waiting = &mut *self.0.lock();
        if waiting.lines.len() == MOST {
            waiting.lines.pop_front();
            waiting.lost += 1;
        }
        waiting.lines.push_back(line.trim_end().to_owned());
    }

    /// The newest, without colours.
    #[must_use]
    pub fn newest(&self) -> Option<String> {
        self.0.lock().lines.back().map(|line| plain(line))
    }

    /// Takes all of them out, as one text.
    #[must_use]
    pub fn take(&self) -> String {
        let Waiting { lines, lost } = std::mem::take(&mut *self.0.lock());
        let note = (lost > 0).then(|| format!("({lost} earlier lines were given up)"));
        note.into_iter().chain(lines).map(|line| line + "\n").collect()
    }
}

/// Without escape sequences, and without anything else that moves the cursor.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else if !letter.is_control() {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_in_order_and_the_newest_is_shown_without_colours() {
        let lines = Lines::default();
        assert_eq!((lines.newest(), lines.take()), (None, String::new()));
        lines.push("one\n");
        lines.push("\u{1b}[33m WARN\u{1b}[0m two\ttabs\n");
        assert_eq!(lines.newest().as_deref(), Some(" WARN twotabs"));
        assert_eq!(lines.take(), "one\n\u{1b}[33m WARN\u{1b}[0m two\ttabs\n");
        assert_eq!(lines.take(), "");
    }

    #[test]
    fn too_many_lines_give_up_the_oldest_and_say_so() {
        let lines = Lines::default();
        (0..MOST + 3).for_each(|line| lines.push(&line.to_string()));
        let text = lines.take();
        assert!(text.starts_with("(3 earlier lines were given up)\n3\n4\n") && text.ends_with("202\n"), "{text}");
    }
}
