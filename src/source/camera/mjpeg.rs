//! Motion JPEG: every frame is a JPEG picture of its own.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::frame::PixelFormat;
use crate::source::FrameFault;

/// The marker behind a whole picture.
const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];

/// Decodes one picture of `width × height` into `pixels`, whatever is in there before: 1 or 3 bytes a pixel.
///
/// The decoder allocates its own working memory for every picture: it cannot be used twice.
///
/// Grey is the picture's own luma, without a way through colours. A picture without Huffman tables, as many cameras send
/// it, is decoded with the standard ones.
///
/// # Errors
/// When it is no JPEG, is damaged, has no end or another size. Damage that leaves a possible picture cannot be seen.
/// `pixels` then holds anything.
pub fn decode(
    bytes: &[u8],
    (width, height): (usize, usize),
    format: PixelFormat,
    pixels: &mut Vec<u8>,
) -> Result<(), FrameFault> {
    let colours = match format {
        PixelFormat::Gray8 => ColorSpace::Luma,
        PixelFormat::Rgb8 => ColorSpace::RGB,
    };
    // Where data are missing there may still be a picture by the code, of one colour.
    if !bytes.windows(2).rev().any(|marker| marker == END_OF_IMAGE) {
        return Err(FrameFault::Undecodable("its end is missing".into()));
    }
    // Strict: what a lenient decoder paints grey where data are missing is no picture of anything.
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(colours);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let undecodable = |error: &dyn std::fmt::Display| FrameFault::Undecodable(error.to_string());
    decoder.decode_headers().map_err(|error| undecodable(&error))?;
    let found = decoder.dimensions().unwrap_or_default();
    if found != (width, height) {
        let (found_width, found_height) = found;
        let words = format!("it has {found_width}×{found_height} pixels, expected {width}×{height}");
        return Err(FrameFault::Undecodable(words));
    }
    let expected = width * height * format.channels();
    if decoder.output_buffer_size() != Some(expected) {
        return Err(FrameFault::Undecodable("its colours are of an unknown kind".into()));
    }
    pixels.resize(expected, 0);
    let last_row = expected - expected / height.max(1)..;
    pixels[last_row.clone()].iter_mut().zip(untouched()).for_each(|(pixel, value)| *pixel = value);
    decoder.decode_into(pixels).map_err(|error| undecodable(&error))?;
    // The decoder stops without a word where the headers of another picture stand among the data, as they do when bytes
    // between two frames were lost. What is behind would be an older frame's.
    if pixels[last_row].iter().copied().eq(untouched().take(expected / height.max(1))) {
        return Err(FrameFault::Undecodable("its last rows are missing".into()));
    }
    Ok(())
}

