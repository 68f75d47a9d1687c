//! `--metrics`: what is served while a run goes on. Named pipes hold a run at the moment that a test wants to look at.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use signal_hook::consts::SIGINT;

use crate::fixture::{FRAMES, Fixture, balanced, run_args, write_lit};
use crate::onnx::TestModel;
use crate::running::Running;

const ENDLESS: [&str; 4] = ["--source", "synthetic:4x4?classes=4&channels=1", "--fps", "50"];

/// A run that serves metrics.
pub(crate) struct Serving {
    running: Running,
    pub(crate) address: String,
    stderr: std::thread::JoinHandle<String>,
}

impl Serving {
    /// Starts a run, and waits until it says where it serves.
    pub(crate) fn start(fixture: &Fixture, more: &[&str]) -> Self {
        let args = run_args(&[&["--metrics", "0"], more].concat());
        let running = Running::start(fixture.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()));
        let mut stderr = BufReader::new(running.stderr());
        let mut text = String::new();
        let address = loop {
            let before = text.len();
            assert!(stderr.read_line(&mut text).unwrap() > 0, "it ended: {text}");
            if let Some((_, rest)) = text[before..].split_once("metrics on http://") {
                break rest.trim_end().trim_end_matches("/metrics").to_owned();
            }
        };
        let stderr = std::thread::spawn(move || {
            // It must be read, or the run would wait for somebody who reads it.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self { running, address, stderr }
    }

    /// Status and body.
    fn get(&self, path: &str) -> (u16, String) {
        request(&self.address, &format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).unwrap()
    }

    /// Asks again and again until it likes the answer.
    #[track_caller]
    fn wait_for(&self, path: &str, what: impl Fn(u16, &str) -> bool) -> String {
        let mut last = (0, String::new());
        for _ in 0..3000 {
            last = self.get(path);
            if what(last.0, &last.1) {
                return last.1;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{path} still answers {last:?}");
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "{body}");
        samples(&body)
    }

    /// The exit code, and what it wrote to standard error.
    pub(crate) fn end(self) -> (Option<i32>, String) {
        (self.running.end().code, self.stderr.join().unwrap())
    }
}

pub(crate) fn request(address: &str, text: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Ok((status, body.to_owned()))
}

/// Series by name and labels.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

fn pipe(fixture: &Fixture, name: &str) -> std::path::PathBuf {
    let path = fixture.path().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn it_serves_before_the_models_are_warm_and_is_ready_once_they_are() {
    let fixture = Fixture::new();
    let model = std::fs::read(fixture.path().join("c.onnx")).unwrap();
    let waiting = pipe(&fixture, "slow.onnx");
    let run = Serving::start(&fixture, &[&["--classifier", "slow.onnx"], &ENDLESS[..]].concat());
    assert_eq!(run.get("/live"), (200, "live\n".into()));
    assert_eq!(run.get("/ready"), (503, "not ready: the models are not warm yet\n".into()));
    assert_eq!(run.metrics()["puvae_ready"], 0.0);
    std::fs::write(waiting, model).unwrap();
    run.wait_for("/ready", |status, body| (status, body) == (200, "ready\n"));
    let metrics = run.metrics();
    assert_eq!(metrics["puvae_capture_state{state=\"running\"}"], 1.0);
    assert_eq!(metrics["puvae_deadline_seconds"], 30.0);
    assert!(
        metrics.keys().any(|name| name.starts_with("puvae_model_info{role=\"purifier\",path=\"p.onnx\",sha256=\""))
    );
    run.running.send(SIGINT);
    assert_eq!(run.end().0, Some(130));
}

#[test]
fn at_the_end_of_a_run_the_metrics_are_what_the_report_says() {
    let fixture = Fixture::new();
    // The report waits for somebody who reads it; until then the process is there to be asked.
    let report = pipe(&fixture, "r.json");
    let run = Serving::start(&fixture, &["--json", "r.json"]);
    let ended = |status, body: &str| status == 503 && body == "not ready: the source has ended\n";
    run.wait_for("/ready", ended);
    // The last frames may still be on their way.
    let all_decided = |page: &str| {
        let metrics = samples(page);
        metrics["puvae_frames_captured_total"] == FRAMES as f64 && metrics["puvae_frames_in_flight"] == 0.0
    };
    let metrics = samples(&run.wait_for("/metrics", |_, page| all_decided(page)));
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(run.end().0, Some(0));
    let ledger = balanced(&report);
    assert_eq!(metrics["puvae_frames_captured_total"], FRAMES as f64);
    for fate in ["on_time", "late", "dropped_queue", "dropped_driver", "dropped_shutdown", "expired", "failed"] {
        let of_this = format!("puvae_frames_total{{fate=\"{fate}\"");
        let sum: f64 = metrics.iter().filter(|(name, _)| name.starts_with(&of_this)).map(|(_, count)| count).sum();
        assert_eq!(Some(sum), ledger[fate].as_f64(), "{fate}");
    }
    assert_eq!(metrics["puvae_frames_in_flight"], 0.0);
    assert_eq!(Some(metrics["puvae_verdicts_suspect_total"]), report["suspects"].as_f64());
    assert_eq!(Some(metrics["puvae_longest_miss_run_frames"]), report["longest_miss_run"].as_f64());
    assert_eq!(metrics["puvae_response_seconds_bucket{le=\"30\"}"], metrics["puvae_frames_total{fate=\"on_time\"}"]);
    for stage in ["queue", "preprocess", "purify", "classify"] {
        let count = metrics[&format!("puvae_stage_seconds_count{{stage=\"{stage}\"}}")];
        assert_eq!(Some(count), report["latency_us"][stage]["count"].as_f64(), "{stage}");
    }
    let longest_us = report["latency_us"]["response"]["max"].as_f64().unwrap();
    let mean_us = metrics["puvae_response_seconds_sum"] / metrics["puvae_response_seconds_count"] * 1e6;
    assert!(mean_us > 0.0 && mean_us <= longest_us + 1.0, "{mean_us} µs of at most {longest_us} µs");
}

#[test]
fn a_stalled_capture_is_not_ready_until_frames_come_again() {
    let fixture = Fixture::new();
    let source = "synthetic:4x4?classes=4&channels=1&faults=stall@50+3000ms";
    let run = Serving::start(&fixture, &["--source", source, "--fps", "50"]);
    run.wait_for("/ready", |status, _| status == 200);
    run.wait_for("/ready", |status, body| status == 503 && body.starts_with("not ready: the capture is stalled"));
    let metrics = run.metrics();
    assert_eq!(metrics["puvae_capture_state{state=\"stalled\"}"], 1.0);
    assert_eq!(run.get("/live").0, 200);
    run.wait_for("/metrics", |_, page| samples(page)["puvae_capture_state{state=\"running\"}"] == 1.0);
    assert_eq!(run.metrics()["puvae_capture_stalls_total"], 1.0);
}

#[test]
fn a_run_of_failing_frames_is_not_ready_but_live() {
    let fixture = Fixture::new();
    write_lit(fixture.path(), 10_000, |_| 255);
    TestModel { nan_above: 0.8, ..TestModel::purifier() }.write(fixture.path(), "p.onnx");
    let run = Serving::start(&fixture, &["--fps", "50"]);
    run.wait_for("/ready", |status, body| {
        status == 503 && body.contains("frames failed without a verdict between them")
    });
    assert_eq!(run.get("/live").0, 200);
    assert!(run.metrics()["puvae_frames_total{fate=\"failed\",stage=\"purify\"}"] >= 3.0);
}

#[test]
fn a_run_that_misses_is_not_ready() {
    let fixture = Fixture::new();
    let run = Serving::start(&fixture, &[&["--deadline", "1us", "--force"], &ENDLESS[..]].concat());
    // Either rule may come first.
    let words = |body: &str| body.contains("frames missed in the last 10s") || body.contains("there was no verdict");
    run.wait_for("/ready", |status, body| status == 503 && words(body));
}

#[test]
fn two_hundred_clients_that_only_hold_their_connection_keep_nobody_out() {
    let fixture = Fixture::new();
    let run = Serving::start(&fixture, &ENDLESS);
    run.wait_for("/ready", |status, _| status == 200);
    let slow = |index: usize| {
        let mut stream = TcpStream::connect(&run.address).unwrap();
        // Half say nothing at all, half never come to an end.
        if index.is_multiple_of(2) {
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:");
        }
        stream
    };
    let clients: Vec<TcpStream> = (0..200).map(slow).collect();
    let before = run.metrics();
    run.wait_for("/metrics", |_, body| {
        samples(body)["puvae_frames_captured_total"] > before["puvae_frames_captured_total"]
    });
    assert_eq!(run.get("/live").0, 200);
    drop(clients);
}

#[test]
fn what_is_not_there_and_what_is_no_http_are_answered_as_such() {
    let fixture = Fixture::new();
    let run = Serving::start(&fixture, &ENDLESS);
    assert_eq!(run.get("/else"), (404, "nothing here; there are /metrics, /live and /ready\n".into()));
    let post = request(&run.address, "POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    assert_eq!(post.0, 405);
    let head = request(&run.address, "HEAD /metrics HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    assert_eq!(head, (200, String::new()));
    assert_eq!(request(&run.address, "what?\r\n\r\n").unwrap().0, 400);
    let endless = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(100_000));
    // It is refused, or cut off while it is still being sent.
    assert!(request(&run.address, &endless).map_or(true, |(status, _)| status >= 400));
    assert_eq!(run.get("/live").0, 200);
}

#[test]
fn a_port_that_is_taken_is_named_before_the_source_is_opened() {
    let fixture = Fixture::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let words = [
        &*format!("cannot serve metrics on {address}: "),
        "another program listens there: end it, or give another port",
    ];
    fixture.run(&["--metrics", &address, "--source", "idx:nowhere", "--json", "r.json"]).expect(1, &words);
    assert!(!fixture.path().join("r.json").exists());
}

#[test]
fn other_networks_are_served_when_they_are_written_out_and_with_a_warning() {
    let fixture = Fixture::new();
    let words = ["WARN", "over the network can read the metrics, without a password", "is for this machine only"];
    fixture.run(&["--metrics", "0.0.0.0:0"]).expect(0, &words);
    fixture
        .run(&["--metrics", ":9464"])
        .expect(2, &["--metrics is :9464, expected a port such as 9464 for this machine only"]);
}
