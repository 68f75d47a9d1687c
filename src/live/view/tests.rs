use super::*;
use crate::board::{Board, Reading};
use crate::clock::{Clock, SimulatedClock};
use crate::deadline::Deadline;
use crate::frame::{FrameId, StampSource};
use crate::ledger::ExpiredAt;
use crate::live::latest::Latest;
use crate::model::spec::InputShape;
use crate::pipeline::{CaptureHealth, CaptureReason, FrameTensors, Outcome, Sink as _, Times, Verdict};
use crate::purifier::Purified;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use std::path::Path;
use std::sync::Arc;

const SIDE: usize = 28;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A run of 40 frames at 30 a second, of which the eighth expires and the thirteenth is late.
struct Scene {
    reading: Reading,
    shown: Shown,
    ready: Result<(), Unready>,
    log: Option<&'static str>,
}

impl Scene {
    fn new(regions: usize) -> Self {
        let clock = SimulatedClock::new();
        let deadline = Deadline::new(ms(33)).unwrap();
        let mut board = Board::new(Arc::new(clock.clone()), deadline, CaptureHealth::default());
        let latest = Latest::default();
        board.begin(clock.now());
        for frame in 0..40 {
            clock.advance(ms(33));
            let outcome = outcome(frame, regions);
            let delivered = !outcome.verdicts.is_empty();
            let pictures = delivered.then(|| pictures(regions));
            latest.enter(&outcome, pictures.as_ref());
            board.outcome(&outcome, pictures.as_ref()).unwrap();
        }
        clock.advance(ms(12));
        let mut reading = board.read();
        reading.capture.state = CaptureState::Running;
        reading.capture.since = reading.figures.began;
        reading.capture.counters.captured = 41;
        let mut shown = Shown::default();
        latest.take(&mut shown);
        Self { reading, shown, ready: Ok(()), log: Some(" INFO metrics on http://127.0.0.1:9464/metrics") }
    }

    fn drawn(&self, columns: u16, rows: u16) -> Buffer {
        let classes = ["T-shirt/top", "Trouser", "Ankle boot"].map(String::from);
        let title = "camera:/dev/video0?size=640x480";
        let facts = Facts { classes: &classes, title, log: self.log, colours: Colours::True };
        let view = View { reading: &self.reading, ready: &self.ready, shown: &self.shown, facts };
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, &view)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn text(&self, columns: u16, rows: u16) -> String {
        text_of(&self.drawn(columns, rows))
    }
}

fn outcome(frame: u64, regions: usize) -> Outcome {
    let fate = match frame {
        7 => Fate::Expired(ExpiredAt::Purify),
        12 => Fate::Late,
        _ => Fate::OnTime,
    };
    let response = ms(if frame == 12 { 35 } else { 4 + frame % 5 });
    let verdict = |region| Verdict {
        region,
        class: 2 - region % 3,
        confidence: 0.973,
        purified: region != 2,
        label_star: Some(2),
        distance: Some(0.1),
        score: Some(0.1234),
        suspect: frame.is_multiple_of(13),
        response,
    };
    Outcome {
        frame: FrameId(frame),
        fate,
        captured_at: ms(33 * (frame + 1)) - response,
        stamp_source: StampSource::Driver,
        label: None,
        times: Times::default(),
        verdicts: (0..regions).filter(|_| fate != Fate::Expired(ExpiredAt::Purify)).map(verdict).collect(),
        held: None,
    }
}

/// A slope from black to white in each region, and its negative.
fn pictures(regions: usize) -> FrameTensors {
    let mut pictures = FrameTensors::new(Purified::new(regions, InputShape { channels: 1, height: SIDE, width: SIDE }));
    for ((_, _, y, _), value) in pictures.input.indexed_iter_mut() {
        *value = y as f32 / (SIDE - 1) as f32;
    }
    pictures.purified.frames = pictures.input.mapv(|value| 1.0 - value);
    pictures.raw = regions == 3;
    pictures
}

fn text_of(buffer: &Buffer) -> String {
    let area = buffer.area;
    let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..area.height).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

/// With `PUVAE_GOLDEN=write` in the environment the files are written anew: look at what has changed.
#[track_caller]
fn assert_looks_like(scene: &Scene, columns: u16, rows: u16, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/live/view/golden").join(file);
    let drawn = scene.text(columns, rows);
    if std::env::var("PUVAE_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(&path, &drawn).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(drawn == expected, "{file} is what it looked like; now it looks like this:\n{drawn}");
}

#[test]
fn a_run_as_it_looks_in_terminals_of_three_sizes() {
    let scene = Scene::new(1);
    assert_looks_like(&scene, 80, 24, "80x24.txt");
    assert_looks_like(&scene, 40, 12, "40x12.txt");
    assert_looks_like(&scene, 200, 60, "200x60.txt");
}

#[test]
fn several_regions_stand_side_by_side() {
    assert_looks_like(&Scene::new(3), 80, 24, "80x24-regions.txt");
}

#[test]
fn before_the_first_verdict_nothing_is_claimed() {
    let mut scene = Scene::new(1);
    scene.shown = Shown::default();
    scene.reading.figures = Default::default();
    scene.reading.recent = Default::default();
    scene.ready = Err(Unready::Starting);
    let text = scene.text(80, 24);
    for words in
        ["no verdict yet", "response n/a  deadline 33.0 ms", "missed n/a", "not ready: the models are not warm yet"]
    {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_capture_that_stalls_says_why_and_since_when() {
    let mut scene = Scene::new(1);
    let capture = &mut scene.reading.capture;
    (capture.state, capture.reason) = (CaptureState::Retrying, CaptureReason::Error);
    let detail = "No such device (os error 19)".to_owned();
    scene.ready = Err(Unready::Capture { state: capture.state, reason: capture.reason, detail });
    let text = scene.text(80, 24);
    assert!(text.contains("capture retrying for 1 s: No such device (os error 19)"), "{text}");
}

#[test]
fn pictures_are_drawn_two_pixels_to_a_cell() {
    let buffer = Scene::new(1).drawn(80, 24);
    let (x, y) = (0, 2);
    let grey = |value| Color::Rgb(value, value, value);
    assert_eq!(buffer[(x, y)].symbol(), "▀");
    assert_eq!((buffer[(x, y)].fg, buffer[(x, y)].bg), (grey(0), grey(9)));
    let purified = (SIDE as u16 + 1, y);
    assert_eq!((buffer[purified].fg, buffer[purified].bg), (grey(255), grey(246)));
}

#[test]
fn no_size_is_too_small_to_be_drawn() {
    for (columns, rows) in [(1, 1), (3, 40), (200, 2), (17, 7), (10, 10)] {
        for regions in [1, 16] {
            Scene::new(regions).drawn(columns, rows);
        }
    }
}
