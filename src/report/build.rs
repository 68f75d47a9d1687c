//! From a run's [`Summary`] to its [`Report`].

use std::io::Cursor;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::schema::{Bucket, Histogram, Latencies, Models, Report, RunInfo, SCHEMA, Sample, WarmUp};
use crate::latency::{LatencyHistogram, Stage};
use crate::model::engine::ProviderReport;
use crate::pipeline::{self, Summary};

/// Ranges of a histogram for each factor of ten.
const BUCKETS_PER_DECADE: f64 = 24.0;

/// What a report says that the pipeline does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct Surroundings {
    /// Who computed.
    pub provider: ProviderReport,
    /// The models.
    pub models: Models,
    /// The settings.
    pub run: RunInfo,
}

impl Report {
    /// The report of a run.
    #[must_use]
    pub fn new(summary: &Summary, surroundings: Surroundings) -> Self {
        let Surroundings { provider, models, run } = surroundings;
        let histogram = |stage: Stage| Histogram::from(&summary.latency[stage]);
        let classes = &models.classifier.spec.classes;
        let peaks = summary.deliveries.iter().map(|delivery| delivery.peak_age);
        Self {
            schema: SCHEMA,
            deadline_us: micros(summary.deadline.get()),
            duration_s: summary.duration.as_secs_f64(),
            ledger: summary.ledger,
            miss_ratio: summary.ledger.miss_ratio(),
            longest_miss_run: summary.longest_miss_run,
            latency_us: Latencies {
                capture: histogram(Stage::Capture),
                decode: histogram(Stage::Decode),
                queue: histogram(Stage::Queue),
                preprocess: histogram(Stage::Preprocess),
                purify: histogram(Stage::Purify),
                classify: histogram(Stage::Classify),
                response: histogram(Stage::Response),
                age: histogram(Stage::Age),
            },
            age_over_deadline_ratio: summary.age_over_deadline_ratio,
            accuracy: summary.accuracy,
            suspects: summary.suspects,
            warmup: warmup(&summary.warm_up),
            deliveries_us: summary.deliveries.iter().map(|one| (micros(one.at), micros(one.response))).collect(),
            deliveries_stride: summary.deliveries_stride,
            peak_ages_us: peaks.chain([summary.final_age]).map(micros).collect(),
            samples: summary.samples.iter().map(|sample| picture_of(sample, classes)).collect(),
            provider,
            models,
            capture: summary.capture,
            unpurified: summary.unpurified,
            held: summary.held,
            run: RunInfo { interrupted: summary.interrupted, stamp_source: summary.stamp_source, ..run },
        }
    }
}

fn warmup(measured: &pipeline::WarmUp) -> Option<WarmUp> {
    (measured.runs > 0).then(|| WarmUp {
        runs: measured.runs as u64,
        total_us: micros(measured.total),
        first_us: micros(measured.first),
        purify_us: micros(measured.purify),
        classify_us: micros(measured.classify),
        slowest_us: micros(measured.slowest),
    })
}

/// Whole microseconds, rounded to the nearest.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)
}

impl From<&LatencyHistogram> for Histogram {
    fn from(histogram: &LatencyHistogram) -> Self {
        let quantile = |quantile| histogram.quantile(quantile).map(micros);
        Self {
            count: histogram.count(),
            min: histogram.min().map(micros),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: histogram.max().map(micros),
            mean: histogram.mean().map(|mean| mean.as_secs_f64() * 1e6),
            buckets: buckets(histogram),
        }
    }
}

fn buckets(histogram: &LatencyHistogram) -> Vec<Bucket> {
    let (Some(min), Some(max)) = (histogram.min(), histogram.max()) else { return Vec::new() };
    let step = |duration: Duration| (duration.as_secs_f64() * 1e6).max(0.1).log10() * BUCKETS_PER_DECADE;
    let (first, last) = (step(min).floor() as i32, step(max).floor() as i32 + 1);
    let edges: Vec<f64> = (first..=last).map(|step| 10_f64.powf(f64::from(step) / BUCKETS_PER_DECADE)).collect();
    let mut durations: Vec<Duration> = edges.iter().map(|edge| Duration::from_secs_f64(edge * 1e-6)).collect();
    // What rounding puts just outside still belongs to the outermost ranges.
    durations[0] = Duration::ZERO;
    *durations.last_mut().expect("there are at least two edges") = Duration::MAX;
    let shares = histogram.shares_between(&durations);
    edges.windows(2).zip(shares).map(|(edge, share)| Bucket { from_us: edge[0], to_us: edge[1], share }).collect()
}

fn picture_of(sample: &pipeline::Sample, classes: &[String]) -> Sample {
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    let outcome = &sample.outcome;
    let png = |pixels: &[u8]| png_base64(pixels, sample.width, sample.height, sample.channels);
    Sample {
        frame: outcome.frame.0,
        fate: outcome.fate.as_str().into(),
        label: outcome.label.map(name),
        class: outcome.verdict().map(|verdict| name(verdict.class)),
        confidence: outcome.verdict().map(|verdict| verdict.confidence),
        distance: outcome.verdict().and_then(|verdict| verdict.distance),
        score: outcome.verdict().and_then(|verdict| verdict.score),
        suspect: outcome.verdict().is_some_and(|verdict| verdict.suspect),
        input_png: png(&sample.input),
        purified_png: sample.purified.as_deref().map(png),
    }
}

/// A PNG file of `height × width × channels` interleaved bytes, as base64.
fn png_base64(pixels: &[u8], width: usize, height: usize, channels: usize) -> String {
    use image::ImageEncoder as _;
    use image::codecs::png::PngEncoder;
    let colour = if channels == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let side = |side: usize| u32::try_from(side).expect("a frame's side fits into 32 bits");
    let mut file = Cursor::new(Vec::new());
    PngEncoder::new(&mut file)
        .write_image(pixels, side(width), side(height), colour)
        .expect("a sample has as many bytes as its sides say, and memory does not fail to be written");
    STANDARD.encode(file.into_inner())
}
