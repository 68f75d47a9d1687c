//! Two runs over the same frames, side by side, for each part of the frames: the table that the demo prints.

use std::fmt;

use puvae::quantile::nearest_rank;

use crate::verdicts::Verdict;

/// What was done to the frames of a part, by the number that stands for it in the file of parts.
const PARTS: [&str; 3] = ["clean", "FGSM", "iFGSM"];

/// The same frames, without and with the purifier.
pub(crate) struct Comparison {
    rows: Vec<Row>,
    attacked: Pair,
    all: Pair,
}

/// One part of the frames.
struct Row {
    name: &'static str,
    pair: Pair,
}

/// One set of frames in both runs.
struct Pair {
    undefended: Score,
    purified: Score,
}

/// What became of a set of frames in one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Score {
    captured: usize,
    on_time: usize,
    correct: usize,
    /// One for every delivered frame, ascending.
    response_us: Vec<u64>,
}

impl Comparison {
    /// Compares two runs; `parts[i]` is the part of frame `i`. Frames of an unknown part count in no row but the whole.
    pub(crate) fn new(undefended: &[Verdict], purified: &[Verdict], parts: &[u8]) -> Self {
        let pair = |wanted: &dyn Fn(usize) -> bool| {
            let score = |run: &[Verdict]| Score::of(run.iter().filter(|verdict| wanted(parts[verdict.frame].into())));
            Pair { undefended: score(undefended), purified: score(purified) }
        };
        let rows = (0..).zip(PARTS).map(|(part, name)| Row { name, pair: pair(&|own| own == part) }).collect();
        Self { rows, attacked: pair(&|part| part != 0), all: pair(&|_| true) }
    }

    /// Whether more of the attacked frames are read rightly with the purifier than without.
    pub(crate) fn defence_helps(&self) -> bool {
        self.attacked.purified.accuracy() > self.attacked.undefended.accuracy()
    }

    /// What the table says, in sentences.
    pub(crate) fn meaning(&self, deadline: &str) -> String {
        let Pair { undefended, purified } = &self.attacked;
        let clean = &self.rows[0].pair;
        format!(
            "Of the attacked frames the classifier alone reads {} rightly; behind the purifier it reads {}.\n\
             On clean frames {} becomes {}: purifying changes those too.\n\
             The deadline of {deadline} counts from capture; without and with the purifier {} and {} of {} frames missed \
             it, and a frame that was dropped is a miss.\n\
             The attacker here knew the classifier, not the purifier; one who knows both does better.",
            percent(undefended.accuracy()),
            percent(purified.accuracy()),
            percent(clean.undefended.accuracy()),
            percent(clean.purified.accuracy()),
            self.all.undefended.missed(),
            self.all.purified.missed(),
            self.all.purified.captured,
        )
    }
}

impl Score {
    fn of<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Self {
        let mut score = Self::default();
        for verdict in verdicts {
            score.captured += 1;
            score.on_time += usize::from(verdict.fate == "on_time");
            if let (Some(class), Some(response_us)) = (verdict.class, verdict.response_us) {
                score.correct += usize::from(class == verdict.label);
                score.response_us.push(response_us);
            }
        }
        score.response_us.sort_unstable();
        score
    }

    /// Of the delivered frames, how many were read rightly; none when none was delivered.
    fn accuracy(&self) -> Option<f64> {
        ratio(self.correct, self.response_us.len())
    }

    fn missed(&self) -> usize {
        self.captured - self.on_time
    }

    /// 1 − on time / captured.
    fn miss_ratio(&self) -> Option<f64> {
        ratio(self.missed(), self.captured)
    }

    /// The smallest response time that `percent` of the delivered frames do not exceed (nearest rank).
    fn response_us(&self, percent: usize) -> Option<u64> {
        nearest_rank(&self.response_us, percent)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:13} {:^17} {:^45} {:^17}", "", "accuracy", "response, p50 / p99 / max in ms", "missed")?;
        line(f, ["part", "frames", "none", "purified", "none", "purified", "none", "purified"])?;
        for row in &self.rows {
            row.pair.line(row.name, f)?;
        }
        self.all.line("all", f)
    }
}

impl Pair {
    fn line(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = self.purified.captured.to_string();
        let both = [&self.undefended, &self.purified];
        let [accuracy, accuracy_purified] = both.map(|score| percent(score.accuracy()));
        let [times, times_purified] = both.map(Score::times);
        let [missed, missed_purified] = both.map(|score| percent(score.miss_ratio()));
        line(f, [name, &frames, &accuracy, &accuracy_purified, &times, &times_purified, &missed, &missed_purified])
    }
}

