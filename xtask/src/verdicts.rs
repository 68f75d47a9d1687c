//! The verdict lines of one run, as `puvae run --verdicts` writes them: one JSON object for every captured frame.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What the demo needs to know of one frame; the line has more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Verdict {
    /// Its number, which is also its place in the file of frames.
    pub(crate) frame: usize,
    /// `on_time`, `late`, or what kept it from being delivered.
    pub(crate) fate: String,
    /// The true class.
    pub(crate) label: usize,
    /// The classifier's class; delivered frames have one.
    pub(crate) class: Option<usize>,
    /// From capture to verdict; delivered frames have one.
    pub(crate) response_us: Option<u64>,
}

/// Reads the lines of a run over `frames` frames; in the order of the frames.
///
/// # Errors
/// When a line is not what is expected, or the lines are not one for each frame.
pub(crate) fn read(path: &Path, frames: usize) -> Result<Vec<Verdict>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))?;
    let mut verdicts = Vec::with_capacity(frames);
    for (number, line) in (1..).zip(text.lines()) {
        let verdict: Verdict = serde_json::from_str(line)
            .with_context(|| format!("{}: line {number} is not a verdict: {line}", path.display()))?;
        verdicts.push(verdict);
    }
    verdicts.sort_by_key(|verdict| verdict.frame);
    ensure!(
        verdicts.iter().map(|verdict| verdict.frame).eq(0..frames),
        "{}: expected one line for each of the {frames} frames, found {} lines that are not that",
        path.display(),
        verdicts.len()
    );
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON_TIME: &str = r#"{"frame":1,"fate":"on_time","captured_us":566000,"label":3,"purified":true,"class":4,"class_name":"Coat","confidence":0.98,"label_star":3,"distance":0.071,"suspect":false,"response_us":2900,"model":"0123456789ab"}"#;
    const DROPPED: &str = r#"{"frame":0,"fate":"dropped_queue","captured_us":599000,"label":3}"#;

    fn read_text(text: &str, frames: usize) -> Result<Vec<Verdict>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("verdicts.jsonl");
        fs::write(&path, text).unwrap();
        read(&path, frames)
    }

    #[test]
    fn lines_are_put_in_the_order_of_the_frames() {
        let verdicts = read_text(&format!("{ON_TIME}\n{DROPPED}\n"), 2).unwrap();
        assert_eq!((verdicts[0].fate.as_str(), verdicts[0].class), ("dropped_queue", None));
        assert_eq!((verdicts[1].class, verdicts[1].response_us), (Some(4), Some(2900)));
    }

    #[test]
    fn a_frame_without_a_line_or_with_two_is_an_error() {
        for lines in [ON_TIME.to_owned(), format!("{DROPPED}\n{DROPPED}")] {
            let text = read_text(&lines, 2).unwrap_err().to_string();
            assert!(text.contains("expected one line for each of the 2 frames"), "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_verdict_is_named_by_its_number() {
        let text = read_text(&format!("{DROPPED}\nnonsense"), 2).unwrap_err().to_string();
        assert!(text.contains("verdicts.jsonl: line 2 is not a verdict: nonsense"), "{text}");
    }
}
