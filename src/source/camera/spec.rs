//! `camera:DEVICE[?size=WxH&fps=F&format=…&backend=…]`: which camera, and what is asked of it.

use std::fmt;
use std::path::PathBuf;

use crate::source::SourceUriError;
use crate::source::uri::{pairs, sides};

/// What stands after `camera:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraSpec {
    /// Which camera.
    pub device: CameraDevice,
    /// Columns and rows; 640×480, or what is nearest to it, unless told.
    pub size: Option<(u32, u32)>,
    /// Frames a second; 30, or what is nearest to it, unless told.
    pub rate: Option<Rate>,
    /// How the camera sends pictures; what is cheapest to decode unless told.
    pub format: Option<CameraFormat>,
    /// Who talks to the camera.
    pub backend: CameraBackend,
}

/// Which camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraDevice {
    /// The system's number for it: on Linux N of `/dev/videoN`.
    Number(u32),
    /// A device node.
    Node(PathBuf),
}

/// How a camera sends pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CameraFormat {
    /// Luma alone, a byte a pixel.
    Grey,
    /// YUV 4:2:2, two bytes a pixel.
    Yuyv,
    /// A JPEG picture for each frame.
    Mjpeg,
}

/// Who talks to the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CameraBackend {
    /// Video4Linux on Linux, elsewhere nokhwa.
    #[default]
    System,
    /// nokhwa, on every system. It knows nothing of lost and faulty frames and of the driver's stamps, and waits for a
    /// frame without limit.
    Nokhwa,
}

/// Frames a second, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// Thousandths of a frame a second.
    pub millihertz: u32,
}

impl Rate {
    /// The lowest rate that can be asked for, in frames a second.
    pub const LOWEST: f64 = 0.001;
    /// The highest rate that can be asked for, in frames a second.
    pub const HIGHEST: f64 = 1000.0;

    /// So many frames a second; `None` of a rate that cannot be asked for.
    #[must_use]
    pub fn new(fps: f64) -> Option<Self> {
        let possible = (Self::LOWEST..=Self::HIGHEST).contains(&fps);
        possible.then_some(Self { millihertz: (fps * 1000.0).round() as u32 })
    }

    /// Frames a second.
    #[must_use]
    pub fn fps(self) -> f64 {
        f64::from(self.millihertz) / 1000.0
    }

    /// As near as makes no difference: 30 and 29.97 are both said of NTSC's 30000/1001.
    #[must_use]
    pub fn is_about(self, other: Self) -> bool {
        self.millihertz.abs_diff(other.millihertz) <= 100
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fps().fmt(f)
    }
}

impl fmt::Display for CameraFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grey => "grey",
            Self::Yuyv => "yuyv",
            Self::Mjpeg => "mjpeg",
        })
    }
}

