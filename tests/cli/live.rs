//! Sources that do not wait: overload, faults, standard input, regions.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::fixture::{Fixture, Ran, balanced, parse_lines, run_args};

/// Thirty frames a second for a purifier that, after five frames, takes ten frames' time.
const OVERLOAD: [&str; 8] = [
    "--source",
    "synthetic:2x2?classes=4&frames=40&faults=slow@5+1000x330ms",
    "--fps",
    "30",
    "--deadline",
    "100ms",
    "--verdicts",
    "-",
];

fn overloaded(more: &[&str]) -> (Fixture, Vec<Value>, Ran) {
    let fixture = Fixture::new();
    let ran = fixture.run(&[&OVERLOAD[..], &["--json", "r.json"], more].concat()).expect(0, &[]);
    let lines = parse_lines(&ran.stdout);
    assert_eq!(lines.len(), 40);
    (fixture, lines, ran)
}

#[test]
fn under_overload_no_raw_frame_is_classified_unless_that_was_asked_for() {
    for more in [&[][..], &["--on-unpurified", "drop"], &["--on-unpurified", "hold"]] {
        let (fixture, lines, _) = overloaded(more);
        assert!(lines.iter().all(|line| line["purified"] != false), "{more:?}");
        let report = fixture.json("r.json");
        assert_eq!(report["unpurified"], 0);
        assert!(balanced(&report)["on_time"].as_u64() < Some(40), "the load was too high");
    }
}

#[test]
fn a_raw_frame_that_was_asked_for_says_that_it_is_raw() {
    let (fixture, lines, ran) = overloaded(&["--on-unpurified", "flag"]);
    let raw = lines.iter().filter(|line| line["purified"] == false).count();
    assert!(raw > 0, "the load was too high to purify everything");
    assert!(lines.iter().filter(|line| line["purified"] == false).all(|line| line.get("model").is_none()));
    let report = fixture.json("r.json");
    assert_eq!((&report["unpurified"], &report["run"]["on_unpurified"]), (&raw.into(), &"flag".into()));
    let delivered = report["ledger"]["on_time"].as_u64().unwrap() + report["ledger"]["late"].as_u64().unwrap();
    let words = format!("{raw} of {delivered} delivered frames were NOT purified, as --on-unpurified flag allows");
    ran.expect(0, &[&words]);
}

#[test]
fn a_held_verdict_names_its_frame_and_its_age() {
    let (fixture, lines, ran) = overloaded(&["--on-unpurified", "hold"]);
    let held: Vec<&Value> = lines.iter().filter(|line| line.get("held").is_some()).collect();
    assert!(!held.is_empty());
    assert_eq!(fixture.json("r.json")["held"], held.len());
    let without = lines.iter().filter(|line| line.get("class").is_none()).count();
    let words = format!("{} of {without} frames without a verdict were given the newest one again", held.len());
    ran.expect(0, &[&words]);
    fixture.puvae(&["report", "r.json"]).expect(0, &[]);
    let page = std::fs::read_to_string(fixture.path().join("r.html")).unwrap();
    assert!(page.contains(&words) && page.contains("<td>on unpurified</td><td>hold</td>"));
    for line in held {
        assert!(line["held"]["frame"].as_u64() < line["frame"].as_u64() && line.get("class").is_none(), "{line}");
        assert!(line["held"]["age_us"].as_u64() > Some(0), "{line}");
        assert_eq!(line["held"]["verdicts"].as_array().unwrap().len(), 1);
        assert_ne!(line["fate"], "on_time");
    }
}

#[test]
fn a_camera_that_fails_comes_back_and_every_frame_is_accounted_for() {
    let fixture = Fixture::new();
    let faults = "lose@3+2,marked@8+1,corrupt@10+2,unplug@15+200ms,backward@100+10ms";
    let source = format!("synthetic:2x2?classes=4&frames=120&faults={faults}");
    let ran = fixture.run(&["--source", &source, "--fps", "100", "--json", "r.json", "--verdicts", "v.jsonl"]);
    ran.expect(1, &["the capture stage failed on frame 8: the driver marked the frame as faulty", "3 of "]);
    let report = fixture.json("r.json");
    let ledger = balanced(&report);
    assert_eq!((&ledger["dropped_driver"], &ledger["failed"]), (&2.into(), &3.into()));
    let capture = &report["capture"];
    assert_eq!((&capture["lost"], &capture["broken"], &capture["recovered"]), (&2.into(), &3.into(), &1.into()));
    assert_eq!(report["run"]["source"], source.replace("2x2?classes=4", "2x2?classes=4&channels=1&seed=0"));
}

