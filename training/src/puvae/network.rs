//! The layers, once, for computing and for writing ONNX.

use super::Purified;
use super::config::{Input, PuvaeConfig, Size};
use crate::nn::{Backend, Classes, Conv, Deconv};

/// How the work is laid out; the results are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The class enters after flatten, so the encoder's trunk runs once an image.
    Shared,
    /// The whole network runs K times an image; only for comparing speeds.
    Naive,
}

/// Frames `[N, C, H, W]` and noise `[N, K, Z]` → the selected candidates with what they were selected by.
pub fn purify<B: Backend>(
    b: &mut B,
    config: &PuvaeConfig,
    frames: &B::Value,
    noise: &B::Value,
    form: Form,
) -> Purified<B::Value> {
    let (k, pixels) = (config.classes, config.pixels());
    let image = [config.channels, config.side_px, config.side_px];
    let tiled;
    let (images, images_per_frame) = match form {
        Form::Shared => (frames, 1),
        Form::Naive => {
            tiled = b.repeat_each(frames, k, image); // [N·K, C, H, W]
            (&tiled, k)
        }
    };
    let quantised = quantise(b, config, images);
    let images = quantised.as_ref().unwrap_or(images);
    let denoised = denoise(b, config, images);
    let hidden = trunk(b, config, choose(config.encoder_input, images, denoised.as_ref()));
    let latent = encode(b, config, &hidden, images_per_frame, Classes::All);
    let noise = b.reshape(noise, &[-1, config.latent]); // [N·K, Z]
    let spread = b.mul(&latent.sigma, &noise);
    let z = b.add(&latent.mu, &spread);
    let candidates = decode(b, config, &z, Classes::All); // [N·K, C, H, W]
    let candidates = b.reshape(&candidates, &[-1, k, pixels]); // [N, K, P]
    let reference = choose(config.reference, images, denoised.as_ref());
    let reference = b.reshape(reference, &[-1, images_per_frame, pixels]); // [N, 1 or K, P]
    let distances = root_mean_square(b, &candidates, &reference); // [N, K]
    let label = b.argmin(&distances);
    let selected = b.pick(&candidates, &label); // [N, P]
    let flat = b.reshape(frames, &[-1, pixels]); // [N, P]
    let score = root_mean_square(b, &selected, &flat); // [N]
    let frames = b.reshape(&selected, &[&[-1], &image[..]].concat()); // [N, C, H, W]
    Purified { frames, label, distances, score }
}

/// The candidates of one class each, `[N]`, for frames `[N, C, H, W]`, without latent noise.
pub(super) fn reconstruct<B: Backend>(
    b: &mut B,
    config: &PuvaeConfig,
    frames: &B::Value,
    class: &B::Value,
) -> B::Value {
    let quantised = quantise(b, config, frames);
    let images = quantised.as_ref().unwrap_or(frames);
    let denoised = denoise(b, config, images);
    let hidden = trunk(b, config, choose(config.encoder_input, images, denoised.as_ref()));
    let latent = encode(b, config, &hidden, 1, Classes::Given(class));
    decode(b, config, &latent.mu, Classes::Given(class))
}

/// Of the difference, over the last dimension.
fn root_mean_square<B: Backend>(b: &mut B, x: &B::Value, y: &B::Value) -> B::Value {
    let difference = b.sub(x, y);
    let square = b.mul(&difference, &difference);
    b.root_mean(&square)
}

pub(super) fn choose<'a, V>(input: Input, frames: &'a V, denoised: Option<&'a V>) -> &'a V {
    match input {
        Input::Frame => frames,
        Input::Denoised => denoised.expect("the configuration was checked: `denoised` needs the denoiser"),
    }
}

/// The frames with as many levels of brightness as configured, if they are to have fewer than they come with.
pub(super) fn quantise<B: Backend>(b: &mut B, config: &PuvaeConfig, frames: &B::Value) -> Option<B::Value> {
    (config.input_levels > 0).then(|| b.quantise(frames, config.input_levels))
}

