//! The report's plots, as SVG that takes its colours from the page around it.

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::combinators::IntoLogRange;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use super::compare::{Comparison, MOST_RUNS};
use super::schema::{Bucket, Histogram, Report};
use super::table::duration;

/// Colours that plotters writes and the page replaces by its own, so that dark pages get light lines.
const INK: RGBColor = RGBColor(1, 0, 0);
const FAINT: RGBColor = RGBColor(2, 0, 0);
const DATA: RGBColor = RGBColor(3, 0, 0);
const LIMIT: RGBColor = RGBColor(4, 0, 0);
const PAGE_COLOURS: [(&str, &str); 4] =
    [("#010000", "var(--ink)"), ("#020000", "var(--faint)"), ("#030000", "var(--data)"), ("#040000", "var(--limit)")];

/// Columns of the age plot: more points than these cannot be told apart.
const COLUMNS: usize = 700;

/// The lowest share that is drawn, where no run has a lower one.
const HIGHEST_BOTTOM: f64 = 1e-2;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The range of durations, in µs, that all histograms of a report are drawn over.
pub(super) fn common_range(report: &Report) -> (f64, f64) {
    range_of(report.latency_us.named().into_iter().map(|(_, histogram)| histogram), &[report.deadline_us])
}

/// The range of durations, in µs, that holds all of these histograms and deadlines.
fn range_of<'a>(histograms: impl Iterator<Item = &'a Histogram>, deadlines_us: &[u64]) -> (f64, f64) {
    let edges = histograms.flat_map(|histogram| &histogram.buckets).map(|bucket| (bucket.from_us, bucket.to_us));
    let deadlines = deadlines_us.iter().map(|&deadline| (deadline as f64 / 4.0, deadline as f64));
    let wider = |range: (f64, f64), other: (f64, f64)| (range.0.min(other.0), range.1.max(other.1));
    let (from, to) = edges.chain(deadlines).fold((f64::MAX, 1.0), wider);
    (from.max(1.0) / 1.3, to * 1.3)
}

/// How often which duration occurred, both axes logarithmic so that a single outlier can be seen, and the
/// deadline as a line.
pub(super) fn histogram(histogram: &Histogram, deadline_us: u64, range: (f64, f64), size: (u32, u32)) -> String {
    svg(size, |area| {
        let most = histogram.buckets.iter().map(|bucket| bucket.share).fold(0.0, f64::max) * histogram.count as f64;
        let (bottom, top) = (0.5, most.max(1.0) * 2.0);
        let mut chart =
            frame(&area, 44).build_cartesian_2d((range.0..range.1).log_scale(), (bottom..top).log_scale())?;
        quiet(&mut chart.configure_mesh())
            .x_labels(12)
            .y_labels(4)
            .x_label_formatter(&|us| duration(us.round() as u64))
            .y_label_formatter(&|count| if *count < 1.0 { String::new() } else { format!("{count:.0}") })
            .draw()?;
        let bars = histogram.buckets.iter().filter(|bucket| bucket.share > 0.0).map(|bucket| {
            let count = (bucket.share * histogram.count as f64).max(1.0);
            let (from, to) = (bucket.from_us.max(range.0), bucket.to_us.max(range.0));
            Rectangle::new([(from, bottom), (to, count)], DATA.filled())
        });
        chart.draw_series(bars)?;
        let deadline = (deadline_us as f64).max(range.0);
        chart.draw_series(LineSeries::new([(deadline, bottom), (deadline, top)], LIMIT.stroke_width(2)))?;
        Ok(())
    })
}

/// How old the newest verdict was at every moment of the run, and the deadline as a line; `None` of a report that does not
/// tell.
pub(super) fn age(report: &Report, size: (u32, u32)) -> Option<String> {
    let points = thin(sawtooth(report, &peaks_us(report)?), report.duration_s);
    let deadline = report.deadline_us as f64;
    let highest = points.iter().map(|point| point.1).fold(deadline, f64::max) * 1.15;
    let plot = svg(size, |area| {
        let mut chart = frame(&area, 64).build_cartesian_2d(0.0..report.duration_s.max(1e-3), 0.0..highest)?;
        quiet(&mut chart.configure_mesh())
            .x_labels(10)
            .y_labels(5)
            .x_label_formatter(&|at| format!("{} s", (at * 100.0).round() / 100.0))
            .y_label_formatter(&|us| duration(us.round() as u64))
            .draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), DATA.stroke_width(1)))?;
        chart.draw_series(LineSeries::new([(0.0, deadline), (report.duration_s, deadline)], LIMIT.stroke_width(2)))?;
        Ok(())
    });
    Some(plot)
}

