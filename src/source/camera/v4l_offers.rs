//! What a Video4Linux device says it can do.
//!
//! A driver must say in which formats it gives pictures; of which sizes and at which rates is optional. "Not offered" (EINVAL,
//! ENOTTY) is an answer, anything else is an error.

use std::io;

use v4l::FourCC;
use v4l::device::Device;
use v4l::fraction::Fraction;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;

use super::error::CameraError;
use super::offer::{Interval, Offer, intervals, sizes};
use super::spec::{CameraFormat, CameraSpec};
use super::video4linux::{fourcc, refused};

const FORMATS: [CameraFormat; 3] = [CameraFormat::Grey, CameraFormat::Yuyv, CameraFormat::Mjpeg];

/// Everything that can be read; of what a driver offers by limits, or does not list, that which `spec` may want.
pub(super) fn of(camera: &str, device: &Device, spec: &CameraSpec) -> Result<Vec<Offer>, CameraError> {
    let failed = |error| refused(camera, "tell its formats")(error);
    let found: Vec<FourCC> =
        Capture::enum_formats(device).map_err(failed)?.iter().map(|format| format.fourcc).collect();
    if found.is_empty() {
        // The list is empty after an error as well. A device that gives pictures has a format that is set, or says what is wrong.
        optional(Capture::format(device)).map_err(failed)?;
        return Err(CameraError::NoPictures { camera: camera.into() });
    }
    let readable: Vec<CameraFormat> = FORMATS.into_iter().filter(|format| found.contains(&fourcc(*format))).collect();
    if readable.is_empty() {
        let found = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(CameraError::NoFormat { camera: camera.into(), found });
    }
    let offers: Result<Vec<_>, _> = readable.into_iter().map(|format| offers(device, format, spec)).collect();
    Ok(offers.map_err(failed)?.concat())
}

fn offers(device: &Device, format: CameraFormat, spec: &CameraSpec) -> io::Result<Vec<Offer>> {
    let offer = |size| Ok(Offer { format, size, intervals: rates(device, format, size, spec)? });
    sizes_of(device, format, spec)?.into_iter().map(offer).collect()
}

fn sizes_of(device: &Device, format: CameraFormat, spec: &CameraSpec) -> io::Result<Vec<(u32, u32)>> {
    let listed = optional(Capture::enum_framesizes(device, fourcc(format)))?.unwrap_or_default();
    if listed.is_empty() {
        let set = Capture::format(device)?;
        return Ok(unlisted((set.width, set.height), spec.size));
    }
    let sizes = listed.into_iter().flat_map(|listed| match listed.size {
        FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
        FrameSizeEnum::Stepwise(limits) => sizes(
            spec.size,
            (limits.min_width, limits.max_width, limits.step_width),
            (limits.min_height, limits.max_height, limits.step_height),
        ),
    });
    Ok(sizes.collect())
}

/// The sizes of a driver that lists none: the one that is `set`, and the wanted one. Setting it shows whether the driver takes it.
fn unlisted(set: (u32, u32), wanted: Option<(u32, u32)>) -> Vec<(u32, u32)> {
    [Some(set), wanted.filter(|wanted| *wanted != set)].into_iter().flatten().collect()
}

fn rates(
    device: &Device,
    format: CameraFormat,
    (width, height): (u32, u32),
    spec: &CameraSpec,
) -> io::Result<Vec<Interval>> {
    let interval = |Fraction { numerator, denominator }| Interval { numerator, denominator };
    let listed = optional(Capture::enum_frameintervals(device, fourcc(format), width, height))?.unwrap_or_default();
    let listed = listed.into_iter().flat_map(|listed| match listed.interval {
        FrameIntervalEnum::Discrete(one) => vec![interval(one)],
        FrameIntervalEnum::Stepwise(limits) => intervals(spec.rate, interval(limits.min), interval(limits.max)),
    });
    Ok(listed.collect())
}

/// `None` of what the driver does not offer.
fn optional<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    /// Linux's numbers for "there is none of this" and for "there is no such question".
    const NOT_OFFERED: [i32; 2] = [22, 25];
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.raw_os_error().is_some_and(|errno| NOT_OFFERED.contains(&errno)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_does_not_offer_is_no_error_and_what_fails_is() {
        let answer = |errno| optional::<()>(Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(optional(Ok(3)).unwrap(), Some(3));
        // EINVAL and ENOTTY; EIO, EBUSY and ENODEV.
        assert!([22, 25].into_iter().all(|errno| answer(errno).unwrap().is_none()));
        assert!([5, 16, 19].into_iter().all(|errno| answer(errno).unwrap_err().raw_os_error() == Some(errno)));
    }

    #[test]
    fn a_driver_that_lists_no_sizes_has_the_one_that_is_set_and_may_take_the_wanted_one() {
        assert_eq!(unlisted((640, 480), None), [(640, 480)]);
        assert_eq!(unlisted((640, 480), Some((640, 480))), [(640, 480)]);
        assert_eq!(unlisted((640, 480), Some((1280, 720))), [(640, 480), (1280, 720)]);
    }
}