/// The denoiser's picture, if there is a denoiser: a small U-net with one level.
pub(super) fn denoise<B: Backend>(b: &mut B, config: &PuvaeConfig, frames: &B::Value) -> Option<B::Value> {
    if !config.denoiser {
        return None;
    }
    let conv = |b: &mut B, x: &B::Value, name: &str, conv: Conv| {
        let y = b.conv(x, name, conv);
        b.relu(&y)
    };
    let wide = conv(b, frames, "denoise.conv1", Conv::new(16, 3).same()); // [N, 16, H, W]
    let x = conv(b, &wide, "denoise.conv2", Conv::new(32, 3).same().stride(2)); // [N, 32, H/2, W/2]
    let y = conv(b, &x, "denoise.conv3", Conv::new(32, 3).same());
    let y = b.conv(&y, "denoise.conv4", Conv::new(32, 3).same());
    let y = b.add(&x, &y);
    let y = b.relu(&y);
    let y = conv(b, &y, "denoise.up", Conv::new(64, 3).same());
    let y = b.pixel_shuffle(&y, 2); // [N, 16, H, W]
    let y = b.concat(&wide, &y); // [N, 32, H, W]
    let y = b.conv(&y, "denoise.out", Conv::new(config.channels, 3).same());
    Some(b.sigmoid(&y))
}

/// The part of the encoder that does not depend on the class: `[N, F]`, before the activation.
pub(super) fn trunk<B: Backend>(b: &mut B, config: &PuvaeConfig, frames: &B::Value) -> B::Value {
    let strided = |out| Conv::new(out, 5).padding(2).stride(2);
    let sparse = Conv::new(32, 2).dilation(2).same();
    let (convs, shrink) = match (config.size, config.channels) {
        (Size::Paper, 1) => (vec![Conv::new(32, 7).dilation(2).same(); 3], 1),
        (Size::Paper, _) => (vec![Conv::new(3, 2).same(), sparse, sparse, sparse], 1),
        (Size::Lite, _) => (vec![strided(32), strided(64), Conv::new(64, 3).same()], 4),
    };
    let side = config.side_px / shrink;
    let mut x = b.conv(frames, "encode.conv1", convs[0]);
    x = b.relu(&x);
    for (index, &conv) in convs.iter().enumerate().skip(1) {
        x = b.conv(&x, &format!("encode.conv{}", index + 1), conv);
        x = b.relu(&x);
    }
    x = b.reshape(&x, &[-1, convs[convs.len() - 1].out * side * side]);
    b.linear(&x, "encode.fc1", config.encoder_features()) // [N, F]
}

/// Mean and standard deviation of the latent, a row for each image and class.
pub(super) struct Latent<V> {
    /// `[N·J, Z]`
    pub(super) mu: V,
    /// `[N·J, Z]`
    pub(super) sigma: V,
}

/// The rest of the encoder: Eq. 11 and 12.
pub(super) fn encode<B: Backend>(
    b: &mut B,
    config: &PuvaeConfig,
    hidden: &B::Value,
    images_per_frame: i64,
    classes: Classes<'_, B::Value>,
) -> Latent<B::Value> {
    let features = config.encoder_features();
    let x = add_class(b, config, hidden, "encode.class", features, images_per_frame, classes);
    let mut x = b.relu(&x);
    if (config.size, config.channels) == (Size::Paper, 1) {
        x = b.linear(&x, "encode.fc2", features);
        x = b.relu(&x);
    }
    let x = b.linear(&x, "encode.latent", 2 * config.latent);
    let mu = b.columns(&x, 0, config.latent);
    let sigma = b.columns(&x, config.latent, config.latent);
    Latent { mu, sigma: b.softplus(&sigma) }
}

