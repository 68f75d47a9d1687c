//! Grey, small and smooth: the picture that the other steps work on.

use crate::preprocess::LUMA;

/// Longest side of the picture that is worked on. A character as high as a tenth of a 640×480 picture still has 24 rows then,
/// more than the 20 that a model sees of it.
const LONGEST: usize = 320;

/// Keeps the sum of a column of a block in 16 bits.
const LARGEST_STEP: usize = 257;

#[derive(Debug, Clone)]
pub(super) struct Shrink {
    /// Columns of the camera's picture, and bytes a pixel.
    from: (usize, usize),
    /// Columns and rows of the block that becomes one pixel.
    step: (usize, usize),
    /// Columns and rows of the result.
    size: (usize, usize),
    /// Sums down the columns of one row of blocks.
    sums: Vec<u16>,
    /// Their grey, for each column of the camera's picture.
    columns: Vec<f32>,
    grey: Vec<u8>,
    /// The smooth result, before it was smoothed up and down.
    along: Vec<u8>,
}

impl Shrink {
    pub(super) fn new((width, height, channels): (usize, usize, usize)) -> Self {
        let step = width.max(height).div_ceil(LONGEST).min(LARGEST_STEP);
        let step = (step.min(width), step.min(height));
        let size = (width / step.0, height / step.1);
        Self {
            from: (width, channels),
            step,
            size,
            sums: vec![0; width * channels],
            columns: vec![0.0; width],
            grey: vec![0; size.0 * size.1],
            along: vec![0; size.0 * size.1],
        }
    }

    /// Columns and rows of the result.
    pub(super) fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Averages whole blocks (what is left over at the right and below is cut off), then smooths.
    pub(super) fn apply(&mut self, pixels: &[u8]) -> &[u8] {
        let (width, channels) = self.from;
        let scale = 1.0 / (self.step.0 * self.step.1) as f32;
        let rows = pixels.chunks_exact(width * channels * self.step.1);
        for (block, out) in rows.zip(self.grey.chunks_exact_mut(self.size.0)) {
            self.sums.fill(0);
            for row in block.chunks_exact(width * channels) {
                self.sums.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += u16::from(byte));
            }
            match channels {
                3 => self.columns.iter_mut().zip(self.sums.chunks_exact(3)).for_each(|(grey, sums)| *grey = luma(sums)),
                _ => self.columns.iter_mut().zip(&self.sums).for_each(|(grey, &sum)| *grey = f32::from(sum)),
            }
            for (out, block) in out.iter_mut().zip(self.columns.chunks_exact(self.step.0)) {
                *out = (block.iter().sum::<f32>() * scale + 0.5) as u8;
            }
        }
        self.smooth();
        &self.grey
    }

    /// Each pixel with its neighbours, 1 : 2 : 1 in both directions; the outermost pixels stay as they are. What is left of
    /// sensor noise is a third of it, while a stroke, which is wider, stays dark.
    fn smooth(&mut self) {
        let width = self.size.0;
        self.along.copy_from_slice(&self.grey);
        for (out, row) in self.along.chunks_exact_mut(width).zip(self.grey.chunks_exact(width)) {
            weighted(out, row, 1);
        }
        self.grey.copy_from_slice(&self.along);
        weighted(&mut self.grey, &self.along, width);
    }
}

/// 1 : 2 : 1 of the values that lie `apart` from each other, where both neighbours exist.
fn weighted(out: &mut [u8], values: &[u8], apart: usize) {
    let (Some(middle), Some(after)) = (values.get(apart..), values.get(2 * apart..)) else { return };
    let neighbours = values.iter().zip(middle).zip(after);
    for (out, ((&before, &here), &after)) in out[apart..].iter_mut().zip(neighbours) {
        *out = ((u16::from(before) + 2 * u16::from(here) + u16::from(after) + 2) / 4) as u8;
    }
}

fn luma(sums: &[u16]) -> f32 {
    LUMA[0] * f32::from(sums[0]) + LUMA[1] * f32::from(sums[1]) + LUMA[2] * f32::from(sums[2])
}
