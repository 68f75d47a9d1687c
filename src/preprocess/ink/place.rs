//! The writing as MNIST has it: strokes from 0 to 1, at least as strong as a felt pen's, the longer side of its box 20 of 28 pixels,
//! the box on whole pixels, its centre of mass in the middle of pixel 14. (Over MNIST's training images the centre of mass lies at
//! 14.5 ± 0.29 pixels from the left and from above: a whole number of pixels was moved to come closest to it.)

use super::background::slide;
use super::parts::{Area, Parts};
use crate::model::spec::InputShape;

/// Pixels of MNIST's pictures.
const MNIST: f32 = 28.0;
/// Longer side of its characters.
const BOX: f32 = 20.0;
/// Where their centre of mass is.
const CENTRE: f32 = 14.5;

/// Strokes are at least so wide, in pixels of MNIST. There the median is 2.6 and 5 % are below 1.6; a ball-point pen
/// leaves less than one, which no model has seen.
const THINNEST: f32 = 2.0;
/// A quarter of the writing is darker: the ink itself, without the edges of strokes.
const FULL_INK: usize = 4;
/// Where a stroke ends: half as dark as ink.
const HALF: u8 = 128;
/// The brightest pixel becomes 1, but nothing becomes brighter than so many times.
const MOST_GAIN: f32 = 2.0;

#[derive(Debug, Clone)]
pub(super) struct Place {
    shape: InputShape,
    /// Twice what strokes may grow by, and a pixel: `slide` moves what it widens to the left and up.
    margin: usize,
    /// The writing alone, with a margin; the second is room for the passes that widen strokes.
    ink: [Vec<u8>; 2],
    /// Columns of `ink`.
    stride: usize,
    /// The largest that `ink` gets.
    room: usize,
    /// One row of the result.
    line: Vec<f32>,
}

impl Place {
    pub(super) fn new(width: usize, height: usize, shape: InputShape) -> Self {
        let margin = (width.max(height) as f32 / BOX * THINNEST) as usize + 4;
        let room = (width + 2 * margin) * (height + 2 * margin);
        let ink = Vec::with_capacity(room);
        Self { shape, margin, ink: [ink, Vec::with_capacity(room)], stride: 0, room, line: vec![0.0; shape.width] }
    }

    /// Takes the chosen parts, which lie in `area`, and stretches them: paper is 0, ink 255.
    pub(super) fn draw(&mut self, parts: &Parts, dark: &[u8], area: Area, paper: u8) {
        self.stride = area.width() + 2 * self.margin;
        let size = self.stride * (area.height() + 2 * self.margin);
        debug_assert!(size <= self.room);
        for ink in &mut self.ink {
            ink.clear();
            ink.resize(size, 0);
        }
        let mut stretch = [0_u8; 256];
        let (from, to) = (u32::from(paper), u32::from(ink_level(parts, dark)));
        for (value, stretched) in (0_u32..).zip(&mut stretch) {
            *stretched = (value.saturating_sub(from) * 255 / to.saturating_sub(from).max(1)).min(255) as u8;
        }
        for run in parts.chosen() {
            let at = (run.row - area.top + self.margin) * self.stride + run.start - area.left + self.margin;
            let from = &dark[run.row * parts.width..][run.start..run.end];
            self.ink[0][at..].iter_mut().zip(from).for_each(|(ink, &dark)| *ink = stretch[usize::from(dark)]);
        }
    }

    /// Writes the strokes to all channels of `tensor`, which is black.
    pub(super) fn onto(&mut self, tensor: &mut [f32]) {
        let Some(mut strokes) = Strokes::of(&self.ink[0], self.stride) else { return };
        let unit = strokes.area.longer_side() as f32 / BOX;
        let missing = THINNEST * unit - strokes.thickness;
        let grow = ((missing / 2.0).round().max(0.0) as usize).min((self.margin - 1) / 2);
        if grow > 0 {
            self.widen(grow);
            let Some(wider) = Strokes::of(&self.ink[0], self.stride) else { return };
            strokes = wider;
        }
        let InputShape { channels, height, width } = self.shape;
        let (plane, others) = tensor.split_at_mut(height * width);
        self.resample(&strokes, plane);
        let brightest = plane.iter().copied().fold(0.0, f32::max);
        let gain = (1.0 / brightest.max(f32::MIN_POSITIVE)).min(MOST_GAIN / 255.0);
        plane.iter_mut().for_each(|value| *value = (*value * gain).min(1.0));
        for channel in others.chunks_exact_mut(height * width).take(channels - 1) {
            channel.copy_from_slice(plane);
        }
    }

