//! A JSON line for each captured frame, as soon as its fate is decided.

use std::io::Write;

use arrayvec::ArrayVec;
use serde::Serialize;

use super::build::micros;
use crate::frame::{FrameId, StampSource};
use crate::pipeline::{FrameTensors, Held, MAX_REGIONS, Outcome, Sink, SinkError, Verdict, Verdicts};
use crate::preprocess::Region;

/// Writes the lines.
pub struct VerdictLines<W> {
    into: W,
    names: Names,
}

/// What the numbers in a verdict stand for.
struct Names {
    classes: Vec<String>,
    model: Option<String>,
    /// As the user wrote them; empty for the whole frame.
    regions: Vec<String>,
    /// By the frame's number; empty where frames are no files.
    files: Vec<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    frame: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    fate: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    captured_us: u64,
    stamp_source: StampSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<usize>,
    /// Where the whole frame is the region.
    #[serde(flatten)]
    verdict: Option<VerdictPart<'a>>,
    /// Where there are regions.
    #[serde(skip_serializing_if = "Parts::is_empty")]
    regions: Parts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldPart<'a>>,
}

/// One for each region.
type Parts<'a> = ArrayVec<RegionPart<'a>, MAX_REGIONS>;

#[derive(Serialize)]
struct RegionPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(flatten)]
    verdict: VerdictPart<'a>,
}

/// An earlier frame's verdicts, given again.
#[derive(Serialize)]
struct HeldPart<'a> {
    frame: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    age_us: u64,
    verdicts: Parts<'a>,
}

#[derive(Serialize)]
struct VerdictPart<'a> {
    purified: bool,
    class: usize,
    class_name: &'a str,
    confidence: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_star: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    suspect: bool,
    response_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
}

impl<W: Write> VerdictLines<W> {
    /// Lines into `into`; `classes` in the order of the logits, `model` names the purifier (the first
    /// hex digits of its hash), where there is one.
    #[must_use]
    pub fn new(into: W, classes: Vec<String>, model: Option<String>) -> Self {
        Self { into, names: Names { classes, model, regions: Vec::new(), files: Vec::new() } }
    }

    /// With verdicts of these regions instead of the whole frame.
    #[must_use]
    pub fn with_regions(mut self, regions: &[Region]) -> Self {
        self.names.regions = regions.iter().map(ToString::to_string).collect();
        self
    }

    /// With the file of each frame, in the order of their numbers ([`Source::files`](crate::source::Source::files)).
    #[must_use]
    pub fn with_files(mut self, files: Vec<String>) -> Self {
        self.names.files = files;
        self
    }

    /// Writes what is still buffered.
    ///
    /// # Errors
    /// When that fails.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.into.flush()
    }
}

impl Names {
    fn file(&self, frame: FrameId) -> Option<&str> {
        self.files.get(usize::try_from(frame.0).ok()?).map(String::as_str)
    }

    fn part(&self, verdict: &Verdict) -> VerdictPart<'_> {
        VerdictPart {
            purified: verdict.purified,
            class: verdict.class,
            class_name: self.classes.get(verdict.class).map_or("", String::as_str),
            confidence: verdict.confidence,
            label_star: verdict.label_star,
            distance: verdict.distance,
            score: verdict.score,
            suspect: verdict.suspect,
            response_us: micros(verdict.response),
            model: self.model.as_deref().filter(|_| verdict.purified),
        }
    }

    fn parts(&self, verdicts: &Verdicts) -> Parts<'_> {
        let part = |verdict: &Verdict| RegionPart {
            region: self.regions.get(verdict.region).map(String::as_str),
            verdict: self.part(verdict),
        };
        verdicts.iter().map(part).collect()
    }

    fn held(&self, held: &Held) -> HeldPart<'_> {
        let (frame, age_us) = (held.frame.0, micros(held.age));
        HeldPart { frame, file: self.file(held.frame), age_us, verdicts: self.parts(&held.verdicts) }
    }
}

