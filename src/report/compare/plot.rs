//! The response histograms of several runs over each other.

use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::*;

use super::Comparison;
use crate::report::plot::{LIMIT, frame, quiet, range_of, run_colour, svg};
use crate::report::schema::{Bucket, Histogram};
use crate::report::table::duration;

/// The lowest share that is drawn, where no run has a lower one.
const HIGHEST_BOTTOM: f64 = 1e-2;

/// As outlines, so that none hides another; in shares, so that runs of different lengths can be compared.
pub(super) fn responses(comparison: &Comparison, size: (u32, u32)) -> String {
    let histograms: Vec<&Histogram> = comparison.runs.iter().map(|run| &run.report.latency_us.response).collect();
    let deadlines: Vec<u64> = comparison.runs.iter().map(|run| run.report.deadline_us).collect();
    let range = range_of(histograms.iter().copied(), &deadlines);
    let rarest = histograms.iter().map(|histogram| 1.0 / histogram.count.max(1) as f64).fold(HIGHEST_BOTTOM, f64::min);
    let (bottom, top) = (rarest / 2.0, 1.5);
    svg(size, |area| {
        let mut chart =
            frame(&area, 56).build_cartesian_2d((range.0..range.1).log_scale(), (bottom..top).log_scale())?;
        quiet(&mut chart.configure_mesh())
            .x_labels(12)
            .y_labels(5)
            .x_label_formatter(&|us| duration(us.round() as u64))
            .y_label_formatter(&|share| format!("{} %", (share * 1e6).round() / 1e4))
            .draw()?;
        for (at, histogram) in histograms.iter().enumerate() {
            chart.draw_series(LineSeries::new(outline(histogram, bottom), run_colour(at).stroke_width(2)))?;
        }
        for &deadline in &deadlines {
            let deadline = (deadline as f64).max(range.0);
            chart.draw_series(LineSeries::new([(deadline, bottom), (deadline, top)], LIMIT.stroke_width(2)))?;
        }
        Ok(())
    })
}

/// The corners of a histogram's steps, `(µs, share)`, which stand on `bottom`.
fn outline(histogram: &Histogram, bottom: f64) -> Vec<(f64, f64)> {
    let step = |bucket: &Bucket| [bucket.from_us, bucket.to_us].map(|us| (us, bucket.share.max(bottom)));
    let steps = histogram.buckets.iter().flat_map(step);
    let start = histogram.buckets.first().map(|bucket| (bucket.from_us, bottom));
    let end = histogram.buckets.last().map(|bucket| (bucket.to_us, bottom));
    start.into_iter().chain(steps).chain(end).collect()
}
