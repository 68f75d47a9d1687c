use crate::model::spec::InputShape;
use crate::preprocess::{Picture, PixelFormat, Prep, Preprocessor};

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const MNIST: InputShape = InputShape { channels: 1, height: 28, width: 28 };

/// Brightness at a place.
type Light = fn(f32, f32) -> f32;

fn prepare(shape: InputShape, width: usize, height: usize, pixels: &[u8]) -> Vec<f32> {
    let format = if pixels.len() == width * height { PixelFormat::Gray8 } else { PixelFormat::Rgb8 };
    let mut tensor = vec![f32::NAN; shape.pixels()];
    let picture = Picture { width, height, format, pixels };
    Preprocessor::new(Prep::Ink, shape).apply(&picture, &mut tensor).unwrap();
    tensor
}

/// A picture by its brightness at each pixel, with noise of ±4.
fn sheet(light: impl Fn(f32, f32) -> f32) -> Vec<u8> {
    let mut noise = 1_u32;
    let mut pixels = Vec::new();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            pixels.push((light(x as f32, y as f32) - 4.0 + (noise >> 29) as f32).round() as u8);
        }
    }
    pixels
}

/// Something like a 6: a bar on a ring, 70 high and 36 wide, its upper left corner at `(left, top)`.
fn is_six(x: f32, y: f32, (left, top): (f32, f32)) -> bool {
    let (x, y) = (x - left, y - top);
    let bar = (0.0..8.0).contains(&x) && (0.0..52.0).contains(&y);
    let ring = ((x - 18.0).hypot(y - 52.0) - 14.0).abs() < 4.0;
    bar || ring
}

fn six(x: f32, y: f32) -> f32 {
    if is_six(x, y, (100.0, 90.0)) { 0.25 } else { 1.0 }
}

fn is_black(tensor: &[f32]) -> bool {
    tensor.iter().all(|&value| value == 0.0)
}

#[track_caller]
fn expect_near(got: &[f32], expected: &[f32], most: f32) {
    let farthest = got.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
    assert!(farthest <= most, "values differ by {farthest}, expected {most}");
}

/// Rectangle of what is brighter than a half, and the centre of mass.
fn measure(tensor: &[f32], width: usize) -> ([usize; 4], [f32; 2]) {
    let (mut area, mut sums) = ([usize::MAX, usize::MAX, 0, 0], [0.0; 3]);
    for (index, &value) in tensor.iter().enumerate() {
        let (x, y) = (index % width, index / width);
        if value > 0.5 {
            area = [area[0].min(x), area[1].min(y), area[2].max(x + 1), area[3].max(y + 1)];
        }
        sums = [sums[0] + value, sums[1] + value * (x as f32 + 0.5), sums[2] + value * (y as f32 + 0.5)];
    }
    (area, [sums[1] / sums[0], sums[2] / sums[0]])
}

#[test]
fn nothing_written_gives_a_black_picture() {
    let lights: [(&str, Light); 7] = [
        ("even", |_, _| 200.0),
        ("dark", |_, _| 12.0),
        ("from the left", |x, _| 220.0 - x / 2.0),
        ("a sharp shadow", |x, y| if x + y < 250.0 { 200.0 } else { 90.0 }),
        ("a table", |x, y| if x > 60.0 && x + y / 4.0 < 280.0 && y > 30.0 { 190.0 } else { 40.0 }),
        ("a strip of table", |_, y| if y < 230.0 { 190.0 } else { 40.0 }),
        ("light paper on white", |x, y| if (x - 160.0).hypot(y - 120.0) < 80.0 { 230.0 } else { 215.0 }),
    ];
    for (name, light) in lights {
        assert!(is_black(&prepare(MNIST, WIDTH, HEIGHT, &sheet(light))), "{name}");
    }
}

#[test]
fn the_writing_is_as_large_as_mnists_and_lies_where_mnists_lies() {
    let shapes = [MNIST, InputShape { height: 56, width: 56, ..MNIST }, InputShape { width: 40, ..MNIST }];
    for shape in shapes {
        let tensor = prepare(shape, WIDTH, HEIGHT, &sheet(|x, y| 200.0 * six(x, y)));
        let unit = shape.width.min(shape.height) as f32 / 28.0;
        let ([left, top, right, bottom], centre) = measure(&tensor, shape.width);
        assert_eq!(bottom - top, (20.0 * unit) as usize, "{shape}");
        assert!(((right - left) as f32 / unit - 20.0 * 36.0 / 70.0).abs() < 1.5, "{shape}: {left} to {right}");
        for (centre, length) in centre.iter().zip([shape.width, shape.height]) {
            let expected = length as f32 / 2.0 + 0.5 * unit;
            assert!((centre - expected).abs() < 0.6, "{shape}: centre of mass at {centre}, expected {expected}");
        }
    }
}

