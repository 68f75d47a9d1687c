//! What a Video4Linux device says it can do.

use v4l::FourCC;
use v4l::device::Device;
use v4l::fraction::Fraction;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;

use super::error::CameraError;
use super::offer::{Interval, Offer, intervals, sizes};
use super::spec::{CameraFormat, CameraSpec};
use super::video4linux::fourcc;

const FORMATS: [CameraFormat; 3] = [CameraFormat::Grey, CameraFormat::Yuyv, CameraFormat::Mjpeg];

/// Everything that can be read; of what a driver offers by limits, that which `spec` may want.
pub(super) fn of(camera: &str, device: &Device, spec: &CameraSpec) -> Result<Vec<Offer>, CameraError> {
    let found: Vec<FourCC> =
        Capture::enum_formats(device).unwrap_or_default().iter().map(|format| format.fourcc).collect();
    if found.is_empty() {
        return Err(CameraError::NoPictures { camera: camera.into() });
    }
    let readable = FORMATS.into_iter().filter(|format| found.contains(&fourcc(*format)));
    let offers: Vec<Offer> = readable.flat_map(|format| offers(device, format, spec)).collect();
    if offers.is_empty() {
        let found = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(CameraError::NoFormat { camera: camera.into(), found });
    }
    Ok(offers)
}

fn offers(device: &Device, format: CameraFormat, spec: &CameraSpec) -> Vec<Offer> {
    let listed = Capture::enum_framesizes(device, fourcc(format)).unwrap_or_default();
    let sizes = listed.into_iter().flat_map(|listed| match listed.size {
        FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
        FrameSizeEnum::Stepwise(limits) => sizes(
            spec.size,
            (limits.min_width, limits.max_width, limits.step_width),
            (limits.min_height, limits.max_height, limits.step_height),
        ),
    });
    sizes.map(|size| Offer { format, size, intervals: rates(device, format, size, spec) }).collect()
}

fn rates(device: &Device, format: CameraFormat, (width, height): (u32, u32), spec: &CameraSpec) -> Vec<Interval> {
    let interval = |Fraction { numerator, denominator }| Interval { numerator, denominator };
    let listed = Capture::enum_frameintervals(device, fourcc(format), width, height).unwrap_or_default();
    let listed = listed.into_iter().flat_map(|listed| match listed.interval {
        FrameIntervalEnum::Discrete(one) => vec![interval(one)],
        FrameIntervalEnum::Stepwise(limits) => intervals(spec.rate, interval(limits.min), interval(limits.max)),
    });
    listed.collect()
}