/// What no picture ends in: no two neighbours are alike, and nothing repeats itself for hundreds of values.
fn untouched() -> impl Iterator<Item = u8> {
    (0u32..).map(|index| (index.wrapping_mul(0x9E37_79B9) >> 24) as u8)
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    const SIZE: (usize, usize) = (48, 32);

    /// Left half one colour, right half another: no detail that compression could hurt.
    fn picture(left: [u8; 3], right: [u8; 3]) -> Vec<u8> {
        (0..SIZE.0 * SIZE.1).flat_map(|pixel| if pixel % SIZE.0 < SIZE.0 / 2 { left } else { right }).collect()
    }

    fn jpeg(pixels: &[u8], colours: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.write_image(pixels, SIZE.0 as u32, SIZE.1 as u32, colours).unwrap();
        bytes
    }

    fn decoded(bytes: &[u8], format: PixelFormat) -> Result<Vec<u8>, FrameFault> {
        let mut pixels = vec![7; 5];
        decode(bytes, SIZE, format, &mut pixels).map(|()| pixels)
    }

    fn assert_near(got: &[u8], expected: &[u8]) {
        assert_eq!(got.len(), expected.len());
        let farthest = got.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(farthest <= Some(4), "{farthest:?}");
    }

    #[test]
    fn colours_come_back_and_grey_is_their_luma() {
        let pixels = picture([200, 30, 60], [20, 90, 220]);
        let bytes = jpeg(&pixels, ExtendedColorType::Rgb8);
        assert_near(&decoded(&bytes, PixelFormat::Rgb8).unwrap(), &pixels);
        let luma: Vec<u8> = pixels
            .chunks_exact(3)
            .map(|rgb| ((299 * u32::from(rgb[0]) + 587 * u32::from(rgb[1]) + 114 * u32::from(rgb[2])) / 1000) as u8)
            .collect();
        assert_near(&decoded(&bytes, PixelFormat::Gray8).unwrap(), &luma);
    }

    #[test]
    fn a_grey_picture_can_be_had_in_colour() {
        let grey: Vec<u8> = picture([10; 3], [240; 3]).into_iter().step_by(3).collect();
        let bytes = jpeg(&grey, ExtendedColorType::L8);
        assert_near(&decoded(&bytes, PixelFormat::Gray8).unwrap(), &grey);
        assert_near(&decoded(&bytes, PixelFormat::Rgb8).unwrap(), &picture([10; 3], [240; 3]));
    }

    #[test]
    fn zeros_behind_the_picture_do_not_matter() {
        let mut bytes = jpeg(&picture([200; 3], [20; 3]), ExtendedColorType::Rgb8);
        bytes.resize(bytes.len() + 1000, 0);
        decoded(&bytes, PixelFormat::Gray8).unwrap();
    }

    #[test]
    fn a_damaged_picture_is_refused() {
        // Noise, so that there are data to lose.
        let noise: Vec<u8> = (0..SIZE.0 * SIZE.1 * 3).map(|index| (index * index * 31 % 251) as u8).collect();
        let bytes = jpeg(&noise, ExtendedColorType::Rgb8);
        for cut in [0, 1, 2, 20, bytes.len() / 4, bytes.len() / 2, bytes.len() - 1] {
            let fault = decoded(&bytes[..cut], PixelFormat::Rgb8).unwrap_err();
            assert!(fault.to_string().starts_with("the frame could not be decoded: "), "{cut} bytes: {fault}");
        }
        let middle = bytes.len() / 2;
        let zeroed = [&bytes[..middle], &vec![0; middle]].concat();
        assert!(decoded(&zeroed, PixelFormat::Rgb8).is_err(), "the second half is zeros");
        let missing = [&bytes[..middle], &bytes[middle + 200..]].concat();
        assert!(decoded(&missing, PixelFormat::Rgb8).is_err(), "something in the middle is missing");
    }

    #[test]
    fn a_picture_whose_second_half_is_the_next_ones_headers_and_end_is_refused() {
        let noise: Vec<u8> = (0..SIZE.0 * SIZE.1 * 3).map(|index| (index * index * 31 % 251) as u8).collect();
        let bytes = jpeg(&noise, ExtendedColorType::Rgb8);
        let start_of_frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
        let both = [&bytes[..bytes.len() / 2], &bytes[2..start_of_frame], &bytes[bytes.len() - 20..]].concat();
        for format in [PixelFormat::Gray8, PixelFormat::Rgb8] {
            let fault = decoded(&both, format).unwrap_err();
            assert!(fault.to_string().contains("its last rows are missing"), "{fault}");
        }
    }

    #[test]
    fn a_picture_of_another_size_is_refused_before_it_is_decoded() {
        let bytes = jpeg(&picture([200; 3], [20; 3]), ExtendedColorType::Rgb8);
        let mut pixels = Vec::new();
        let fault = decode(&bytes, (64, 48), PixelFormat::Rgb8, &mut pixels).unwrap_err();
        assert!(fault.to_string().contains("it has 48×32 pixels, expected 64×48"), "{fault}");
        assert_eq!(pixels.capacity(), 0);
    }
}