/// The age, in µs, just before each delivery and at the end. Where the report has none they follow from the deliveries, if
/// these are all there.
fn peaks_us(report: &Report) -> Option<Vec<u64>> {
    let deliveries = &report.deliveries_us;
    if report.peak_ages_us.len() == deliveries.len() + 1 {
        return Some(report.peak_ages_us.clone());
    }
    let all_kept = deliveries.len() as u64 == report.latency_us.response.count;
    let since = [(0, 0)].into_iter().chain(deliveries.iter().copied());
    let until = deliveries.iter().map(|delivery| delivery.0).chain([end_us(report)]);
    let risen = |((before, age), at): ((u64, u64), u64)| age.saturating_add(at.saturating_sub(before));
    all_kept.then(|| since.zip(until).map(risen).collect())
}

fn end_us(report: &Report) -> u64 {
    (report.duration_s * 1e6) as u64
}

/// The corners of the age's curve: `(seconds, µs)`. It rises with time to each of `peaks_us`, and falls to the response time
/// at each delivery.
fn sawtooth(report: &Report, peaks_us: &[u64]) -> Vec<(f64, f64)> {
    let deliveries = report.deliveries_us.iter().copied().chain([(end_us(report), 0)]);
    let mut points = Vec::with_capacity(2 * peaks_us.len());
    let mut age = (0.0, 0.0);
    for ((at, response), &peak) in deliveries.zip(peaks_us) {
        let at = at as f64 / 1e6;
        points.extend([age, (at, peak as f64)]);
        age = (at, response as f64);
    }
    points
}

/// Keeps the lowest and the highest point of each column of the plot.
fn thin(points: Vec<(f64, f64)>, duration_s: f64) -> Vec<(f64, f64)> {
    if points.len() <= 4 * COLUMNS {
        return points;
    }
    let column = |point: &(f64, f64)| (point.0 / duration_s * COLUMNS as f64) as usize;
    points
        .chunk_by(|one, next| column(one) == column(next))
        .flat_map(|points| {
            let by_age = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
            [points.iter().min_by(by_age), points.iter().max_by(by_age)].into_iter().flatten().copied()
        })
        .collect()
}

/// The response histograms of several runs over each other. As outlines, so that none hides another; in shares, so that runs of different lengths can be compared.
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

/// A chart on all of `area`, with `left_px` for the labels of the y axis.
fn frame<'a, 'b>(area: &'a Area<'b>, left_px: u32) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.margin(6).margin_right(16).x_label_area_size(26).y_label_area_size(left_px);
    chart
}

/// Horizontal lines only, and faint.
fn quiet<'m, 'chart, 'text, X, Y, B: DrawingBackend>(
    mesh: &'m mut MeshStyle<'chart, 'text, X, Y, B>,
) -> &'m mut MeshStyle<'chart, 'text, X, Y, B>
where
    X: Ranged + ValueFormatter<X::ValueType>,
    Y: Ranged + ValueFormatter<Y::ValueType>,
{
    mesh.disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.5))
        .axis_style(FAINT)
        .label_style(("sans-serif", 12).into_font().color(&INK))
}

/// The colour of a run among others: one that the page replaces by its own.
fn run_colour(at: usize) -> RGBColor {
    RGBColor(5, 0, u8::try_from(at).expect("a page has few runs"))
}

fn svg(size: (u32, u32), draw: impl FnOnce(Area<'_>) -> Drawn) -> String {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, size).into_drawing_area()).expect("drawing into memory does not fail");
    for (written, colour) in PAGE_COLOURS {
        text = text.replace(written, colour);
    }
    (0..MOST_RUNS).fold(text, |text, at| text.replace(&format!("#0500{at:02X}"), &format!("var(--run-{})", at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two deliveries in six seconds.
    fn report() -> Report {
        let mut report = Report::from_json(include_str!("../../fuzz/seeds/report/run")).expect("the seed is a report");
        report.deliveries_us = vec![(1_000_000, 10_000), (5_000_000, 20_000)];
        report.latency_us.response.count = 2;
        (report.duration_s, report.peak_ages_us) = (6.0, Vec::new());
        report
    }

    #[test]
    fn the_age_rises_to_the_peaks_that_were_measured() {
        let report = Report { peak_ages_us: vec![43_000, 50_000, 30_000], ..report() };
        let corners = [(0.0, 0.0), (1.0, 43e3), (1.0, 10e3), (5.0, 50e3), (5.0, 20e3), (6.0, 30e3)];
        assert_eq!(sawtooth(&report, &peaks_us(&report).expect("the report has them")), corners);
    }

    #[test]
    fn a_report_without_peaks_shows_the_age_only_if_every_delivery_is_in_it() {
        let mut report = report();
        assert_eq!(peaks_us(&report), Some(vec![1_000_000, 4_010_000, 1_020_000]));
        report.latency_us.response.count = 4;
        assert!(age(&report, (700, 200)).is_none());
    }

    #[test]
    fn thinning_keeps_the_peaks() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|at| (f64::from(at) / 1e4, f64::from(at % 10))).collect();
        points[54_321].1 = 1e6;
        let thinned = thin(points, 10.0);
        assert!(thinned.len() <= 2 * COLUMNS + 2, "{}", thinned.len());
        assert!(thinned.iter().any(|point| point.1 == 1e6));
    }
}
