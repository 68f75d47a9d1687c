//! Computes a network with libtorch.

use tch::{Kind, Tensor};

use super::params::Params;
use super::{Backend, Classes, Conv, Deconv};

/// Computes with `params`; `train` switches dropout on.
#[derive(Debug)]
pub struct Torch<'a> {
    params: &'a Params,
    train: bool,
    multiply_adds: usize,
}

impl<'a> Torch<'a> {
    /// For use: dropout does nothing.
    #[must_use]
    pub fn eval(params: &'a Params) -> Self {
        Self { params, train: false, multiply_adds: 0 }
    }

    /// For training: dropout drops.
    #[must_use]
    pub fn train(params: &'a Params) -> Self {
        Self { params, train: true, multiply_adds: 0 }
    }

    /// Multiplications and additions of all its layers with weights so far, as pairs: what is called MAC.
    #[must_use]
    pub fn multiply_adds(&self) -> usize {
        self.multiply_adds
    }

    /// Counts a layer that reads `taps` values for each of the values in `y`.
    fn count(&mut self, y: &Tensor, taps: i64) {
        self.multiply_adds += y.numel() * taps as usize;
    }

    fn bias(&self, name: &str, out: i64) -> Tensor {
        self.params.get(&format!("{name}.bias"), &[out], None)
    }
}

/// A convolution of dilation d that keeps the size is a dense one on the d × d sub-grids, exactly the same
/// numbers, and dense convolutions are the faster ones here (space-to-batch).
fn dilated_as_dense(x: &Tensor, weight: &Tensor, bias: &Tensor, conv: Conv) -> Tensor {
    let d = conv.dilation;
    let (n, c, h, w) = x.size4().expect("convolutions take [N, C, H, W]");
    let grids = x.reshape([n, c, h / d, d, w / d, d]).permute([3, 5, 0, 1, 2, 4]).reshape([d * d * n, c, h / d, w / d]); // [d·d·N, C, H/d, W/d]
    let padding = conv.padding[0] / d;
    let y = grids.conv2d(weight, Some(bias), [1, 1], [padding, padding], [1, 1], 1);
    y.reshape([d, d, n, conv.out, h / d, w / d]).permute([2, 3, 4, 0, 5, 1]).reshape([n, conv.out, h, w]) // [N, out, H, W]
}

/// A convolution in the form that is fastest for it.
fn convolve(x: &Tensor, weight: &Tensor, bias: &Tensor, conv: Conv) -> Tensor {
    let (_, _, height, width) = x.size4().expect("convolutions take [N, C, H, W]");
    let d = conv.dilation;
    let keeps_size = conv.stride == 1 && conv.padding == [d * (conv.kernel - 1) / 2; 2] && conv.kernel % 2 == 1;
    if d > 1 && keeps_size && height % d == 0 && width % d == 0 {
        return dilated_as_dense(x, weight, bias, conv);
    }
    let [before, after] = conv.padding;
    if before == after {
        return x.conv2d(weight, Some(bias), [conv.stride; 2], conv.padding, [d; 2], 1);
    }
    let padded = x.constant_pad_nd([before, after, before, after]);
    padded.conv2d(weight, Some(bias), [conv.stride; 2], [0; 2], [d; 2], 1)
}

