//! `puvae report` with several reports.

use serde_json::Value;

use crate::fixture::Fixture;

/// A fixture with the reports `a.json`, of a run with a purifier, and `b.json`, of one without, of 6 frames and another
/// deadline.
fn two_runs() -> Fixture {
    let fixture = Fixture::new();
    fixture.run(&["--json", "a.json"]).expect(0, &[]);
    let other = ["--purifier", "none", "--deadline", "20s", "--frames", "6", "--json", "b.json"];
    fixture.run(&other).expect(0, &[]);
    fixture
}

fn change(fixture: &Fixture, name: &str, change: impl FnOnce(&mut Value)) {
    let mut report = fixture.json(name);
    change(&mut report);
    std::fs::write(fixture.path().join(name), report.to_string()).unwrap();
}

/// The words of the table's line that begins with `name`.
#[track_caller]
fn line<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(name)).unwrap_or_else(|| panic!("{table}"));
    line.split_whitespace().collect()
}

#[test]
fn a_page_names_each_deadline_once() {
    let fixture = two_runs();
    fixture.puvae(&["report", "a.json", "b.json", "a.json", "-o", "page.html"]).expect(2, &["a.json"]);
    std::fs::copy(fixture.path().join("a.json"), fixture.path().join("c.json")).unwrap();
    fixture.puvae(&["report", "a.json", "b.json", "c.json", "-o", "page.html"]).expect(0, &[]);
    let page = std::fs::read_to_string(fixture.path().join("page.html")).unwrap();
    let deadlines: Vec<&str> = page.split("deadline ").filter_map(|text| text.split("</p>").next()).collect();
    assert!(deadlines.contains(&"20.00 s, 30.00 s"), "{deadlines:?}");
}

#[test]
fn runs_are_compared_figure_by_figure_with_the_first() {
    let fixture = two_runs();
    change(&fixture, "a.json", |report| {
        report["latency_us"]["response"]["p50"] = 200.into();
        report["latency_us"]["response"]["p99"] = 0.into();
        report["age_over_deadline_ratio"] = 0.25.into();
    });
    change(&fixture, "b.json", |report| {
        report["latency_us"]["response"]["p50"] = 500.into();
        report["age_over_deadline_ratio"] = 0.375.into();
        report["longest_miss_run"] = 7.into();
        report["accuracy"]["correct"] = 3.into();
    });
    let table = fixture.puvae(&["report", "a.json", "b.json"]).expect(0, &[]).stdout;
    assert!(table.contains(" A  a.json: 12 of 12 frames on time") && table.contains(" B  b.json: 6 of 6"), "{table}");
    assert_eq!(line(&table, "captured"), ["12", "6", "−6"]);
    assert_eq!(line(&table, "failed"), ["0", "0", "="]);
    assert_eq!(line(&table, "missed"), ["0.0", "%", "0.0", "%", "="]);
    assert_eq!(line(&table, "longest run"), ["0", "7", "+7"]);
    assert_eq!(line(&table, "verdict too old"), ["25.0", "%", "37.5", "%", "+12.50", "pp"]);
    assert_eq!(line(&table, "response p50"), ["200", "µs", "500", "µs", "×2.50"]);
    assert_eq!(line(&table, "response p99").last(), Some(&"n/a"), "nothing is a multiple of 0");
    assert_eq!(line(&table, "correct"), ["100.0", "%", "50.0", "%", "−50.00", "pp"]);
    assert_eq!(line(&table, "provider"), ["cpu", "cpu", "="]);
    let report = fixture.json("a.json");
    let hash = report["models"]["purifier"]["sha256"].as_str().unwrap();
    assert_eq!(line(&table, "purifier"), [&hash[..12], "none", "other"]);
    assert!(!fixture.path().join("a.html").exists(), "no page unless it is asked for");
}

#[test]
fn settings_are_named_where_they_differ_and_so_is_what_makes_a_comparison_unfair() {
    let fixture = two_runs();
    change(&fixture, "b.json", |report| {
        report["run"]["interrupted"] = true.into();
        report["run"]["failure"] = "frame 5 is broken".into();
    });
    let table = fixture.puvae(&["report", "a.json", "b.json"]).expect(0, &[]).stdout;
    assert_eq!(line(&table, "deadline"), ["A", "30.00", "s"]);
    assert!(!table.contains(" source ") && !table.contains(" seed "), "these are the same: {table}");
    for words in [
        "note: the deadlines differ: every run's misses are counted against its own",
        "note: the frames differ: accuracy and suspects may differ for that reason alone",
        "note: accuracy is over the labelled frames that got a verdict, and these differ in number",
        "note: B was interrupted before its end",
        "note: B has frames that failed: frame 5 is broken",
    ] {
        assert!(table.contains(words), "{table}");
    }
    std::fs::copy(fixture.path().join("a.json"), fixture.path().join("copy.json")).unwrap();
    let table = fixture.puvae(&["report", "a.json", "copy.json"]).expect(0, &[]).stdout;
    assert!(!table.contains("settings that differ") && !table.contains("note:"), "{table}");
}

#[test]
fn the_page_of_a_comparison_is_one_file_with_the_histograms_over_each_other() {
    let fixture = two_runs();
    change(&fixture, "b.json", |report| report["run"]["source"] = "<dir>&".into());
    let args = ["report", "a.json", "b.json", "a.json.copy", "--output", "c.html"];
    std::fs::copy(fixture.path().join("a.json"), fixture.path().join("a.json.copy")).unwrap();
    let table = fixture.puvae(&args).expect(0, &["wrote c.html"]).stdout;
    assert!(table.contains(" C  a.json.copy: "), "{table}");
    let page = std::fs::read_to_string(fixture.path().join("c.html")).unwrap();
    let plot = &page[page.find("<svg").unwrap()..page.find("</svg>").unwrap()];
    for colour in ["var(--run-1)", "var(--run-2)", "var(--run-3)", "var(--limit)"] {
        assert!(plot.contains(colour), "{colour}");
    }
    assert!(page.contains("3 runs compared") && page.contains("&lt;dir&gt;&amp;") && !page.contains("<dir>"));
    for outside in ["<script", "<link", "src=\"http", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let fixture = two_runs();
    let refused = |args: &[&str], code, words| {
        let ran = fixture.puvae(&[&["report"], args].concat()).expect(code, &[words]);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    };
    refused(&[], 2, "<FILE>");
    let words = "a.json and ./a.json are one file; there is nothing to compare, give each file once";
    refused(&["a.json", "b.json", "./a.json"], 2, words);
    refused(&["a.json", "b.json", "-o", "b.json"], 2, "b.json is given as a report and as --output");
    refused(&["a.json", "images"], 1, "images: cannot read the report");
    refused(&["a.json", "nowhere.json"], 1, "nowhere.json: cannot read the report");
    refused(&["a.json", "b.json", "-o", "nowhere/c.html"], 1, "nowhere/c.html: cannot write here");
    std::fs::write(fixture.path().join("new.json"), "{\"schema\": 2, \"all\": \"new\"}").unwrap();
    refused(&["a.json", "new.json"], 1, "new.json: not a report of schema 1: it has schema 2; give a file written by");
    std::fs::write(fixture.path().join("other.json"), "{\"results\": []}").unwrap();
    refused(&["a.json", "other.json"], 1, "other.json: not a report of schema 1: missing field `schema`");
    let names: Vec<String> = (0..9).map(|number| format!("{number}.json")).collect();
    for name in &names {
        std::fs::copy(fixture.path().join("a.json"), fixture.path().join(name)).unwrap();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    refused(&names, 2, "9 reports, expected 2 to 8 to compare; give fewer");
}
