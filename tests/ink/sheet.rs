//! Draws what a camera sees of a digit on a sheet of paper: a simulation with everything a camera and a room do to it, from a seed.
//!
//! The digit is one of MNIST's, enlarged smoothly and given the sharp edge that a pen leaves. All lengths are in pixels of the camera.

use image::{GrayImage, Luma, RgbImage, imageops};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use crate::pen::Line;

pub(crate) const WIDTH: u32 = 640;
pub(crate) const HEIGHT: u32 = 480;
/// Sides of MNIST's pictures, and of the character in them.
const MNIST: usize = 28;
const BOX: f32 = 20.0;
/// Light that ink reflects; paper reflects 1.
const INK: f32 = 0.2;
/// Width of the lines of squared paper.
const LINE_PX: f32 = 1.5;

/// How much of everything there is. Each figure is the most; what a sheet gets is drawn up to there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disturbance {
    /// Longer side of the digit.
    pub(crate) size_px: (f32, f32),
    /// Brightness of the paper, of 255.
    pub(crate) paper: (f32, f32),
    /// Light lost from one side of the picture to the other, as a share.
    pub(crate) gradient: f32,
    /// Light that a shadow with a straight, more or less sharp edge takes, as a share.
    pub(crate) shadow: f32,
    /// Standard deviation of the sensor's noise, of 255.
    pub(crate) noise: f32,
    /// Standard deviation of the blur.
    pub(crate) blur_px: f32,
    pub(crate) rotation_deg: f32,
    /// How much farther one side of the picture is than the other, as a share.
    pub(crate) perspective: f32,
    /// Height in the enlarged digit, from 0 to 1, at which a stroke ends. MNIST's own width is 0.5, higher is thinner.
    pub(crate) pen: (f32, f32),
    /// Instead: strokes of one width around the middle of MNIST's, as a share of the digit's longer side.
    pub(crate) line: Option<(f32, f32)>,
    /// Whether the sheet's edges and a table are seen.
    pub(crate) table: bool,
    /// Specks of dirt on the paper.
    pub(crate) specks: usize,
    /// Light that the lines of squared paper take, as a share.
    pub(crate) squares: f32,
}

impl Disturbance {
    /// Nothing but a little noise; sizes and places vary.
    pub(crate) const NONE: Self = Self {
        size_px: (100.0, 300.0),
        paper: (200.0, 230.0),
        gradient: 0.0,
        shadow: 0.0,
        noise: 2.0,
        blur_px: 0.7,
        rotation_deg: 0.0,
        perspective: 0.0,
        pen: (0.45, 0.55),
        line: None,
        table: false,
        specks: 0,
        squares: 0.0,
    };
}

/// One sheet, all chances drawn.
pub(crate) struct Sheet<'a> {
    /// 28×28, light on black; nothing is written without one.
    digit: Option<&'a [u8]>,
    centre: (f32, f32),
    size_px: f32,
    rotation: f32,
    perspective: (f32, f32),
    pen: f32,
    /// And half its width, in pixels of MNIST.
    line: Option<(Line, f32)>,
    paper: f32,
    gradient: (f32, f32),
    shadow: Shadow,
    /// Half the sheet's sides, and the light that the table reflects.
    table: Option<((f32, f32), f32)>,
    specks: Vec<(f32, f32, f32)>,
    /// Distance of the lines, and the light they take.
    squares: (f32, f32),
    blur_px: f32,
    noise: f32,
    random: ChaCha8Rng,
}

/// Darker on one side of a line through a point.
struct Shadow {
    at: (f32, f32),
    towards: (f32, f32),
    softness_px: f32,
    takes: f32,
}

fn between(random: &mut ChaCha8Rng, from: f32, to: f32) -> f32 {
    from + (to - from) * (random.next_u32() as f32 / u32::MAX as f32)
}

impl<'a> Sheet<'a> {
    pub(crate) fn new(digit: Option<&'a [u8]>, most: &Disturbance, seed: u64, number: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        let mut draw = |from: f32, to: f32| between(&mut random, from, to);
        let size_px = draw(most.size_px.0, most.size_px.1);
        let (x_free, y_free) = (WIDTH as f32 / 2.0 - size_px * 0.7, HEIGHT as f32 / 2.0 - size_px * 0.7);
        let centre =
            (WIDTH as f32 / 2.0 + draw(-x_free, x_free) * 0.8, HEIGHT as f32 / 2.0 + draw(-y_free, y_free) * 0.8);
        let side = draw(0.0, std::f32::consts::TAU);
        let light = draw(0.3, 1.0) * most.gradient;
        let edge = draw(0.0, std::f32::consts::TAU);
        let shadow = Shadow {
            at: (draw(0.2, 0.8) * WIDTH as f32, draw(0.2, 0.8) * HEIGHT as f32),
            towards: (edge.cos(), edge.sin()),
            softness_px: draw(2.0, 60.0),
            takes: draw(0.3, 1.0) * most.shadow,
        };
        let reach = size_px * 0.8;
        let table = most.table.then(|| ((reach + draw(10.0, 120.0), reach + draw(10.0, 120.0)), draw(0.1, 0.7)));
        let specks =
            (0..most.specks).map(|_| (draw(0.0, WIDTH as f32), draw(0.0, HEIGHT as f32), draw(1.0, 5.0))).collect();
        Self {
            digit,
            centre,
            size_px,
            rotation: draw(-1.0, 1.0) * most.rotation_deg.to_radians(),
            perspective: (draw(-1.0, 1.0) * most.perspective, draw(-1.0, 1.0) * most.perspective),
            pen: draw(most.pen.0, most.pen.1),
            line: digit
                .zip(most.line)
                .map(|(digit, width)| (Line::of(|x, y| height(digit, x, y)), draw(width.0, width.1) * BOX / 2.0)),
            paper: draw(most.paper.0, most.paper.1),
            gradient: (light * side.cos(), light * side.sin()),
            shadow,
            table,
            specks,
            squares: (draw(20.0, 50.0), draw(0.5, 1.0) * most.squares),
            blur_px: most.blur_px * draw(0.5, 1.0),
            noise: most.noise * draw(0.5, 1.0),
            random,
        }
    }