impl fmt::Display for CameraDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Node(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for CameraSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        let pairs = [
            self.size.map(|(width, height)| format!("size={width}x{height}")),
            self.rate.map(|rate| format!("fps={rate}")),
            self.format.map(|format| format!("format={format}")),
            (self.backend == CameraBackend::Nokhwa).then(|| "backend=nokhwa".into()),
        ];
        for (index, pair) in pairs.iter().flatten().enumerate() {
            write!(f, "{}{pair}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// What it is called in errors.
const KIND: &str = "camera";
const KEYS: &str = "size, fps, format or backend";
const DEVICE: &str = "a number, such as 0, or a device, such as /dev/video0";
/// The longest side that can be asked for.
const MAX_SIDE: u16 = 16_384;
const SIZE: &str = "WIDTHxHEIGHT, each from 1 to 16384";
const FPS: &str = "frames a second from 0.001 to 1000";

impl CameraSpec {
    /// The camera with a number, and nothing asked of it.
    #[must_use]
    pub fn number(number: u32) -> Self {
        let device = CameraDevice::Number(number);
        Self { device, size: None, rate: None, format: None, backend: CameraBackend::default() }
    }

    /// Reads what stands after `camera:`.
    pub(in crate::source) fn parse(text: &str) -> Result<Self, SourceUriError> {
        let (device, query) = text.split_once('?').unwrap_or((text, ""));
        let device = match device.parse() {
            Ok(number) => CameraDevice::Number(number),
            Err(_) if device.contains('/') => CameraDevice::Node(device.into()),
            Err(_) => return Err(value("the device", device, DEVICE)),
        };
        let mut spec = Self { device, ..Self::number(0) };
        pairs(query)?.into_iter().try_for_each(|(key, text)| spec.set(key, text))?;
        Ok(spec)
    }

    fn set(&mut self, key: &str, text: &str) -> Result<(), SourceUriError> {
        match key {
            "size" => self.size = Some(sides(text, MAX_SIDE).ok_or_else(|| value("size", text, SIZE))?),
            "fps" => self.rate = Some(text.parse().ok().and_then(Rate::new).ok_or_else(|| value("fps", text, FPS))?),
            "format" => {
                self.format = Some(match text {
                    "grey" => CameraFormat::Grey,
                    "yuyv" => CameraFormat::Yuyv,
                    "mjpeg" => CameraFormat::Mjpeg,
                    _ => return Err(value("format", text, "yuyv, mjpeg or grey")),
                });
            }
            "backend" => {
                self.backend = match text {
                    "system" => CameraBackend::System,
                    "nokhwa" => CameraBackend::Nokhwa,
                    _ => return Err(value("backend", text, "system or nokhwa")),
                };
            }
            _ => return Err(SourceUriError::UnknownKey { kind: KIND, key: key.into(), expected: KEYS }),
        }
        Ok(())
    }
}

fn value(key: &'static str, got: &str, expected: &'static str) -> SourceUriError {
    SourceUriError::Value { kind: KIND, key, got: got.into(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_and_written() {
        let text = "/dev/video0?size=640x480&fps=29.97&format=mjpeg&backend=nokhwa";
        let spec = CameraSpec::parse(text).unwrap();
        assert_eq!(spec.size, Some((640, 480)));
        assert_eq!((spec.rate.unwrap().millihertz, spec.format), (29_970, Some(CameraFormat::Mjpeg)));
        assert_eq!((spec.device.to_string().as_str(), spec.backend), ("/dev/video0", CameraBackend::Nokhwa));
        assert_eq!(spec.to_string(), text);
        assert_eq!(CameraSpec::parse("2").unwrap(), CameraSpec::number(2));
    }

    #[test]
    fn whatever_is_wrong_is_named_with_what_was_expected() {
        for (text, expected) in [
            ("", "the device is ``, expected a number, such as 0, or a device, such as /dev/video0"),
            ("front", "the device is `front`, expected a number"),
            ("0?sise=1x1", "unknown key `sise`, expected size, fps, format or backend"),
            ("0?size=640", "size is `640`, expected WIDTHxHEIGHT, each from 1 to 16384"),
            ("0?size=0x480", "size is `0x480`, expected WIDTHxHEIGHT"),
            ("0?fps=0", "fps is `0`, expected frames a second from 0.001 to 1000"),
            ("0?fps=NaN", "fps is `NaN`, expected frames a second"),
            ("0?format=rgb", "format is `rgb`, expected yuyv, mjpeg or grey"),
            ("0?backend=gst", "backend is `gst`, expected system or nokhwa"),
        ] {
            let refusal = CameraSpec::parse(text).unwrap_err().to_string();
            assert!(refusal.starts_with("camera: ") && refusal.contains(expected), "{text}: {refusal}");
        }
    }

    #[test]
    fn ntscs_rate_counts_as_thirty_but_not_as_twenty_five() {
        let rate = |fps| Rate::new(fps).unwrap();
        assert!(rate(30.0).is_about(rate(29.97)) && !rate(30.0).is_about(rate(25.0)));
        assert_eq!(rate(12.5).to_string(), "12.5");
    }
}