impl<W: Write> Sink for VerdictLines<W> {
    fn outcome(&mut self, outcome: &Outcome, _: Option<&FrameTensors>) -> Result<(), SinkError> {
        let names = &self.names;
        let whole_frame = names.regions.is_empty();
        let line = Line {
            frame: outcome.frame.0,
            file: names.file(outcome.frame),
            fate: outcome.fate.as_str(),
            stage: outcome.fate.stage(),
            captured_us: micros(outcome.captured_at),
            stamp_source: outcome.stamp_source,
            label: outcome.label,
            verdict: outcome.verdict().filter(|_| whole_frame).map(|verdict| names.part(verdict)),
            regions: if whole_frame { Parts::new() } else { names.parts(&outcome.verdicts) },
            held: outcome.held.as_ref().map(|held| names.held(held)),
        };
        serde_json::to_writer(&mut self.into, &line)?;
        self.into.write_all(b"\n")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{DropReason, ExpiredAt, Fate};
    use crate::pipeline::Verdict;
    use std::time::Duration;

    const VERDICT: Verdict = Verdict {
        region: 0,
        class: 1,
        confidence: 0.5,
        purified: true,
        label_star: Some(1),
        distance: Some(0.25),
        score: Some(0.125),
        suspect: false,
        response: Duration::from_micros(2900),
    };

    fn outcome(fate: Fate) -> Outcome {
        Outcome {
            frame: FrameId(17),
            fate,
            captured_at: Duration::from_millis(566),
            stamp_source: crate::frame::StampSource::Schedule,
            label: Some(1),
            times: Default::default(),
            verdicts: Verdicts::new(),
            held: None,
        }
    }

    fn line(fate: Fate, verdict: Option<Verdict>) -> String {
        let outcome = Outcome { verdicts: verdict.into_iter().collect(), ..outcome(fate) };
        let mut bytes = Vec::new();
        let mut lines = VerdictLines::new(&mut bytes, vec!["Coat".into(), "Dress".into()], Some("0123456789ab".into()));
        lines.outcome(&outcome, None).unwrap();
        lines.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_delivered_frame_has_its_verdict_on_one_line() {
        assert_eq!(
            line(Fate::OnTime, Some(VERDICT)),
            "{\"frame\":17,\"fate\":\"on_time\",\"captured_us\":566000,\"stamp_source\":\"schedule\",\"label\":1,\"purified\":true,\"class\":1,\
             \"class_name\":\"Dress\",\"confidence\":0.5,\"label_star\":1,\"distance\":0.25,\"score\":0.125,\"suspect\":false,\
             \"response_us\":2900,\"model\":\"0123456789ab\"}\n"
        );
    }

    #[test]
    fn a_dropped_frame_has_its_fate_and_no_verdict() {
        let expected = "{\"frame\":17,\"fate\":\"dropped_queue\",\"captured_us\":566000,\"stamp_source\":\"schedule\",\"label\":1}\n";
        assert_eq!(line(Fate::Dropped(DropReason::Queue), None), expected);
    }

    #[test]
    fn a_frame_that_is_a_file_names_it_and_so_does_one_whose_verdict_is_held() {
        let held = Held { frame: FrameId(0), age: Duration::from_millis(40), verdicts: Verdicts::new() };
        let outcome = Outcome { frame: FrameId(1), held: Some(held), ..outcome(Fate::Dropped(DropReason::Queue)) };
        let mut bytes = Vec::new();
        let files = ["coat/1.png", "coat/2.png"].map(String::from).into();
        VerdictLines::new(&mut bytes, Vec::new(), None).with_files(files).outcome(&outcome, None).unwrap();
        let line = String::from_utf8(bytes).unwrap();
        assert!(line.starts_with("{\"frame\":1,\"file\":\"coat/2.png\",\"fate\":\"dropped_queue\","), "{line}");
        assert!(
            line.ends_with("\"held\":{\"frame\":0,\"file\":\"coat/1.png\",\"age_us\":40000,\"verdicts\":[]}}\n"),
            "{line}"
        );
    }

    #[test]
    fn every_field_is_in_the_table() {
        let held = Held { frame: FrameId(0), age: Duration::ZERO, verdicts: [VERDICT].into_iter().collect() };
        let outcome = Outcome { held: Some(held), ..outcome(Fate::Expired(ExpiredAt::Classify)) };
        let names = Names {
            classes: vec!["Coat".into(); 2],
            model: Some("0123".into()),
            regions: vec!["0,0,1,1".into()],
            files: vec!["1.png".into(); 18],
        };
        let regions = Outcome { verdicts: [VERDICT].into_iter().collect(), ..outcome };
        let mut bytes = Vec::new();
        VerdictLines { into: &mut bytes, names }.outcome(&regions, None).unwrap();
        let line = String::from_utf8(bytes).unwrap();
        // What stands before a colon; no value of this line has a quotation mark before one.
        let fields: Vec<&str> = line.split("\":").filter_map(|before| before.rsplit('"').next()).collect();
        let (fields, table) = (&fields[..fields.len() - 1], include_str!("../../docs/verdicts.md"));
        assert_eq!(fields.len(), 35, "{line}");
        for field in fields {
            assert!(table.contains(&format!("`{field}`")), "`{field}` is not in docs/verdicts.md");
        }
    }

    #[test]
    fn an_expired_frame_names_the_stage_that_it_did_not_reach() {
        let line = line(Fate::Expired(ExpiredAt::Classify), None);
        assert!(line.starts_with("{\"frame\":17,\"fate\":\"expired\",\"stage\":\"classify\","), "{line}");
    }
}
