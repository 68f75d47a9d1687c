//! Resizing with a triangle filter, one direction after the other, rows first.

/// The filter for pictures of one size.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Columns, rows and bytes a pixel.
    from: (usize, usize, usize),
    columns: Axis,
    rows: Axis,
    /// One row of the result's height and the picture's width.
    row: Vec<f32>,
}

impl Filter {
    pub(super) fn new(from: (usize, usize, usize), (width, height): (usize, usize)) -> Self {
        let (columns, rows) = (Axis::new(from.0, width), Axis::new(from.1, height));
        Self { from, columns, rows, row: vec![0.0; from.0 * from.2] }
    }

    pub(super) fn fits(&self, from: (usize, usize, usize)) -> bool {
        self.from == from
    }

    /// Calls `store(index, pixel)` for each pixel of the result, row by row; values from 0 to 255.
    pub(super) fn apply(&mut self, pixels: &[u8], mut store: impl FnMut(usize, &[f32])) {
        let (width, _, channels) = self.from;
        let mut index = 0;
        for (first, weights) in self.rows.taps() {
            self.row.fill(0.0);
            for (source, weight) in pixels.chunks_exact(width * channels).skip(first).zip(weights) {
                for (sum, byte) in self.row.iter_mut().zip(source) {
                    *sum += weight * f32::from(*byte);
                }
            }
            for (first, weights) in self.columns.taps() {
                let mut pixel = [0.0; 3];
                for (source, weight) in self.row.chunks_exact(channels).skip(first).zip(weights) {
                    for (sum, value) in pixel.iter_mut().zip(source) {
                        *sum += weight * value;
                    }
                }
                store(index, &pixel[..channels]);
                index += 1;
            }
        }
    }
}

/// For each position of the result: the first contributing position of the picture, and the weights from there on.
#[derive(Debug, Clone)]
struct Axis {
    first: Vec<usize>,
    /// End of each position's weights.
    end: Vec<usize>,
    weights: Vec<f32>,
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let mut axis = Self { first: Vec::with_capacity(to), end: Vec::with_capacity(to), weights: Vec::new() };
        let ratio = from as f64 / to as f64;
        let reach = ratio.max(1.0);
        for position in 0..to {
            let centre = (position as f64 + 0.5) * ratio;
            let first = (centre - reach).floor().max(0.0) as usize;
            let last = ((centre + reach).ceil() as usize).min(from);
            let weight = |at: usize| (1.0 - ((at as f64 + 0.5 - centre) / reach).abs()).max(0.0);
            let sum: f64 = (first..last).map(weight).sum();
            axis.weights.extend((first..last).map(|at| (weight(at) / sum) as f32));
            axis.first.push(first);
            axis.end.push(axis.weights.len());
        }
        axis
    }

    fn taps(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let starts = std::iter::once(0).chain(self.end.iter().copied());
        self.first.iter().zip(starts.zip(&self.end)).map(|(&first, (start, &end))| (first, &self.weights[start..end]))
    }
}