#[test]
fn the_light_hardly_matters() {
    let even = prepare(MNIST, WIDTH, HEIGHT, &sheet(|x, y| 220.0 * six(x, y)));
    let lights: [Light; 4] = [
        |_, _| 80.0,
        |x, _| 230.0 - x / 2.0,
        |_, y| 60.0 + y / 2.0,
        |x, y| if x - y / 2.0 > 60.0 { 200.0 } else { 120.0 },
    ];
    for light in lights {
        let other = prepare(MNIST, WIDTH, HEIGHT, &sheet(|x, y| light(x, y) * six(x, y)));
        expect_near(&other, &even, 0.4);
        let mean = other.iter().zip(&even).map(|(other, even)| (other - even).abs()).sum::<f32>() / even.len() as f32;
        assert!(mean < 0.01, "mean difference {mean}");
    }
}

#[test]
fn neither_a_speck_nor_a_sheets_outline_is_centred_on() {
    let clean = prepare(MNIST, WIDTH, HEIGHT, &sheet(|x, y| 200.0 * six(x, y)));
    let specks = [(40.0, 40.0), (250.0, 200.0), (150.0, 80.0)];
    let dirty = sheet(|x, y| {
        let is_speck = specks.iter().any(|&(left, top)| (x - left).hypot(y - top) < 3.0);
        if is_speck { 10.0 } else { 200.0 * six(x, y) }
    });
    expect_near(&prepare(MNIST, WIDTH, HEIGHT, &dirty), &clean, 0.05);
    let outlined = sheet(|x, y| {
        let edge = ((x - 160.0).abs() - 140.0).max((y - 120.0).abs() - 100.0).abs();
        if edge < 1.0 { 60.0 } else { 200.0 * six(x, y) }
    });
    expect_near(&prepare(MNIST, WIDTH, HEIGHT, &outlined), &clean, 0.05);
    let alone = sheet(|x, y| if (x - 250.0).hypot(y - 200.0) < 3.0 { 10.0 } else { 200.0 });
    assert!(is_black(&prepare(MNIST, WIDTH, HEIGHT, &alone)), "a speck is not writing");
}

#[test]
fn what_the_pictures_edge_cuts_off_is_not_read() {
    let cut = sheet(|x, y| if is_six(x, y, (100.0, -10.0)) { 50.0 } else { 200.0 });
    assert!(is_black(&prepare(MNIST, WIDTH, HEIGHT, &cut)));
}

#[test]
fn a_colour_camera_and_a_colour_model_see_the_same_strokes() {
    let grey = sheet(|x, y| 200.0 * six(x, y));
    let expected = prepare(MNIST, WIDTH, HEIGHT, &grey);
    let colour: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
    expect_near(&prepare(MNIST, WIDTH, HEIGHT, &colour), &expected, 0.02);
    let planes = prepare(InputShape { channels: 3, ..MNIST }, WIDTH, HEIGHT, &grey);
    planes.chunks_exact(MNIST.pixels()).for_each(|plane| assert_eq!(plane, expected));
}

#[test]
fn one_preprocessor_takes_pictures_of_any_size() {
    let mut preprocessor = Preprocessor::new(Prep::Ink, MNIST);
    let mut tensor = vec![f32::NAN; MNIST.pixels()];
    for (width, height) in [(1, 1), (1, 900), (900, 2), (7, 5), (28, 28), (321, 100), (641, 479), (28, 28)] {
        for channels in [PixelFormat::Gray8, PixelFormat::Rgb8] {
            let pixels: Vec<u8> = (0..width * height * channels.channels()).map(|at| (at * 7919 % 251) as u8).collect();
            let picture = Picture { width, height, format: channels, pixels: &pixels };
            preprocessor.apply(&picture, &mut tensor).unwrap();
            assert!(tensor.iter().all(|value| (0.0..=1.0).contains(value)), "{width}×{height}");
        }
    }
}

#[test]
fn what_a_preprocessor_saw_before_leaves_no_trace() {
    let (written, empty) = (sheet(|x, y| 200.0 * six(x, y)), sheet(|_, _| 200.0));
    let mut preprocessor = Preprocessor::new(Prep::Ink, MNIST);
    let mut tensor = vec![f32::NAN; MNIST.pixels()];
    let mut see = |pixels: &[u8]| {
        let picture = Picture { width: WIDTH, height: HEIGHT, format: PixelFormat::Gray8, pixels };
        preprocessor.apply(&picture, &mut tensor).unwrap();
        tensor.clone()
    };
    let first = see(&written);
    assert!(!is_black(&first) && is_black(&see(&empty)));
    assert_eq!(see(&written), first);
}

#[test]
fn two_bright_spots_in_the_dark_are_no_writing() {
    for side in [20, 40, 60] {
        let mut pixels = vec![3_u8; side * side];
        for (at, light) in [(side * 7 + 9, 250), (side * 13 + 4, 60), (side * 13 + 5, 40)] {
            pixels[at] = light;
        }
        assert!(prepare(MNIST, side, side, &pixels).iter().all(|value| (0.0..=1.0).contains(value)), "{side}");
    }
    // Small pictures of noise: whatever is lit, nothing is out of range.
    let mut noise = 1_u32;
    for (width, height) in (0..400).map(|index| (3 + index % 5, 3 + index / 5 % 4)) {
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        };
        let pixels: Vec<u8> = (0..width * height).map(|_| next()).collect();
        assert!(prepare(MNIST, width, height, &pixels).iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