    /// As a grey camera sees it.
    pub(crate) fn photograph(mut self) -> GrayImage {
        let scene = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            Luma([(self.paper * self.light(x, y) * self.reflected(x, y)).round() as u8])
        });
        let mut photograph = imageops::fast_blur(&scene, self.blur_px);
        for pixel in photograph.pixels_mut() {
            let noise: f32 = StandardNormal.sample(&mut self.random);
            pixel.0[0] = (f32::from(pixel.0[0]) + noise * self.noise).round() as u8;
        }
        photograph
    }

    /// As a camera sees it that takes warm light for white.
    pub(crate) fn photograph_in_colour(self) -> RgbImage {
        let grey = self.photograph();
        RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let value = f32::from(grey.get_pixel(x, y).0[0]);
            image::Rgb([1.08, 1.0, 0.8].map(|tint| (value * tint) as u8))
        })
    }

    fn light(&self, x: f32, y: f32) -> f32 {
        let (across, down) = (x / WIDTH as f32 - 0.5, y / HEIGHT as f32 - 0.5);
        let slope =
            1.0 + self.gradient.0 * across + self.gradient.1 * down - self.gradient.0.hypot(self.gradient.1) / 2.0;
        let shadow = &self.shadow;
        let inside = (x - shadow.at.0) * shadow.towards.0 + (y - shadow.at.1) * shadow.towards.1;
        slope * (1.0 - shadow.takes * smooth_step(inside / shadow.softness_px + 0.5))
    }

    fn reflected(&self, x: f32, y: f32) -> f32 {
        let (across, down) = (x - self.centre.0, y - self.centre.1);
        let depth = 1.0 + self.perspective.0 * across / WIDTH as f32 + self.perspective.1 * down / HEIGHT as f32;
        let (sin, cos) = self.rotation.sin_cos();
        let on_sheet = ((across * cos + down * sin) / depth, (down * cos - across * sin) / depth);
        if let Some((half, table)) = self.table
            && (on_sheet.0.abs() > half.0 || on_sheet.1.abs() > half.1)
        {
            return table;
        }
        if self.specks.iter().any(|&(left, top, radius)| (x - left).hypot(y - top) < radius) {
            return INK;
        }
        let unit = self.size_px / BOX;
        let place = |along: f32| along / unit + MNIST as f32 / 2.0 - 0.5;
        let (distance, takes) = self.squares;
        let on_line = [on_sheet.0, on_sheet.1].iter().any(|along| along.rem_euclid(distance) < LINE_PX);
        let paper = if on_line { 1.0 - takes } else { 1.0 };
        paper - (paper - INK) * self.stroke(place(on_sheet.0), place(on_sheet.1))
    }

    /// Share of ink at a position of the digit's picture.
    fn stroke(&self, x: f32, y: f32) -> f32 {
        let Some(digit) = self.digit else { return 0.0 };
        let outside = |at: f32| !(-1.0..=MNIST as f32).contains(&at);
        match &self.line {
            _ if outside(x) || outside(y) => 0.0,
            Some((line, half)) => smooth_step((half - line.distance(x, y)) * self.size_px / BOX + 0.5),
            None => smooth_step((height(digit, x, y) - self.pen) * 8.0 + 0.5),
        }
    }
}

/// The digit's cubic spline, 0 to 1.
fn height(digit: &[u8], x: f32, y: f32) -> f32 {
    let (columns, rows) = (spline(x - x.floor()), spline(y - y.floor()));
    let mut height = 0.0;
    for (down, row) in (y.floor() as isize - 1..).zip(rows) {
        for (across, column) in (x.floor() as isize - 1..).zip(columns) {
            let inside = (0..MNIST as isize).contains(&across) && (0..MNIST as isize).contains(&down);
            let pixel = if inside { digit[down as usize * MNIST + across as usize] } else { 0 };
            height += row * column * f32::from(pixel) / 255.0;
        }
    }
    height
}

fn smooth_step(at: f32) -> f32 {
    let at = at.clamp(0.0, 1.0);
    at * at * (3.0 - 2.0 * at)
}

/// Weights of four neighbours in a cubic B-spline.
fn spline(at: f32) -> [f32; 4] {
    let rest = 1.0 - at;
    let middle = |at: f32| (4.0 - 6.0 * at * at + 3.0 * at * at * at) / 6.0;
    [rest.powi(3) / 6.0, middle(at), middle(rest), at.powi(3) / 6.0]
}