    /// Strokes grow by so many pixels on each side.
    fn widen(&mut self, by: usize) {
        for apart in [1, self.stride] {
            slide(&mut self.ink, apart, 2 * by + 1, u8::max);
        }
    }

    /// Adds each pixel to those of the result that it covers, by the share of them that it covers.
    fn resample(&mut self, strokes: &Strokes, plane: &mut [f32]) {
        let InputShape { height, width, .. } = self.shape;
        let side = width.min(height) as f32 / MNIST;
        let scale = BOX * side / strokes.area.longer_side() as f32;
        let across = Axis::new(strokes.area.left, strokes.area.right, strokes.centre.0, scale, width, side);
        let down = Axis::new(strokes.area.top, strokes.area.bottom, strokes.centre.1, scale, height, side);
        for (y, row) in self.ink[0].chunks_exact(self.stride).enumerate() {
            self.line.fill(0.0);
            for (x, &ink) in row.iter().enumerate().filter(|(_, ink)| **ink > 0) {
                across.covered(x, |to, share| self.line[to] += share * f32::from(ink));
            }
            down.covered(y, |to, share| {
                let out = &mut plane[to * width..][..width];
                out.iter_mut().zip(&self.line).for_each(|(out, value)| *out += share * value);
            });
        }
    }
}

/// The darkness of ink, from the chosen parts.
fn ink_level(parts: &Parts, dark: &[u8]) -> u8 {
    let mut counts = [0_usize; 256];
    let values = parts.chosen().flat_map(|run| &dark[run.row * parts.width..][run.start..run.end]);
    values.for_each(|&value| counts[usize::from(value)] += 1);
    let rank = counts.iter().sum::<usize>() / FULL_INK;
    let mut above = 0;
    let level = counts.iter().rposition(|count| {
        above += count;
        above > rank
    });
    level.unwrap_or(255) as u8
}

/// Where the strokes are, and how wide.
struct Strokes {
    area: Area,
    /// Centre of mass, from the left and from above.
    centre: (f32, f32),
    /// Mean width.
    thickness: f32,
}

impl Strokes {
    fn of(ink: &[u8], stride: usize) -> Option<Self> {
        let mut area: Option<Area> = None;
        let (mut sum, mut across, mut down) = (0.0, 0.0, 0.0);
        let (mut inner, mut edge) = (0_usize, 0_usize);
        for (y, row) in ink.chunks_exact(stride).enumerate() {
            for (x, &value) in row.iter().enumerate().filter(|(_, value)| **value > 0) {
                let mass = f64::from(value);
                sum += mass;
                across += mass * (x as f64 + 0.5);
                down += mass * (y as f64 + 0.5);
                if value >= HALF {
                    let pixel = Area { left: x, top: y, right: x + 1, bottom: y + 1 };
                    area = Some(area.map_or(pixel, |area| area.with(&pixel)));
                    let at = y * stride + x;
                    let around = [ink[at - 1], ink[at + 1], ink[at - stride], ink[at + stride]];
                    let is_edge = around.iter().any(|&neighbour| neighbour < HALF);
                    if is_edge { edge += 1 } else { inner += 1 }
                }
            }
        }
        // A stroke of width w and length l has w·l pixels, two sides of l pixels of them on its edge.
        let thickness = 2.0 * (inner + edge) as f32 / edge.max(1) as f32;
        Some(Self { area: area?, centre: ((across / sum) as f32, (down / sum) as f32), thickness })
    }
}

/// From positions in the writing to positions in the result, along one direction.
struct Axis {
    scale: f32,
    offset: f32,
    length: usize,
}

impl Axis {
    /// For a box from `start` to `end` with its centre of mass at `centre`, and `length` pixels in the result, of which `side` make one of MNIST's.
    fn new(start: usize, end: usize, centre: f32, scale: f32, length: usize, side: f32) -> Self {
        let middle = length as f32 / 2.0 + (CENTRE - MNIST / 2.0) * side;
        let free = (length as f32 - (end - start) as f32 * scale).max(0.0);
        let left = (middle - (centre - start as f32) * scale).round().clamp(0.0, free.floor());
        Self { scale, offset: left - start as f32 * scale, length }
    }

    /// Calls `add(pixel, share of it)` for each pixel of the result that position `at` covers.
    fn covered(&self, at: usize, mut add: impl FnMut(usize, f32)) {
        let start = (at as f32 * self.scale + self.offset).max(0.0);
        let end = ((at + 1) as f32 * self.scale + self.offset).min(self.length as f32);
        let mut from = start;
        while from < end {
            let pixel = from as usize;
            let to = end.min((pixel + 1) as f32);
            add(pixel.min(self.length - 1), to - from);
            from = to;
        }
    }
}
