//! Loss curves as a picture.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::files;

const PANEL: (u32, u32) = (420, 260);

/// Named figures over the epochs, each a list of (epoch, value).
pub type Series<'a> = BTreeMap<&'a str, Vec<(f64, f64)>>;

/// Writes one SVG with a small plot for each of the figures.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, series: &Series<'_>) -> Result<()> {
    let mut drawing = String::new();
    draw(&mut drawing, series).map_err(|error| anyhow!("{}: cannot draw the curves: {error}", path.display()))?;
    files::replace(path, drawing.as_bytes())
}

fn draw(drawing: &mut String, series: &Series<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let columns = series.len().clamp(1, 3);
    let rows = series.len().div_ceil(columns).max(1);
    let root = SVGBackend::with_string(drawing, (PANEL.0 * columns as u32, PANEL.1 * rows as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, (name, points)) in root.split_evenly((rows, columns)).iter().zip(series) {
        panel(area, name, points)?;
    }
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(area: &Area<'_>, name: &str, points: &[(f64, f64)]) -> Result<(), Box<dyn std::error::Error>> {
    let low = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.08).max(1e-6);
    let last = points.last().map_or(1.0, |point| point.0);
    let mut chart = ChartBuilder::on(area)
        .caption(name, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last.max(1.0), low - margin..high + margin)?;
    chart.configure_mesh().disable_mesh().x_labels(6).y_labels(5).draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), BLUE.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|&point| Circle::new(point, 2, BLUE.filled())))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn whoever_has_the_old_curves_open_still_sees_them_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curves.svg");
        let series = |last: f64| Series::from([("loss", vec![(0.0, 1.0), (1.0, last)])]);
        write(&path, &series(0.5)).unwrap();
        let (old, mut open) = (std::fs::read_to_string(&path).unwrap(), std::fs::File::open(&path).unwrap());
        write(&path, &series(0.25)).unwrap();
        let mut seen = String::new();
        open.read_to_string(&mut seen).unwrap();
        assert!(seen == old && seen.starts_with("<svg") && seen.trim_end().ends_with("</svg>"), "{seen}");
        assert_ne!(std::fs::read_to_string(&path).unwrap(), old);
    }
}