/// One line of the table: a name, then columns that end below each other.
fn line(f: &mut fmt::Formatter<'_>, [name, cells @ ..]: [&str; 8]) -> fmt::Result {
    write!(f, "{name:6}")?;
    for (cell, width) in cells.into_iter().zip([6, 8, 8, 22, 22, 8, 8]) {
        write!(f, " {cell:>width$}")?;
    }
    writeln!(f)
}

impl Score {
    fn times(&self) -> String {
        let ms = |percent| self.response_us(percent).map_or("–".into(), |us| format!("{:.1}", us as f64 / 1000.0));
        format!("{} / {} / {}", ms(50), ms(99), ms(100))
    }
}

/// A ratio for people; a dash when there is nothing to take it of.
fn percent(ratio: Option<f64>) -> String {
    ratio.map_or("–".into(), |ratio| format!("{:.1} %", 100.0 * ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(frame: usize, fate: &str, right: bool, response_us: u64) -> Verdict {
        let class = Some(if right { 3 } else { 4 });
        Verdict { frame, fate: fate.into(), label: 3, class, response_us: Some(response_us) }
    }

    fn dropped(frame: usize) -> Verdict {
        Verdict { frame, fate: "dropped_queue".into(), label: 3, class: None, response_us: None }
    }

    #[test]
    fn accuracy_is_over_delivered_frames_and_a_dropped_frame_is_a_miss() {
        let run = [delivered(0, "on_time", true, 900), delivered(1, "late", false, 40_000), dropped(2), dropped(3)];
        let score = Score::of(run.iter());
        assert_eq!(score.accuracy(), Some(0.5));
        assert_eq!(score.miss_ratio(), Some(0.75));
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let run: Vec<_> = (0..200).map(|frame| delivered(frame, "on_time", true, 1000 + frame as u64)).collect();
        let score = Score::of(run.iter());
        assert_eq!([50, 99, 100].map(|percent| score.response_us(percent)), [Some(1099), Some(1197), Some(1199)]);
    }

    #[test]
    fn a_part_without_a_delivered_frame_shows_dashes() {
        let score = Score::of([dropped(0)].iter());
        assert_eq!(percent(score.accuracy()), "–");
        assert_eq!(score.times(), "– / – / –");
    }

    fn comparison() -> Comparison {
        let parts = [0, 1, 2, 0];
        let undefended = [0, 1, 2, 3].map(|frame| delivered(frame, "on_time", frame % 3 == 0, 500));
        let purified = [
            delivered(0, "on_time", true, 2000),
            delivered(1, "on_time", true, 2100),
            delivered(2, "late", false, 34_000),
            dropped(3),
        ];
        Comparison::new(&undefended, &purified, &parts)
    }

    #[test]
    fn the_table_has_a_row_for_each_part_and_the_whole() {
        let table = comparison().to_string();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[2].join(" "), "clean 2 100.0 % 100.0 % 0.5 / 0.5 / 0.5 2.0 / 2.0 / 2.0 0.0 % 50.0 %");
        assert_eq!(rows[3].join(" "), "FGSM 1 0.0 % 100.0 % 0.5 / 0.5 / 0.5 2.1 / 2.1 / 2.1 0.0 % 0.0 %");
        assert_eq!(rows[5].join(" "), "all 4 50.0 % 66.7 % 0.5 / 0.5 / 0.5 2.1 / 34.0 / 34.0 0.0 % 50.0 %");
        let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&width| width == widths[1] && width <= 100), "{widths:?}\n{table}");
    }

    #[test]
    fn the_sentences_say_what_the_table_says() {
        let comparison = comparison();
        assert!(comparison.defence_helps());
        let text = comparison.meaning("33ms");
        assert!(
            text.contains("the classifier alone reads 0.0 % rightly; behind the purifier it reads 50.0 %"),
            "{text}"
        );
        assert!(text.contains("0 and 2 of 4 frames missed"), "{text}");
    }

    #[test]
    fn a_run_that_delivers_no_attacked_frame_does_not_help() {
        let undefended = [delivered(0, "on_time", false, 500)];
        assert!(!Comparison::new(&undefended, &[dropped(0)], &[1]).defence_helps());
    }
}