#[test]
fn frames_come_from_another_program_over_standard_input() {
    let fixture = Fixture::new();
    let args = run_args(&["--source", "stdin:gray:2x2", "--verdicts", "-", "--json", "r.json"]);
    let mut running =
        fixture.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut into = running.stdin.take().unwrap();
    into.write_all(&[0, 255, 0, 0, 255, 0, 0, 0, 0, 0]).unwrap();
    drop(into);
    let ran = Ran::from(running.wait_with_output().unwrap());
    let words = "standard input ended in the middle of frame 2: 2 bytes, expected 4";
    let ran = ran.expect(1, &["the capture stage failed after frame 1", words]);
    assert_eq!(parse_lines(&ran.stdout).len(), 2);
    balanced(&fixture.json("r.json"));
}

#[test]
fn each_region_has_a_verdict_with_its_name() {
    let fixture = Fixture::new();
    let source = ["--source", "synthetic:4x4?classes=4&frames=5"];
    let regions = ["--roi", "0,0,2,2", "--roi", "2,2,2,2"];
    let ran = fixture.run(&[&source[..], &regions, &["--verdicts", "-", "--json", "r.json"]].concat()).expect(0, &[]);
    for line in parse_lines(&ran.stdout) {
        let names: Vec<&Value> = line["regions"].as_array().unwrap().iter().map(|part| &part["region"]).collect();
        assert_eq!(names, ["0,0,2,2", "2,2,2,2"]);
        assert!(line.get("class").is_none(), "no verdict of the whole frame: {line}");
    }
    assert_eq!(fixture.json("r.json")["run"]["regions"], serde_json::json!(["0,0,2,2", "2,2,2,2"]));
    let words = "n/a (several regions; labels are of the whole frame)";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    fixture.puvae(&["report", "r.json"]).expect(0, &[]);
    let page = std::fs::read_to_string(fixture.path().join("r.html")).unwrap();
    assert!(page.contains(words) && page.contains("purified picture of frame"));
    assert!(!page.contains('✓') && !page.contains('✗'), "nothing is known of right and wrong");
}

#[test]
fn regions_and_policies_that_make_no_sense_are_refused() {
    let fixture = Fixture::new();
    for (args, words) in [
        (&["--roi", "1,2,3"][..], "`1,2,3` is no region, expected X,Y,WIDTH,HEIGHT"),
        (&["--on-unpurified", "ask"], "unknown policy `ask`, expected drop, flag or hold"),
        (&["--on-unpurified", "flag", "--purifier", "none"], "--on-unpurified is flag, but --purifier is none"),
        (
            &["--source", "stdin:gray:8x6", "--roi", "0,0,8,6", "--roi", "4,4,4,4"],
            "--roi is 4,4,4,4, expected a region that lies in the frames of 8×6 pixels",
        ),
        (
            &["--source", "synthetic:4x4?classes=4", "--roi", "0,0,5,4"],
            "--roi is 0,0,5,4, expected a region that lies in the frames of 4×4 pixels",
        ),
        (&["--source", "stdin:gray:2x2", "--fps", "3"], "--fps was given, but frames on standard input come when"),
    ] {
        fixture.run(args).expect(2, &[words]);
    }
}

#[test]
fn a_run_of_failures_is_one_line_in_the_log_even_if_frames_are_lost_between_them() {
    expect_one_line("marked@0+1,lose@1+1,marked@2+1,lose@3+1,marked@4+2", "4 of 6 frames failed in all");
}

#[test]
fn failures_that_alternate_with_good_frames_are_one_line_in_the_log() {
    expect_one_line("marked@0+1,marked@2+1,marked@4+1", "3 of 6 frames failed in all");
}

#[track_caller]
fn expect_one_line(faults: &str, words: &str) {
    let source = format!("synthetic:2x2?classes=4&frames=6&faults={faults}");
    let ran = Fixture::new().run(&["--source", &source, "--fps", "20"]).expect(1, &[words]);
    assert_eq!(ran.stderr.matches("WARN the capture stage failed on frame ").count(), 1, "{}", ran.stderr);
}
