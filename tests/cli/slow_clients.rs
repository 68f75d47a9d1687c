//! What a thousand slow clients of the metrics cost the pipeline. It takes two minutes and says figures, so it is run by hand:
//! `cargo test --release --test cli -- --ignored --nocapture slow_clients`

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use puvae::clock::{Clock, SystemClock};

use crate::fixture::Fixture;
use crate::metrics::{Serving, request};

const CLIENTS: usize = 1000;
const FRAMES: &str = "900";

/// Connections that are opened again when they are closed. Half say nothing, half send a request that never ends.
fn pester(address: &str, stop: &AtomicBool) -> u64 {
    let mut clients: Vec<Option<TcpStream>> = (0..CLIENTS).map(|_| None).collect();
    let mut opened = 0;
    while !stop.load(Ordering::Relaxed) {
        for (index, client) in clients.iter_mut().enumerate() {
            let closed = client.as_mut().is_none_or(|stream| {
                let answer = stream.read(&mut [0; 256]);
                !answer.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            });
            if !closed {
                continue;
            }
            *client = TcpStream::connect(address).ok();
            if let Some(stream) = client {
                opened += 1;
                stream.set_nonblocking(true).unwrap();
                if index % 2 == 0 {
                    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nA: ");
                }
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    opened
}

/// How long an ordinary scrape took, one every half second until the run is over; `None` where it failed.
fn scrape(address: &str, stop: &AtomicBool) -> Vec<Option<Duration>> {
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = SystemClock.now();
        let answer = request(address, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
        times.push(answer.ok().filter(|(status, _)| *status == 200).map(|_| SystemClock.now() - start));
        std::thread::sleep(Duration::from_millis(500));
    }
    times
}

fn run(pestered: bool) {
    let fixture = Fixture::new();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let model = |name: &str| models.join(name).to_str().unwrap().to_owned();
    let (purifier, classifier) = (model("fashion-mnist-puvae-lite.onnx"), model("fashion-mnist-classifier-a.onnx"));
    let source = format!("synthetic:640x480?classes=10&channels=3&frames={FRAMES}");
    let args = ["--source", &source, "--fps", "30", "--purifier", &purifier, "--classifier", &classifier];
    let more = ["--deadline", "33ms", "--force", "--json", "r.json"];
    let serving = Serving::start(&fixture, &[&args[..], &more].concat());
    let address = serving.address.clone();
    let stop = AtomicBool::new(false);
    let (code, opened, scrapes) = std::thread::scope(|scope| {
        let clients = pestered.then(|| scope.spawn(|| pester(&address, &stop)));
        let scrapes = scope.spawn(|| scrape(&address, &stop));
        let (code, _) = serving.end();
        stop.store(true, Ordering::Relaxed);
        (code, clients.map_or(0, |clients| clients.join().unwrap()), scrapes.join().unwrap())
    });
    assert_eq!(code, Some(0));
    let report = fixture.json("r.json");
    // The last ones may find the run over.
    let failed = scrapes.iter().rev().skip_while(|time| time.is_none()).filter(|time| time.is_none()).count();
    let mut times: Vec<Duration> = scrapes.into_iter().flatten().collect();
    times.sort_unstable();
    println!(
        "{:>4} clients ({opened} connections): missed {} of {FRAMES}, response p50 {} p99 {} max {} µs; {} scrapes, {failed} failed, p50 {:.1?} max {:.1?}",
        if pestered { CLIENTS } else { 0 },
        900 - report["ledger"]["on_time"].as_u64().unwrap(),
        report["latency_us"]["response"]["p50"],
        report["latency_us"]["response"]["p99"],
        report["latency_us"]["response"]["max"],
        times.len(),
        times[times.len() / 2],
        times[times.len() - 1],
    );
}

#[test]
#[ignore = "takes two minutes and is for its figures"]
fn slow_clients_cost_the_pipeline_nothing() {
    for pestered in [false, true, false, true] {
        run(pestered);
    }
}
