//! Progress bars with the time left, on stderr.

pub use indicatif::ProgressBar;
use indicatif::ProgressStyle;

/// A bar of `len` steps; it shows the time left and the last message.
#[must_use]
pub fn bar(label: &str, len: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:20} [{bar:32}] {pos}/{len} {elapsed} elapsed, {eta} left  {msg}")
        .expect("the template is valid")
        .progress_chars("=> ");
    ProgressBar::new(len as u64).with_style(style).with_prefix(label.to_owned())
}

/// A bar that nobody sees, for work inside work that has a bar.
#[must_use]
pub fn hidden() -> ProgressBar {
    ProgressBar::hidden()
}
