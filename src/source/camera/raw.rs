//! Pictures as cameras send them without compression: YUYV and grey, in one pass to pixels without gaps.
//!
//! YUYV (YUV 4:2:2, "packed") has four bytes for two pixels: `Y0 U Y1 V`. Its luma is each second byte; cameras mostly
//! use the range 16–235 for it (ITU-R BT.601), which is left as it is in grey pictures and stretched in colour ones.

use crate::source::FrameFault;

/// How a picture lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from the beginning of a row to that of the next; rows may end in bytes that mean nothing.
    pub stride: usize,
}

impl Layout {
    /// The rows, of `row` meaningful bytes each.
    fn rows<'a>(&self, bytes: &'a [u8], row: usize) -> Result<impl Iterator<Item = &'a [u8]>, FrameFault> {
        let stride = self.stride.max(row).max(1);
        // The last row need not be filled up.
        let expected = self.height.saturating_sub(1) * stride + row;
        if bytes.len() < expected {
            return Err(FrameFault::Bytes { expected, got: bytes.len() });
        }
        Ok(bytes.chunks(stride).take(self.height).map(move |line| &line[..row]))
    }

    /// Bytes of a row of YUYV: whole pairs of pixels.
    fn yuyv_row(&self) -> usize {
        self.width.next_multiple_of(2) * 2
    }
}

/// Grey as it came, one byte a pixel; `pixels` may hold anything before.
///
/// # Errors
/// When there are fewer bytes than the layout takes.
pub fn grey(bytes: &[u8], layout: Layout, pixels: &mut Vec<u8>) -> Result<(), FrameFault> {
    pixels.clear();
    for row in layout.rows(bytes, layout.width)? {
        pixels.extend_from_slice(row);
    }
    Ok(())
}

/// The luma of YUYV, one byte a pixel; `pixels` may hold anything before.
///
/// # Errors
/// When there are fewer bytes than the layout takes.
pub fn yuyv_to_grey(bytes: &[u8], layout: Layout, pixels: &mut Vec<u8>) -> Result<(), FrameFault> {
    let rows = layout.rows(bytes, layout.yuyv_row())?;
    pixels.resize(layout.width * layout.height, 0);
    for (out, row) in pixels.chunks_exact_mut(layout.width.max(1)).zip(rows) {
        for (grey, pixel) in out.iter_mut().zip(row.chunks_exact(2)) {
            *grey = pixel[0];
        }
    }
    Ok(())
}

/// YUYV to red, green, blue by ITU-R BT.601 in 8-bit fixed point; `pixels` may hold anything before.
///
/// # Errors
/// When there are fewer bytes than the layout takes.
pub fn yuyv_to_rgb(bytes: &[u8], layout: Layout, pixels: &mut Vec<u8>) -> Result<(), FrameFault> {
    let rows = layout.rows(bytes, layout.yuyv_row())?;
    pixels.resize(layout.width * layout.height * 3, 0);
    for (out, row) in pixels.chunks_exact_mut(layout.width.max(1) * 3).zip(rows) {
        for (pair, yuyv) in out.chunks_mut(6).zip(row.chunks_exact(4)) {
            let [y0, u, y1, v] = [yuyv[0], yuyv[1], yuyv[2], yuyv[3]].map(i32::from);
            let (u, v) = (u - 128, v - 128);
            for (rgb, y) in pair.chunks_exact_mut(3).zip([y0, y1]) {
                let luma = 298 * (y - 16) + 128;
                rgb[0] = byte(luma + 409 * v);
                rgb[1] = byte(luma - 100 * u - 208 * v);
                rgb[2] = byte(luma + 516 * u);
            }
        }
    }
    Ok(())
}

/// From fixed point with 8 binary places.
fn byte(value: i32) -> u8 {
    u8::try_from((value >> 8).clamp(0, 255)).expect("it was clamped")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Decode = fn(&[u8], Layout, &mut Vec<u8>) -> Result<(), FrameFault>;

    fn of(layout: Layout, bytes: &[u8], decode: Decode) -> Vec<u8> {
        let mut pixels = vec![9; 1000];
        decode(bytes, layout, &mut pixels).unwrap();
        pixels
    }

    #[test]
    fn bt601_colours_have_their_values() {
        let layout = Layout { width: 2, height: 1, stride: 4 };
        // Y, U, V of 75 % and 100 % colour bars by BT.601, and the RGB they stand for.
        for (yuv, rgb) in [
            ([16, 128, 128], [0, 0, 0]),
            ([235, 128, 128], [255, 255, 255]),
            ([126, 128, 128], [128, 128, 128]),
            ([81, 90, 240], [255, 0, 0]),
            ([145, 54, 34], [0, 255, 1]),
            ([41, 240, 110], [0, 0, 255]),
            ([162, 44, 142], [191, 192, 0]),
        ] {
            let [y, u, v] = yuv;
            let got = of(layout, &[y, u, y, v], yuyv_to_rgb);
            for (got, expected) in got.iter().zip(rgb.iter().cycle()) {
                assert!(got.abs_diff(*expected) <= 1, "{yuv:?}: {got} for {expected}");
            }
        }
        // Beyond the range is cut off, not wrapped around.
        assert_eq!(of(layout, &[255, 255, 0, 255], yuyv_to_rgb), [255, 125, 255, 184, 0, 237]);
    }

    #[test]
    fn grey_is_each_second_byte_and_bytes_behind_a_row_are_left_out() {
        let layout = Layout { width: 2, height: 2, stride: 6 };
        let bytes = [1, 100, 2, 101, 0, 0, 3, 102, 4, 103];
        assert_eq!(of(layout, &bytes, yuyv_to_grey), [1, 2, 3, 4]);
        let layout = Layout { width: 3, height: 2, stride: 4 };
        assert_eq!(of(layout, &[1, 2, 3, 0, 4, 5, 6], grey), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn an_odd_width_ends_in_half_a_pair() {
        let layout = Layout { width: 3, height: 1, stride: 8 };
        let bytes = [16, 128, 235, 128, 126, 128, 0, 128];
        assert_eq!(of(layout, &bytes, yuyv_to_grey), [16, 235, 126]);
        assert_eq!(of(layout, &bytes, yuyv_to_rgb), [0, 0, 0, 255, 255, 255, 128, 128, 128]);
    }

    #[test]
    fn too_few_bytes_are_refused_with_how_many_it_takes() {
        let layout = Layout { width: 4, height: 3, stride: 10 };
        let fault = yuyv_to_grey(&[0; 27], layout, &mut Vec::new()).unwrap_err();
        assert!(fault.to_string().contains("the frame has 27 bytes, expected 28"), "{fault}");
        assert_eq!(grey(&[], layout, &mut Vec::new()), Err(FrameFault::Bytes { expected: 24, got: 0 }));
        assert!(yuyv_to_rgb(&[0; 28], layout, &mut Vec::new()).is_ok());
    }
}