/// Eq. 14: latent `[N·J, Z]` → candidates `[N·J, C, H, W]` in `[0, 1]`.
pub(super) fn decode<B: Backend>(
    b: &mut B,
    config: &PuvaeConfig,
    z: &B::Value,
    classes: Classes<'_, B::Value>,
) -> B::Value {
    let rows = if matches!(classes, Classes::All) { config.classes } else { 1 };
    let features = config.decoder_features();
    let x = b.linear(z, "decode.fc1", features);
    let x = add_class(b, config, &x, "decode.class", features, rows, classes);
    let x = b.relu(&x);
    let y = match (config.size, config.channels) {
        (Size::Paper, 1) => decode_paper_grey(b, &x),
        (Size::Paper, _) => decode_paper_colour(b, &x),
        (Size::Lite, channels) => decode_lite(b, &x, config.side_px / 4, channels),
    };
    b.sigmoid(&y)
}

fn decode_paper_grey<B: Backend>(b: &mut B, x: &B::Value) -> B::Value {
    let same = Deconv { out: 32, kernel: 7, stride: 2, padding: 3, output_padding: 1 };
    let mut x = b.deconv_pixel(x, "decode.deconv1", same.out, same.kernel); // [., 32, 7, 7]
    x = b.relu(&x);
    x = b.deconv(&x, "decode.deconv2", same); // [., 32, 14, 14]
    x = b.relu(&x);
    x = b.deconv(&x, "decode.deconv3", same); // [., 32, 28, 28]
    x = b.relu(&x);
    b.deconv(&x, "decode.out", Deconv { out: 1, kernel: 3, stride: 1, padding: 1, output_padding: 0 })
}

/// A transposed convolution of stride 1 that keeps the size and cuts its surplus off at the end is a convolution
/// (of the mirrored kernel) that is padded at the start.
fn decode_paper_colour<B: Backend>(b: &mut B, x: &B::Value) -> B::Value {
    let keeping = Conv { padding: [1, 0], ..Conv::new(32, 2) };
    let mut x = b.linear(x, "decode.fc2", 32 * 16 * 16);
    x = b.relu(&x);
    x = b.reshape(&x, &[-1, 32, 16, 16]);
    for name in ["decode.deconv1", "decode.deconv2"] {
        x = b.conv(&x, name, keeping);
        x = b.relu(&x);
    }
    x = b.deconv(&x, "decode.deconv3", Deconv { out: 32, kernel: 3, stride: 2, padding: 0, output_padding: 0 }); // [., 32, 33, 33]
    x = b.relu(&x);
    b.conv(&x, "decode.out", Conv::new(3, 2)) // [., 3, 32, 32]
}

/// `side` is that of the smallest picture, a quarter of the output's.
fn decode_lite<B: Backend>(b: &mut B, x: &B::Value, side: i64, channels: i64) -> B::Value {
    let width = if channels == 1 { 32 } else { 20 };
    let mut x = b.linear(x, "decode.fc2", width * side * side);
    x = b.relu(&x);
    x = b.reshape(&x, &[-1, width, side, side]);
    x = b.conv(&x, "decode.up1", Conv::new(4 * width, 3).same());
    x = b.pixel_shuffle(&x, 2); // [., width, H/2, W/2]
    x = b.relu(&x);
    x = b.conv(&x, "decode.up2", Conv::new(4 * channels, 3).same());
    b.pixel_shuffle(&x, 2) // [., C, H, W]
}

/// Adds the class's row to features of shape `[N·rows, width]`: a fully connected layer whose input has the
/// one-hot class appended, split in two.
fn add_class<B: Backend>(
    b: &mut B,
    config: &PuvaeConfig,
    x: &B::Value,
    name: &str,
    width: i64,
    rows: i64,
    classes: Classes<'_, B::Value>,
) -> B::Value {
    let table = b.class_rows(name, config.classes, width, classes); // [1, K, width] or [N, 1, width]
    let x = b.reshape(x, &[-1, rows, width]);
    let x = b.add(&x, &table);
    b.reshape(&x, &[-1, width])
}
