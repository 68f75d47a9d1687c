//! Why a camera cannot be opened, or gives no more frames.

use std::fmt;
use std::io;

/// Why a camera cannot be opened, or gives no more frames.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// This program was built without cameras.
    #[error(
        "camera:{camera}: this build of puvae has no cameras, expected one with the cargo feature `camera`; start it with `cargo xtask run -- …`, or build it with `cargo build --release --features camera` (that needs libclang)"
    )]
    NotBuilt {
        /// Which camera was asked for; empty for a list of all.
        camera: String,
    },
    /// There is no such device, or it may not be opened.
    #[error("{camera}: cannot open the camera: {reason}; {}", hint(reason))]
    Open {
        /// Which camera.
        camera: String,
        /// What the system said.
        reason: Reason,
    },
    /// A device that gives no pictures.
    #[error("{camera}: no camera: the device offers no pictures; `puvae cameras` lists the cameras there are")]
    NoPictures {
        /// Which device.
        camera: String,
    },
    /// A camera that has none of the formats that can be read.
    #[error("{camera}: the camera offers {found}, expected yuyv, mjpeg or grey; use another camera")]
    NoFormat {
        /// Which camera.
        camera: String,
        /// What it has instead.
        found: String,
    },
    /// The camera cannot do what was asked of it.
    #[error("{camera}: the camera has no {asked}, expected one of{offers}\nchoose with `size`, `fps` and `format`")]
    NotOffered {
        /// Which camera.
        camera: String,
        /// What was asked for.
        asked: String,
        /// What it has, a line for each.
        offers: String,
    },
    /// The driver did not take what it had offered.
    #[error(
        "{camera}: the driver was asked for {asked} and set {got}; close other programs that use the camera, or choose another `size`, `fps` or `format`"
    )]
    NotSet {
        /// Which camera.
        camera: String,
        /// What it was asked for.
        asked: String,
        /// What it set.
        got: String,
    },
    /// `--fps` and the URI do not agree.
    #[error("{camera}: `--fps {flag}` and `fps={uri}` do not agree; leave one out")]
    TwoRates {
        /// Which camera.
        camera: String,
        /// By the option.
        flag: String,
        /// By the URI.
        uri: String,
    },
    /// The driver refused a step of setting up.
    #[error("{camera}: the driver refused to {step}: {reason}; {}", hint(reason))]
    Refused {
        /// Which camera.
        camera: String,
        /// Which step.
        step: &'static str,
        /// What the driver said.
        reason: Reason,
    },
    /// The camera gives no more frames.
    #[error("{camera}: the camera gives no more frames: {reason}; {}", hint(reason))]
    Lost {
        /// Which camera.
        camera: String,
        /// What the driver said.
        reason: Reason,
    },
}

/// What the system or a library said.
#[derive(Debug)]
pub enum Reason {
    /// The system.
    Io(io::Error),
    /// A library, in words.
    Words(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Words(words) => f.write_str(words),
        }
    }
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What to do.
fn hint(reason: &Reason) -> &'static str {
    /// Linux's ENODEV: the device was there and is no more.
    const GONE: i32 = 19;
    let Reason::Io(error) = reason else { return "check the camera, and close other programs that use it" };
    match error.kind() {
        io::ErrorKind::NotFound => "`puvae cameras` lists the cameras there are",
        io::ErrorKind::PermissionDenied => "become a member of the group `video`, or start puvae as somebody who is",
        io::ErrorKind::ResourceBusy => "close the other program that uses the camera",
        _ if error.raw_os_error() == Some(GONE) => "it was unplugged: check the cable and plug it in again",
        _ => "check the cable, unplug the camera and plug it in again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_cameras_names_the_feature_and_the_command() {
        let text = CameraError::NotBuilt { camera: "0".into() }.to_string();
        assert!(text.contains("camera:0: this build of puvae has no cameras"), "{text}");
        assert!(text.contains("feature `camera`") && text.contains("`cargo xtask run -- …`"), "{text}");
    }

    #[test]
    fn each_kind_of_trouble_has_its_remedy() {
        for (errno, remedy) in [
            (2, "`puvae cameras` lists the cameras there are"),
            (13, "the group `video`"),
            (16, "close the other program"),
            (19, "plug it in again"),
            (5, "unplug the camera"),
        ] {
            let reason = io::Error::from_raw_os_error(errno).into();
            let text = CameraError::Lost { camera: "/dev/video0".into(), reason }.to_string();
            assert!(text.starts_with("/dev/video0: the camera gives no more frames: "), "{text}");
            assert!(text.contains(remedy), "{errno}: {text}");
        }
    }
}
