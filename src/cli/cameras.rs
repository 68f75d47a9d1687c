//! `puvae cameras`: the cameras of this machine, and what each can do.

use std::process::ExitCode;

#[cfg(not(feature = "camera"))]
pub(super) use run_without as run;

/// What was asked for does not exist in this build.
#[cfg(any(test, not(feature = "camera")))]
pub(super) fn run_without() -> anyhow::Result<ExitCode> {
    anyhow::bail!(
        "this build of puvae has no cameras, expected one with the cargo feature `camera`; run `cargo xtask run -- cameras`, \
         or build with `--features camera` (that needs libclang)"
    )
}

/// One paragraph for each camera; none is no error.
#[cfg(feature = "camera")]
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let cameras = puvae::source::camera::list()?;
    if cameras.is_empty() {
        super::complain(
            "no camera found; connect one, and check that you may open it (on Linux: /dev/video*, group `video`)\n",
        );
    }
    for camera in &cameras {
        super::print(&describe(camera))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "camera")]
fn describe(camera: &puvae::source::camera::Found) -> String {
    let lines = match &camera.offers {
        Ok(offers) => offers.iter().map(|offer| format!("  {offer}\n")).collect(),
        Err(error) => format!("  {error}\n"),
    };
    format!("camera:{}  {}\n{lines}", camera.device, camera.name)
}

#[cfg(all(test, feature = "camera"))]
mod tests {
    use super::*;
    use puvae::source::camera::{CameraDevice, CameraError, CameraFormat, Found, Interval, Offer};

    #[test]
    fn a_build_without_cameras_says_how_to_get_one_with() {
        let text = run_without().unwrap_err().to_string();
        assert!(text.starts_with("this build of puvae has no cameras, expected one with the cargo feature `camera`"));
        assert!(text.contains("`cargo xtask run -- cameras`") && text.contains("`--features camera`"), "{text}");
    }

    #[test]
    fn a_camera_is_listed_with_what_it_can_do_or_why_that_is_not_known() {
        let (device, name) = (CameraDevice::Number(3), "Webcam".to_string());
        let intervals = vec![Interval { numerator: 1, denominator: 30 }, Interval { numerator: 2, denominator: 25 }];
        let offers = Ok(vec![Offer { format: CameraFormat::Yuyv, size: (640, 480), intervals }]);
        let found = Found { device: device.clone(), name: name.clone(), offers };
        assert_eq!(describe(&found), "camera:3  Webcam\n  yuyv 640x480 at 12.5, 30 frames/s\n");
        let offers = Err(CameraError::NoFormat { camera: "/dev/video3".into(), found: "NV12".into() });
        let text = describe(&Found { device, name, offers });
        assert!(text.contains("  /dev/video3: the camera offers NV12, expected yuyv"), "{text}");
    }
}