impl Backend for Torch<'_> {
    type Value = Tensor;

    fn conv(&mut self, x: &Tensor, name: &str, conv: Conv) -> Tensor {
        let (_, channels, _, _) = x.size4().expect("convolutions take [N, C, H, W]");
        let shape = [conv.out, channels, conv.kernel, conv.kernel];
        let weight = self.params.get(&format!("{name}.weight"), &shape, Some(channels * conv.kernel * conv.kernel));
        let bias = self.bias(name, conv.out);
        let y = convolve(x, &weight, &bias, conv);
        self.count(&y, channels * conv.kernel * conv.kernel);
        y
    }

    fn deconv(&mut self, x: &Tensor, name: &str, deconv: Deconv) -> Tensor {
        let channels = x.size()[1];
        let shape = [channels, deconv.out, deconv.kernel, deconv.kernel];
        let taps = (deconv.kernel / deconv.stride).max(1);
        let weight = self.params.get(&format!("{name}.weight"), &shape, Some(channels * taps * taps));
        let bias = self.bias(name, deconv.out);
        self.multiply_adds += x.numel() * (deconv.out * deconv.kernel * deconv.kernel) as usize;
        x.conv_transpose2d(
            &weight,
            Some(bias),
            [deconv.stride; 2],
            [deconv.padding; 2],
            [deconv.output_padding; 2],
            1,
            [1; 2],
        )
    }

    fn deconv_pixel(&mut self, x: &Tensor, name: &str, out: i64, kernel: i64) -> Tensor {
        let pixel = x.unsqueeze(-1).unsqueeze(-1); // [N, in, 1, 1]
        self.deconv(&pixel, name, Deconv { out, kernel, stride: kernel, padding: 0, output_padding: 0 })
    }

    fn linear(&mut self, x: &Tensor, name: &str, out: i64) -> Tensor {
        let features = x.size()[1];
        let weight = self.params.get(&format!("{name}.weight"), &[out, features], Some(features));
        let y = x.linear(&weight, Some(self.bias(name, out)));
        self.count(&y, features);
        y
    }

    fn class_rows(&mut self, name: &str, count: i64, width: i64, classes: Classes<'_, Tensor>) -> Tensor {
        let table = self.params.get(name, &[count, width], Some(count));
        match classes {
            Classes::All => table.unsqueeze(0),                                 // [1, K, width]
            Classes::Given(index) => table.index_select(0, index).unsqueeze(1), // [N, 1, width]
        }
    }

    fn relu(&mut self, x: &Tensor) -> Tensor {
        x.relu()
    }

    fn sigmoid(&mut self, x: &Tensor) -> Tensor {
        x.sigmoid()
    }

    fn softplus(&mut self, x: &Tensor) -> Tensor {
        x.softplus()
    }

    fn quantise(&mut self, x: &Tensor, levels: u32) -> Tensor {
        let steps = f64::from(levels - 1);
        let nearest = (x.detach() * steps).round() / steps;
        nearest + (x - x.detach()) // adds zero, and the identity's gradient
    }

    fn dropout(&mut self, x: &Tensor, fraction: f64) -> Tensor {
        x.dropout(fraction, self.train)
    }

    fn pixel_shuffle(&mut self, x: &Tensor, factor: i64) -> Tensor {
        x.pixel_shuffle(factor)
    }

    fn halve(&mut self, x: &Tensor) -> Tensor {
        x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)
    }

    fn double(&mut self, x: &Tensor) -> Tensor {
        let (_, _, height, width) = x.size4().expect("pictures are [N, C, H, W]");
        x.upsample_nearest2d([2 * height, 2 * width], None, None)
    }

    fn reshape(&mut self, x: &Tensor, shape: &[i64]) -> Tensor {
        x.reshape(shape)
    }

    fn add(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        a + b
    }

    fn sub(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        a - b
    }

    fn mul(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        a * b
    }

    fn concat(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        Tensor::cat(&[a, b], 1)
    }

    fn columns(&mut self, x: &Tensor, start: i64, len: i64) -> Tensor {
        x.narrow(1, start, len)
    }

    fn repeat_each(&mut self, x: &Tensor, count: i64, _image: [i64; 3]) -> Tensor {
        x.repeat_interleave_self_int(count, 0, None)
    }

    fn mean_power(&mut self, x: &Tensor, exponent: f64) -> Tensor {
        x.abs().pow_tensor_scalar(exponent).mean_dim(-1, false, Kind::Float)
    }

    fn root_mean(&mut self, x: &Tensor) -> Tensor {
        x.mean_dim(-1, false, Kind::Float).sqrt()
    }

    fn argmin(&mut self, x: &Tensor) -> Tensor {
        x.argmin(1, false)
    }

    fn pick(&mut self, x: &Tensor, index: &Tensor) -> Tensor {
        let (n, _, p) = x.size3().expect("picks from [N, K, P]");
        let index = index.reshape([n, 1, 1]).expand([n, 1, p], false);
        x.gather(1, &index, false).squeeze_dim(1) // [N, P]
    }
}
