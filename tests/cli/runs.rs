//! Runs that go well.

use crate::fixture::{FRAMES, Fixture, INTO_OLD, Ran, parse_lines, write_lit};
use crate::onnx::TestModel;
use puvae::model::spec::Score;

#[test]
fn a_run_accounts_for_every_frame_and_gets_every_verdict_right() {
    let fixture = Fixture::new();
    let ran = fixture.run(&["--json", "r.json"]).expect(0, &["provider cpu (asked for), 1 thread for each model"]);
    assert!(ran.stdout.contains("12 of 12 frames on time (0.0 % missed), deadline 30.00 s"), "{}", ran.stdout);
    assert!(ran.stdout.contains("correct 12 of 12 (100.0 %)"), "{}", ran.stdout);
    let report = fixture.json("r.json");
    assert_eq!(report["schema"], 1);
    assert_eq!(report["ledger"]["captured"], FRAMES);
    assert_eq!(report["ledger"]["on_time"], FRAMES);
    assert_eq!(report["miss_ratio"], 0.0);
    assert_eq!(report["accuracy"]["correct"], FRAMES);
    assert_eq!(report["latency_us"]["purify"]["count"], FRAMES);
    assert_eq!(report["provider"]["requested"], "cpu");
    assert_eq!(report["models"]["purifier"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(report["models"]["classifier"]["spec"]["role"], "classifier");
    assert_eq!(report["run"]["stamp_source"], "dequeue");
    let started_at = report["run"]["started_at"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(started_at).unwrap() <= puvae::clock::wall_time(), "{started_at}");
}

#[test]
fn without_a_purifier_the_report_says_so() {
    let fixture = Fixture::new();
    fixture.run(&["--purifier", "none", "--json", "r.json", "--verdicts", "v.jsonl"]).expect(0, &[]);
    let report = fixture.json("r.json");
    assert!(report["models"]["purifier"].is_null());
    assert!(report["accuracy"]["label_star_correct"].is_null());
    let line = &fixture.lines("v.jsonl")[0];
    assert_eq!(line["purified"], false);
    assert!(line.get("label_star").is_none() && line.get("model").is_none(), "{line}");
}

#[test]
fn a_reformer_purifies_and_scores_but_has_no_label_of_its_own() {
    let fixture = Fixture::new();
    TestModel::reformer().write(fixture.path(), "p.onnx");
    write_lit(fixture.path(), FRAMES, |frame| if frame < 4 { 255 } else { 102 });
    let ran = fixture.run(&["--json", "r.json", "--html", "r.html", "--verdicts", "v.jsonl"]).expect(0, &[]);
    assert!(ran.stdout.contains("4 (score above 0.5)"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("own label"), "{}", ran.stdout);
    let report = fixture.json("r.json");
    assert_eq!((&report["accuracy"]["correct"], &report["suspects"]), (&12.into(), &4.into()));
    assert!(report["accuracy"].as_object().unwrap()["label_star_correct"].is_null());
    for line in fixture.lines("v.jsonl") {
        let bright = line["frame"].as_u64().unwrap() < 4;
        assert_eq!((&line["purified"], &line["suspect"]), (&true.into(), &bright.into()), "{line}");
        assert!(line.get("label_star").is_none() && line.get("distance").is_none(), "{line}");
        assert!((line["score"].as_f64().unwrap() - if bright { 1.0 } else { 0.4 }).abs() < 1e-6, "{line}");
    }
    let page = std::fs::read_to_string(fixture.path().join("r.html")).unwrap();
    assert!(page.contains("purified picture of frame") && !page.contains("own label"));
}

#[test]
fn a_purifier_that_selects_and_scores_is_judged_by_its_score() {
    let fixture = Fixture::new();
    let mut model = TestModel::purifier();
    for spec in [&mut model.spec, &mut model.graph] {
        let purifier = spec.purifier.as_mut().unwrap();
        purifier.score = Some(Score::RmseToInput);
        purifier.suspect_above.as_mut().unwrap().threshold = 0.5;
    }
    model.write(fixture.path(), "p.onnx");
    write_lit(fixture.path(), FRAMES, |frame| if frame < 4 { 255 } else { 102 });
    fixture.run(&["--verdicts", "v.jsonl"]).expect(0, &[]);
    for line in fixture.lines("v.jsonl") {
        let bright = line["frame"].as_u64().unwrap() < 4;
        assert_eq!(line["suspect"], bright, "{line}");
        assert!(line["label_star"].is_u64() && line["distance"].as_f64().unwrap() < 0.4, "{line}");
        assert!((line["score"].as_f64().unwrap() - if bright { 1.0 } else { 0.4 }).abs() < 1e-6, "{line}");
    }
}

#[test]
fn a_purifier_without_a_score_of_its_own_is_judged_by_its_distance() {
    let fixture = Fixture::new();
    let ran = fixture.run(&["--verdicts", "v.jsonl"]).expect(0, &[]);
    assert!(ran.stdout.contains("(distance above 0.05)"), "{}", ran.stdout);
    assert!(fixture.lines("v.jsonl").iter().all(|line| line["score"] == line["distance"] && line["score"].is_f64()));
}

#[test]
fn verdicts_hold_one_line_for_each_captured_frame() {
    let fixture = Fixture::new();
    fixture.run(&["--verdicts", "v.jsonl"]).expect(0, &[]);
    let mut frames: Vec<u64> = fixture.lines("v.jsonl").iter().map(|line| line["frame"].as_u64().unwrap()).collect();
    frames.sort_unstable();
    assert_eq!(frames, (0..FRAMES as u64).collect::<Vec<_>>());
    assert!(fixture.lines("v.jsonl")[0].get("file").is_none(), "the frames of an IDX file are no files");
}

#[test]
fn verdicts_on_standard_output_leave_the_table_to_standard_error() {
    let ran = Fixture::new().run(&["--verdicts", "-"]).expect(0, &["12 of 12 frames on time"]);
    let lines = parse_lines(&ran.stdout);
    assert_eq!(lines.len(), FRAMES);
    assert_eq!(lines[0]["class_name"], "Ant");
    assert_eq!(lines[0]["stamp_source"], "dequeue");
    assert_eq!(lines[0]["model"].as_str().unwrap().len(), 12);
}

#[test]
fn the_same_seed_gives_the_same_verdicts_and_another_seed_others() {
    let fixture = Fixture::new();
    let distances = |seed: &str, name: &str| {
        fixture.run(&["--seed", seed, "--verdicts", name]).expect(0, &[]);
        let mut lines = fixture.lines(name);
        lines.sort_by_key(|line| line["frame"].as_u64());
        lines.iter().map(|line| (line["distance"].clone(), line["label_star"].clone())).collect::<Vec<_>>()
    };
    let first = distances("7", "a.jsonl");
    assert_eq!(first, distances("7", "b.jsonl"));
    assert_ne!(first, distances("8", "c.jsonl"));
}

#[test]
fn flags_win_over_the_configuration_file() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("run.toml"), "deadline = \"20s\"\nframes = 3\nseed = 5\n").unwrap();
    fixture.run(&["--config", "run.toml", "--json", "r.json"]).expect(0, &[]);
    let report = fixture.json("r.json");
    assert_eq!((&report["deadline_us"], &report["run"]["seed"]), (&30_000_000.into(), &5.into()));
    assert_eq!(report["ledger"]["captured"], 3);
}

#[test]
fn the_example_configuration_runs_as_it_stands() {
    let fixture = Fixture::new();
    let out = |name: &str| fixture.path().join(name).display().to_string();
    let (json, html, verdicts) = (out("r.json"), out("r.html"), out("v.jsonl"));
    let config = ["run", "--config", "examples/run.toml", "--json", &json, "--html", &html, "--verdicts", &verdicts];
    let short = ["--frames", "2", "--deadline", "30s", "--metrics", "0"];
    let mut command = fixture.command(&[&config[..], &short].concat());
    let ran = Ran::from(command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()).expect(0, &[]);
    assert!(ran.stdout.contains("of 2 frames on time"), "{}", ran.stdout);
}

#[test]
fn a_deadline_no_machine_meets_is_refused_with_what_is_possible() {
    let fixture = Fixture::new();
    let refused = [&["--deadline", "1us"], &INTO_OLD[..]].concat();
    fixture.write_old_results();
    fixture.run(&refused).expect(3, &["impossible on this machine", "would be possible here", "--force"]);
    fixture.expect_old_results();
    fixture.run(&["--deadline", "1us", "--json", "r.json", "--force"]).expect(0, &[]);
    let ledger = &fixture.json("r.json")["ledger"];
    assert_eq!((&ledger["captured"], &ledger["on_time"]), (&FRAMES.into(), &0.into()));
}

#[test]
fn an_age_limit_that_the_frame_rate_alone_exceeds_is_named_with_one_that_is_possible() {
    let fixture = Fixture::new();
    let words = "at 2 frames a second no purifier can keep the newest verdict younger than 450 ms; ";
    let slow = ["--fps", "2", "--frames", "2", "--deadline", "450ms", "--html", "r.html"];
    let ran = fixture.run(&slow).expect(0, &[]);
    assert!(
        ran.stdout.contains(words) && ran.stdout.contains("is possible (frame period + response p99)"),
        "{}",
        ran.stdout
    );
    assert!(std::fs::read_to_string(fixture.path().join("r.html")).unwrap().contains(words));
    let soon = ["--fps", "2", "--frames", "2", "--deadline", "500500us", "--html", "r.html"];
    let ran = fixture.run(&soon).expect(0, &[]);
    assert!(!ran.stdout.contains("no purifier can"), "the period alone is shorter: {}", ran.stdout);
    let ran = fixture.run(&["--fps", "100", "--frames", "2"]).expect(0, &[]);
    assert!(!ran.stdout.contains("no purifier can"), "{}", ran.stdout);
}

#[test]
fn an_automatic_provider_says_what_it_chose_and_why() {
    let fixture = Fixture::new();
    fixture.run(&["--provider", "auto", "--json", "r.json"]).expect(0, &["provider c"]);
    let provider = &fixture.json("r.json")["provider"];
    assert_eq!(provider["requested"], "auto");
    let reason = provider["reason"].as_str().unwrap();
    match provider["used"].as_str().unwrap() {
        "cpu" => assert!(reason.starts_with("CUDA refused: ") && !reason.ends_with('.'), "{reason}"),
        used => assert_eq!((used, reason), ("cuda", "CUDA accepted the model")),
    }
}

#[test]
fn cuda_is_used_or_refused_with_the_reason_but_never_replaced() {
    let fixture = Fixture::new();
    let ran = fixture.run(&["--provider", "cuda", "--json", "r.json"]);
    if ran.code == Some(0) {
        assert_eq!(fixture.json("r.json")["provider"]["used"], "cuda");
    } else {
        ran.expect(1, &["c.onnx: provider cuda was asked for and refused: ", "choose --provider auto or cpu"]);
    }
}
