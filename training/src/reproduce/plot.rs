//! A figure as a plot.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::figure::Figure;
use crate::files;

const SIZE: (u32, u32) = (760, 440);

impl Figure {
    /// Draws it as SVG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn draw(&self, path: &Path) -> Result<()> {
        let x = self.extent();
        let mut drawing = String::new();
        let into = &mut drawing;
        let drawn = if self.x.logarithmic { self.draw_over(into, x.log_scale()) } else { self.draw_over(into, x) };
        drawn.map_err(|error| anyhow!("{}: cannot draw the figure: {error}", path.display()))?;
        files::replace(path, drawing.as_bytes())
    }

    fn draw_over<X>(&self, drawing: &mut String, x: X) -> Result<(), Box<dyn std::error::Error>>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
    {
        let root = SVGBackend::with_string(drawing, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(52)
            .build_cartesian_2d(x, 0.0..100.0)?;
        chart.configure_mesh().x_desc(&self.x.label).y_desc("accuracy in %").light_line_style(WHITE).draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = Palette99::pick(index).to_rgba();
            let points = series.points.iter().map(|&[x, y]| (x, y));
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
                .label(&series.name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 14, y + 4)], colour.filled()));
            chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        }
        // Where the figures have no points: accuracy falls along ε, and the fast defences are on the left of time.
        let legend = if self.x.logarithmic { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::LowerLeft };
        chart
            .configure_series_labels()
            .position(legend)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
        Ok(())
    }

    /// From the smallest to the largest x; on a logarithmic axis a little more, so that no point lies on the frame.
    fn extent(&self) -> std::ops::Range<f64> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let extended = |(low, high): (f64, f64), &[x, _]: &[f64; 2]| (low.min(x), high.max(x));
        let (low, high) = points.fold((f64::INFINITY, f64::NEG_INFINITY), extended);
        match (low <= high, self.x.logarithmic) {
            (true, true) => low / 1.3..high * 1.3,
            (true, false) => low..high,
            (false, _) => 0.0..1.0,
        }
    }
}
