//! `camera:…`: a camera of this machine, with the cargo feature `camera`.
//!
//! On Linux frames come from Video4Linux directly (`video4linux`), elsewhere, and where `backend=nokhwa` is asked for,
//! through nokhwa (`portable`). Both choose from what the camera itself says it can do, decode into pooled buffers, and
//! end when the camera is gone; whoever asked can then open it again.
//!
//! Reading the URI and decoding pictures needs no feature.

mod error;
pub mod mjpeg;
pub mod raw;
mod spec;

#[cfg(feature = "camera")]
mod limited;
#[cfg(feature = "camera")]
mod meter;
#[cfg(feature = "camera")]
mod offer;
#[cfg(feature = "camera")]
mod picture;
#[cfg(feature = "camera")]
mod portable;
#[cfg(all(feature = "camera", target_os = "linux"))]
mod v4l_offers;
#[cfg(all(feature = "camera", target_os = "linux"))]
mod v4l_stream;
#[cfg(all(feature = "camera", target_os = "linux"))]
mod video4linux;

use std::sync::Arc;

pub use error::{CameraError, Reason};
#[cfg(feature = "camera")]
pub use offer::{Interval, Offer};
pub use spec::{CameraBackend, CameraDevice, CameraFormat, CameraSpec, Rate};

use super::{Feed, SourceError, SourceOptions};
use crate::clock::Clock;

/// Opens a camera; it can be opened again by itself.
#[cfg(feature = "camera")]
pub(super) fn open(spec: &CameraSpec, options: &SourceOptions, clock: Arc<dyn Clock>) -> Result<Feed, SourceError> {
    let spec = with_rate(spec, options.fps)?;
    let pixels = options.pixels.unwrap_or(crate::frame::PixelFormat::Rgb8);
    let most = options.frames;
    let reopen: super::Reopen = Arc::new(move |taken| {
        let limit = limited::Limit { most, taken };
        open_once(&spec, pixels, limit, clock.clone()).map_err(SourceError::from)
    });
    Ok(Feed { source: reopen(0)?, reopen: Some(reopen) })
}

#[cfg(not(feature = "camera"))]
pub(super) use open_without as open;

/// Without the feature there is nothing to open.
#[cfg(any(test, not(feature = "camera")))]
pub(super) fn open_without(spec: &CameraSpec, _: &SourceOptions, _: Arc<dyn Clock>) -> Result<Feed, SourceError> {
    Err(CameraError::NotBuilt { camera: spec.to_string() }.into())
}

#[cfg(feature = "camera")]
fn open_once(
    spec: &CameraSpec,
    pixels: crate::frame::PixelFormat,
    limit: limited::Limit,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn super::Source>, CameraError> {
    #[cfg(target_os = "linux")]
    if spec.backend == CameraBackend::System {
        return Ok(Box::new(limited::Limited::new(video4linux::Camera::open(spec, pixels, clock)?, limit)));
    }
    Ok(Box::new(limited::Limited::new(portable::Camera::open(spec, pixels, clock)?, limit)))
}

/// The rate may be given in the URI or as an option, and twice only if both say the same.
pub(super) fn with_rate(spec: &CameraSpec, fps: Option<f64>) -> Result<CameraSpec, SourceError> {
    let Some(got) = fps else { return Ok(spec.clone()) };
    let rate = Rate::new(got).ok_or(SourceError::CameraFps { got })?;
    match spec.rate {
        Some(uri) if uri != rate => {
            let (camera, flag, uri) = (spec.device.to_string(), rate.to_string(), uri.to_string());
            Err(CameraError::TwoRates { camera, flag, uri }.into())
        }
        _ => Ok(CameraSpec { rate: Some(rate), ..spec.clone() }),
    }
}

/// A camera of this machine.
#[cfg(feature = "camera")]
#[derive(Debug)]
pub struct Found {
    /// How to name it: `camera:` and this.
    pub device: CameraDevice,
    /// What the system calls it.
    pub name: String,
    /// What it can do, or why that cannot be told.
    pub offers: Result<Vec<Offer>, CameraError>,
}

/// The cameras of this machine, by number. Devices that give no pictures at all are left out.
///
/// # Errors
/// When the system cannot be asked.
#[cfg(feature = "camera")]
pub fn list() -> Result<Vec<Found>, CameraError> {
    #[cfg(not(target_os = "linux"))]
    use portable::offers;
    #[cfg(target_os = "linux")]
    use video4linux::offers;
    let cameras = portable::list()?.into_iter().map(|(device, name)| {
        let offers = offers(&device);
        Found { device, name, offers }
    });
    Ok(cameras.filter(|found| !matches!(found.offers, Err(CameraError::NoPictures { .. }))).collect())
}

#[cfg(all(test, feature = "camera"))]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_the_camera_is_named_and_how_to_get_one() {
        let spec = CameraSpec::parse("0?size=640x480").unwrap();
        let clock = Arc::new(crate::clock::SystemClock);
        let text = open_without(&spec, &SourceOptions::default(), clock).unwrap_err().to_string();
        assert!(text.starts_with("camera:0?size=640x480: this build of puvae has no cameras"), "{text}");
        assert!(text.contains("feature `camera`") && text.contains("`cargo xtask run -- …`"), "{text}");
    }

    #[test]
    fn the_rate_may_be_given_twice_only_if_both_say_the_same() {
        let spec = CameraSpec::parse("0?fps=25").unwrap();
        assert_eq!(with_rate(&spec, Some(25.0)).unwrap(), spec);
        assert_eq!(with_rate(&CameraSpec::number(0), Some(25.0)).unwrap(), spec);
        let text = with_rate(&spec, Some(30.0)).unwrap_err().to_string();
        assert!(text.contains("`--fps 30` and `fps=25` do not agree"), "{text}");
        let text = with_rate(&spec, Some(2000.0)).unwrap_err().to_string();
        assert!(text.starts_with("2000 frames a second, expected 0.001 to 1000 of a camera; "), "{text}");
    }
}
