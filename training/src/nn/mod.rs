//! The operations that networks are made of.
//!
//! A network is a function over a [`Backend`]. [`torch::Torch`] computes it, [`onnx::Onnx`] writes it down,
//! so the two cannot describe different networks. Parameters have names; shapes follow from the input.

pub mod int8;
pub mod onnx;
pub mod params;
pub mod proto;
pub mod torch;

/// A convolution with a square kernel, a bias and zero padding.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Output channels.
    pub out: i64,
    /// Side of the kernel, in pixels.
    pub kernel: i64,
    /// Step, in input pixels.
    pub stride: i64,
    /// Zeros before (above, left) and after (below, right), in pixels.
    pub padding: [i64; 2],
    /// Distance between taps, in pixels; 1 is a dense kernel.
    pub dilation: i64,
}

impl Conv {
    /// A dense convolution of stride 1 without padding.
    #[must_use]
    pub fn new(out: i64, kernel: i64) -> Self {
        Self { out, kernel, stride: 1, padding: [0; 2], dilation: 1 }
    }

    /// Padded so that at stride 1 the output is as large as the input; an odd number of zeros has one more after.
    #[must_use]
    pub fn same(self) -> Self {
        let zeros = self.dilation * (self.kernel - 1);
        Self { padding: [zeros / 2, zeros - zeros / 2], ..self }
    }

    /// With so many zeros on every side.
    #[must_use]
    pub fn padding(self, padding: i64) -> Self {
        Self { padding: [padding; 2], ..self }
    }

    /// With another stride.
    #[must_use]
    pub fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// With another dilation; call it before [`Conv::same`].
    #[must_use]
    pub fn dilation(self, dilation: i64) -> Self {
        Self { dilation, ..self }
    }
}

/// A transposed convolution with a square kernel and a bias:
/// output side = (input side − 1) · stride − 2 · padding + kernel + output padding.
#[derive(Debug, Clone, Copy)]
pub struct Deconv {
    /// Output channels.
    pub out: i64,
    /// Side of the kernel, in pixels.
    pub kernel: i64,
    /// Step, in output pixels.
    pub stride: i64,
    /// Pixels cut off on each side.
    pub padding: i64,
    /// Rows and columns added at the end.
    pub output_padding: i64,
}

/// Which classes a class-conditional layer is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Classes<'a, V> {
    /// Every class for every image.
    All,
    /// One class an image: `[N]` i64.
    Given(&'a V),
}

/// What a network may be made of. Shapes are `[N, C, H, W]` for pictures and `[N, F]` for features;
/// `reshape` takes exactly one −1, which stands for what depends on the batch.
pub trait Backend {
    /// A tensor (computing) or the name of one (writing).
    type Value;

    /// Convolution with the parameters `name.weight` and `name.bias`.
    fn conv(&mut self, x: &Self::Value, name: &str, conv: Conv) -> Self::Value;
    /// Transposed convolution with the parameters `name.weight` and `name.bias`.
    fn deconv(&mut self, x: &Self::Value, name: &str, deconv: Deconv) -> Self::Value;
    /// Transposed convolution of pictures of a single pixel, given as `[N, in]`: `[N, out, kernel, kernel]`.
    fn deconv_pixel(&mut self, x: &Self::Value, name: &str, out: i64, kernel: i64) -> Self::Value;
    /// Fully connected layer on `[N, in]` with the parameters `name.weight` and `name.bias`.
    fn linear(&mut self, x: &Self::Value, name: &str, out: i64) -> Self::Value;
    /// The row of the table `name`, `[K, width]`, that belongs to a class: `[1, K, width]` for all classes,
    /// `[N, 1, width]` for given ones. A fully connected layer on a one-hot class, without bias.
    fn class_rows(&mut self, name: &str, count: i64, width: i64, classes: Classes<'_, Self::Value>) -> Self::Value;
    /// max(0, x).
    fn relu(&mut self, x: &Self::Value) -> Self::Value;
    /// 1 / (1 + e^−x).
    fn sigmoid(&mut self, x: &Self::Value) -> Self::Value;
    /// ln(1 + e^x).
    fn softplus(&mut self, x: &Self::Value) -> Self::Value;
    /// Each value in `[0, 1]` brought to the nearest of `levels` values, from 0 to 1 in equal steps. Its gradient is taken for the
    /// identity's, for its own is zero.
    fn quantise(&mut self, x: &Self::Value, levels: u32) -> Self::Value;
    /// Zeroes a fraction of the values while training, does nothing otherwise.
    fn dropout(&mut self, x: &Self::Value, fraction: f64) -> Self::Value;
    /// Moves channels into space: `[N, C·r², H, W]` → `[N, C, H·r, W·r]`.
    fn pixel_shuffle(&mut self, x: &Self::Value, factor: i64) -> Self::Value;
    /// Means of 2×2 blocks: `[N, C, H, W]` → `[N, C, H/2, W/2]`, for even sides.
    fn halve(&mut self, x: &Self::Value) -> Self::Value;
    /// Each value as a 2×2 block: `[N, C, H, W]` → `[N, C, 2·H, 2·W]`.
    fn double(&mut self, x: &Self::Value) -> Self::Value;
    /// The same values in another shape.
    fn reshape(&mut self, x: &Self::Value, shape: &[i64]) -> Self::Value;
    /// Element-wise, with broadcasting.
    fn add(&mut self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// Element-wise, with broadcasting.
    fn sub(&mut self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// Element-wise, with broadcasting.
    fn mul(&mut self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// Along the channels (dimension 1).
    fn concat(&mut self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// Columns `start .. start + len` of `[N, F]`.
    fn columns(&mut self, x: &Self::Value, start: i64, len: i64) -> Self::Value;
    /// Each `image`, `[C, H, W]`, `count` times in a row: `[N, C, H, W]` → `[N·count, C, H, W]`.
    fn repeat_each(&mut self, x: &Self::Value, count: i64, image: [i64; 3]) -> Self::Value;
    /// Mean of |x|^`exponent` over the last dimension: `[…, P]` → `[…]`.
    fn mean_power(&mut self, x: &Self::Value, exponent: f64) -> Self::Value;
    /// Square root of the mean over the last dimension: `[…, P]` → `[…]`.
    fn root_mean(&mut self, x: &Self::Value) -> Self::Value;
    /// Index of the smallest value of each row: `[N, K]` → `[N]` i64.
    fn argmin(&mut self, x: &Self::Value) -> Self::Value;
    /// Row `index[n]` of each image: `[N, K, P]`, `[N]` → `[N, P]`.
    fn pick(&mut self, x: &Self::Value, index: &Self::Value) -> Self::Value;
}
