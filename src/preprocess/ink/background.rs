//! How bright the paper is under the writing: the morphological closing of the picture, which removes whatever is
//! dark and narrower than a window, and leaves everything else as it is.
//!
//! A mean over a neighbourhood would be wrong where light changes at once: beside the edge of a sheet, or of a shadow, it lies between
//! the two and draws a false stroke along the edge. A closing follows such an edge exactly.

/// Windows in the picture's shorter side: what is narrower than a fifth of it may be a stroke.
const WINDOWS: usize = 5;

#[derive(Debug, Clone)]
pub(super) struct Background {
    width: usize,
    height: usize,
    /// Half a window.
    reach: usize,
    /// The picture with a margin of two windows on the right and below and as much above and on the left; two of them, for one
    /// pass reads the one and writes the other.
    padded: [Vec<u8>; 2],
    paper: Vec<u8>,
}

impl Background {
    pub(super) fn new(width: usize, height: usize) -> Self {
        let reach = (width.min(height) / WINDOWS / 2).max(1);
        let padded = vec![0; (width + 4 * reach) * (height + 4 * reach)];
        Self { width, height, reach, padded: [padded.clone(), padded], paper: vec![0; width * height] }
    }

    /// The brightest of each window, then the darkest of that. Outside the picture it is dark, so that what is dark
    /// along the picture's edge (a table beside the sheet) counts as wide, however little of it is seen.
    pub(super) fn apply(&mut self, grey: &[u8]) -> &[u8] {
        let Self { width, height, reach, .. } = *self;
        let stride = width + 4 * reach;
        let [padded, _] = &mut self.padded;
        padded.fill(0);
        for (row, from) in padded.chunks_exact_mut(stride).skip(2 * reach).zip(grey.chunks_exact(width)) {
            row[2 * reach..][..width].copy_from_slice(from);
        }
        let window = 2 * reach + 1;
        for apart in [1, stride] {
            slide(&mut self.padded, apart, window, u8::max);
        }
        for apart in [1, stride] {
            slide(&mut self.padded, apart, window, u8::min);
        }
        let rows = self.padded[0].chunks_exact(stride);
        for (to, row) in self.paper.chunks_exact_mut(width).zip(rows).take(height) {
            to.copy_from_slice(&row[..width]);
        }
        &self.paper
    }
}

/// Replaces each value of the first buffer by the one `pick` prefers among the `window` values from there on, `apart` from each other.
///
/// Doubles what a value stands for until it is the window: the logarithm of it in passes, each of which the
/// compiler turns into vector instructions. Near the end of the buffer fewer values count.
pub(super) fn slide(buffers: &mut [Vec<u8>; 2], apart: usize, window: usize, pick: impl Fn(u8, u8) -> u8) {
    let mut covered = 1;
    while covered < window {
        let step = covered.min(window - covered);
        let [from, to] = buffers;
        let shift = (step * apart).min(from.len());
        let (both, rest) = to.split_at_mut(from.len() - shift);
        for ((to, &here), &there) in both.iter_mut().zip(from.iter()).zip(&from[shift..]) {
            *to = pick(here, there);
        }
        rest.copy_from_slice(&from[from.len() - shift..]);
        buffers.swap(0, 1);
        covered += step;
    }
}
