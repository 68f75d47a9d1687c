use super::*;
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Rgb};

fn shape(channels: usize, height: usize, width: usize) -> InputShape {
    InputShape { channels, height, width }
}

fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7919 % 251) as u8).collect()
}

fn apply(shape: InputShape, picture: &Picture<'_>) -> Result<Vec<f32>, PreprocessError> {
    let mut tensor = vec![f32::NAN; shape.pixels()];
    Preprocessor::new(Prep::Plain, shape).apply(picture, &mut tensor)?;
    Ok(tensor)
}

#[test]
fn a_grey_picture_of_the_right_size_is_only_scaled() {
    let pixels = noise(6);
    let picture = Picture { width: 3, height: 2, format: PixelFormat::Gray8, pixels: &pixels };
    let expected: Vec<f32> = pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    assert_eq!(apply(shape(1, 2, 3), &picture).unwrap(), expected);
}

#[test]
fn rgb_becomes_planes_and_grey_becomes_three_equal_planes() {
    let pixels = [255, 0, 51, 0, 255, 102];
    let picture = Picture { width: 2, height: 1, format: PixelFormat::Rgb8, pixels: &pixels };
    assert_eq!(apply(shape(3, 1, 2), &picture).unwrap(), [1.0, 0.0, 0.0, 1.0, 0.2, 0.4]);
    let grey = Picture { width: 2, height: 1, format: PixelFormat::Gray8, pixels: &[255, 51] };
    assert_eq!(apply(shape(3, 1, 2), &grey).unwrap(), [1.0, 0.2, 1.0, 0.2, 1.0, 0.2]);
}

#[test]
fn rgb_becomes_grey_by_the_luma_of_bt_601_and_white_stays_in_range() {
    let pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
    let picture = Picture { width: 4, height: 1, format: PixelFormat::Rgb8, pixels: &pixels };
    let tensor = apply(shape(1, 1, 4), &picture).unwrap();
    for (got, expected) in tensor.iter().zip([0.299, 0.587, 0.114, 1.0]) {
        assert!((got - expected).abs() < 1e-6 && *got <= 1.0, "{got} instead of {expected}");
    }
}

/// Within half a byte of the `image` crate's triangle filter, which rounds to bytes.
#[test]
fn resizing_agrees_with_another_implementation() {
    for (from, to) in [((97, 61), (28, 28)), ((28, 28), (32, 40)), ((64, 28), (28, 28)), ((5, 1), (1, 3))] {
        let grey = ImageBuffer::<Luma<u8>, _>::from_raw(from.0, from.1, noise((from.0 * from.1) as usize)).unwrap();
        let expected = imageops::resize(&grey, to.0, to.1, FilterType::Triangle);
        let picture = Picture {
            width: from.0 as usize,
            height: from.1 as usize,
            format: PixelFormat::Gray8,
            pixels: grey.as_raw(),
        };
        let tensor = apply(shape(1, to.1 as usize, to.0 as usize), &picture).unwrap();
        for (index, (got, byte)) in tensor.iter().zip(expected.as_raw()).enumerate() {
            assert!((got * 255.0 - f32::from(*byte)).abs() < 0.51, "{from:?} → {to:?} at {index}: {got} and {byte}");
        }
    }
}

#[test]
fn resizing_rgb_keeps_the_channels_apart() {
    let colours = ImageBuffer::<Rgb<u8>, _>::from_raw(40, 30, noise(40 * 30 * 3)).unwrap();
    let expected = imageops::resize(&colours, 16, 12, FilterType::Triangle);
    let picture = Picture { width: 40, height: 30, format: PixelFormat::Rgb8, pixels: colours.as_raw() };
    let tensor = apply(shape(3, 12, 16), &picture).unwrap();
    for (x, y, pixel) in expected.enumerate_pixels() {
        for channel in 0..3 {
            let got = tensor[(channel * 12 + y as usize) * 16 + x as usize] * 255.0;
            assert!((got - f32::from(pixel[channel])).abs() < 0.51, "{x},{y} channel {channel}");
        }
    }
}

#[test]
fn pictures_of_changing_size_go_through_one_preprocessor() {
    let mut preprocessor = Preprocessor::new(Prep::Plain, shape(1, 4, 4));
    let mut tensor = vec![0.0; 16];
    for side in [8, 4, 6, 8] {
        let pixels = vec![51; side * side];
        let picture = Picture { width: side, height: side, format: PixelFormat::Gray8, pixels: &pixels };
        preprocessor.apply(&picture, &mut tensor).unwrap();
        assert!(tensor.iter().all(|value| (value - 0.2).abs() < 1e-6), "{tensor:?}");
    }
}

#[test]
fn a_picture_with_too_few_bytes_or_none_is_refused() {
    let picture = Picture { width: 3, height: 2, format: PixelFormat::Rgb8, pixels: &[0; 17] };
    let text = apply(shape(1, 2, 3), &picture).unwrap_err().to_string();
    assert!(text.contains("3×2 pixels with 3 channels came with 17 bytes, expected 18"), "{text}");
    let picture = Picture { width: 0, height: 2, format: PixelFormat::Gray8, pixels: &[] };
    assert!(apply(shape(1, 2, 3), &picture).is_err());
}

#[test]
fn a_tensor_of_another_length_is_refused() {
    let picture = Picture { width: 1, height: 1, format: PixelFormat::Gray8, pixels: &[0] };
    let error = Preprocessor::new(Prep::Plain, shape(1, 2, 3)).apply(&picture, &mut [0.0; 5]).unwrap_err();
    assert!(error.to_string().contains("room for 5 values, expected 6 for a picture of 1×2×3"), "{error}");
}
