//! `kind:rest`: how a user names a source.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::SourceError;
use super::camera::{self, CameraSpec};
use super::faults::FaultError;
use super::synthetic::Synthetic;
use crate::frame::PixelFormat;

const FORMS: &str = "camera:N|/dev/videoN[?size=WIDTHxHEIGHT&fps=F&format=yuyv|mjpeg|grey], \
                     dir:FOLDER, idx:IMAGES[,LABELS], stdin:gray|rgb:WIDTHxHEIGHT \
                     or synthetic:[WIDTHxHEIGHT][?classes=K&channels=1|3&seed=S&frames=N&faults=…]";

/// What to open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceUri {
    /// `camera:DEVICE[?…]`: a camera of this machine.
    Camera(CameraSpec),
    /// `dir:FOLDER`: pictures in natural order (`2.png` before `10.png`); where there are sub-folders, they name the classes.
    Dir(PathBuf),
    /// `idx:IMAGES[,LABELS]`: MNIST's format, gzip or not. File names with a comma cannot be given.
    Idx {
        /// File of images.
        images: PathBuf,
        /// File of labels.
        labels: Option<PathBuf>,
    },
    /// `stdin:gray|rgb:WxH`: raw frames on standard input.
    Stdin(RawVideo),
    /// `synthetic:…`: generated pictures with known labels.
    Synthetic(Synthetic),
}

/// The form of raw frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawVideo {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// One byte a pixel (`gray`, ffmpeg's `-pix_fmt gray`) or three (`rgb`, `-pix_fmt rgb24`).
    pub format: PixelFormat,
}

/// The longest side of a raw frame.
const MAX_RAW_SIDE: u16 = 16_384;

impl RawVideo {
    /// Bytes of one frame.
    pub(super) fn bytes(&self) -> usize {
        self.width * self.height * self.format.channels()
    }

    fn parse(rest: &str) -> Option<Self> {
        let (format, size) = rest.split_once(':')?;
        let format = match format {
            "gray" => PixelFormat::Gray8,
            "rgb" => PixelFormat::Rgb8,
            _ => return None,
        };
        let (width, height) = sides(size, MAX_RAW_SIDE)?;
        Some(Self { width, height, format })
    }
}

/// Reads `WIDTHxHEIGHT`, each from 1 to `longest`.
pub(super) fn sides<N: FromStr + PartialOrd + From<u16>>(text: &str, longest: u16) -> Option<(N, N)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (N::from(1)..=N::from(longest)).contains(side));
    Some((side(width)?, side(height)?))
}

/// The `key=value` pairs of a query, each key once.
pub(super) fn pairs(query: &str) -> Result<Vec<(&str, &str)>, SourceUriError> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pairs.iter().any(|&(other, _)| other == key) {
            return Err(SourceUriError::KeyTwice { key: key.into() });
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// Why a text names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceUriError {
    /// No such kind of source, or no kind at all.
    #[error("`{got}` names no source, expected {FORMS}")]
    Kind {
        /// The whole text.
        got: String,
    },
    /// A path is missing.
    #[error("`{got}` names no file, expected {FORMS}")]
    NoPath {
        /// The whole text.
        got: String,
    },
    /// What follows `stdin:` is no form of frames.
    #[error(
        "`{got}` names no form of frames, expected stdin:gray:WIDTHxHEIGHT or stdin:rgb:WIDTHxHEIGHT with sides from 1 to {MAX_RAW_SIDE}, such as stdin:rgb:640x480"
    )]
    Stdin {
        /// The whole text.
        got: String,
    },
    /// A key with two values.
    #[error("the source's key `{key}` stands there twice, expected once; leave one of them out")]
    KeyTwice {
        /// Which key.
        key: String,
    },
    /// A key that this kind of source does not have.
    #[error("{kind}: unknown key `{key}`, expected {expected}")]
    UnknownKey {
        /// Which kind of source.
        kind: &'static str,
        /// What was given.
        key: String,
        /// The keys that it has.
        expected: &'static str,
    },
    /// A value that this kind of source cannot use.
    #[error("{kind}: {key} is `{got}`, expected {expected}")]
    Value {
        /// Which kind of source.
        kind: &'static str,
        /// Which key, "size" or "the device".
        key: &'static str,
        /// What was given.
        got: String,
        /// What is possible.
        expected: &'static str,
    },
    /// A fault that is none.
    #[error("synthetic source: {0}")]
    Fault(#[from] FaultError),
    /// The classes do not fit into the picture.
    #[error(
        "synthetic source: {width}x{height} is too small to tell {classes} classes apart, expected at least {side}x{side}"
    )]
    TooSmall {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Classes.
        classes: usize,
        /// The shortest side that would do.
        side: usize,
    },
}

impl SourceUri {
    /// Whether its frames can come `fps` times a second, as far as that can be told without opening it.
    ///
    /// # Errors
    /// When they have a pace of their own, or another rate stands in the URI.
    pub fn check_fps(&self, fps: f64) -> Result<(), SourceError> {
        match self {
            Self::Camera(spec) => camera::with_rate(spec, Some(fps)).map(drop),
            Self::Stdin(_) => Err(SourceError::StdinFps),
            Self::Dir(_) | Self::Idx { .. } | Self::Synthetic(_) => Ok(()),
        }
    }
}

impl SourceUri {
    /// Columns and rows of its frames, where these are known before there are any.
    #[must_use]
    pub fn size(&self) -> Option<(usize, usize)> {
        match *self {
            Self::Stdin(RawVideo { width, height, .. }) | Self::Synthetic(Synthetic { width, height, .. }) => {
                Some((width, height))
            }
            Self::Camera(_) | Self::Dir(_) | Self::Idx { .. } => None,
        }
    }
}

impl FromStr for SourceUri {
    type Err = SourceUriError;

    fn from_str(text: &str) -> Result<Self, SourceUriError> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| SourceUriError::Kind { got: text.into() })?;
        let path = |path: &str| match path {
            "" => Err(SourceUriError::NoPath { got: text.into() }),
            path => Ok(PathBuf::from(path)),
        };
        match kind {
            "camera" => Ok(Self::Camera(CameraSpec::parse(rest)?)),
            "dir" => Ok(Self::Dir(path(rest)?)),
            "idx" => match rest.split_once(',') {
                Some((images, labels)) => Ok(Self::Idx { images: path(images)?, labels: Some(path(labels)?) }),
                None => Ok(Self::Idx { images: path(rest)?, labels: None }),
            },
            "stdin" => RawVideo::parse(rest).map(Self::Stdin).ok_or_else(|| SourceUriError::Stdin { got: text.into() }),
            "synthetic" => Ok(Self::Synthetic(Synthetic::parse(rest)?)),
            _ => Err(SourceUriError::Kind { got: text.into() }),
        }
    }
}

impl fmt::Display for SourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(spec) => write!(f, "camera:{spec}"),
            Self::Dir(path) => write!(f, "dir:{}", path.display()),
            Self::Idx { images, labels: None } => write!(f, "idx:{}", images.display()),
            Self::Idx { images, labels: Some(labels) } => write!(f, "idx:{},{}", images.display(), labels.display()),
            Self::Stdin(RawVideo { width, height, format: PixelFormat::Gray8 }) => {
                write!(f, "stdin:gray:{width}x{height}")
            }
            Self::Stdin(RawVideo { width, height, format: PixelFormat::Rgb8 }) => {
                write!(f, "stdin:rgb:{width}x{height}")
            }
            Self::Synthetic(Synthetic { width, height, format, classes, seed, frames, faults }) => {
                let channels = PixelFormat::channels(*format);
                write!(f, "synthetic:{width}x{height}?classes={classes}&channels={channels}&seed={seed}")?;
                frames.map_or(Ok(()), |frames| write!(f, "&frames={frames}"))?;
                for (index, fault) in faults.iter().enumerate() {
                    write!(f, "{}{fault}", if index == 0 { "&faults=" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<SourceUri>().unwrap_err().to_string()
    }

    #[test]
    fn every_form_survives_the_round_trip() {
        for text in [
            "camera:0",
            "camera:/dev/video0?size=640x480&fps=30&format=yuyv",
            "dir:some/folder",
            "idx:images.gz",
            "idx:images,labels",
            "stdin:gray:640x480",
            "stdin:rgb:1x16384",
            "synthetic:32x16?classes=4&channels=3&seed=7&frames=600",
            "synthetic:28x28?classes=10&channels=1&seed=0",
            "synthetic:28x28?classes=10&channels=1&seed=0&faults=stall@60+1500ms,lose@7+3",
        ] {
            assert_eq!(text.parse::<SourceUri>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_left_out_of_a_synthetic_uri_has_a_default() {
        assert_eq!("synthetic:".parse(), Ok(SourceUri::Synthetic(Synthetic::default())));
        let SourceUri::Synthetic(spec) = "synthetic:?seed=3".parse().unwrap() else { panic!("not synthetic") };
        assert_eq!(spec, Synthetic { seed: 3, ..Synthetic::default() });
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_known_ones() {
        for text in ["pictures", "webcam:0", ""] {
            let refusal = refusal(text);
            assert!(refusal.contains(&format!("`{text}` names no source")), "{refusal}");
            assert!(
                refusal.contains("dir:FOLDER, idx:IMAGES[,LABELS], stdin:gray|rgb:WIDTHxHEIGHT or synthetic:"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_key_that_stands_there_twice_is_refused() {
        for (text, key) in [("synthetic:?frames=5&frames=7", "frames"), ("camera:0?fps=30&size=2x2&fps=30", "fps")] {
            let expected = format!("the source's key `{key}` stands there twice, expected once; leave one of them out");
            assert_eq!(refusal(text), expected);
        }
    }

    #[test]
    fn raw_frames_need_a_format_and_a_size() {
        for text in
            ["stdin:", "stdin:640x480", "stdin:yuv:640x480", "stdin:rgb:640", "stdin:rgb:0x1", "stdin:rgb:1x16385"]
        {
            let refusal = refusal(text);
            assert!(refusal.contains(&format!("`{text}` names no form of frames")), "{refusal}");
        }
    }

    #[test]
    fn a_missing_path_is_named() {
        for text in ["dir:", "idx:", "idx:images,", "idx:,labels"] {
            assert!(refusal(text).contains(&format!("`{text}` names no file")));
        }
    }

    #[test]
    fn a_synthetic_uri_is_refused_with_the_key_the_value_and_what_was_expected() {
        for (text, expected) in [
            ("synthetic:28x28?sed=1", "unknown key `sed`, expected classes, channels, seed, frames or faults"),
            ("synthetic:28", "size is `28`, expected WIDTHxHEIGHT"),
            ("synthetic:28xwide", "size is `28xwide`, expected WIDTHxHEIGHT"),
            ("synthetic:0x28", "size is `0x28`, expected WIDTHxHEIGHT, each from 1 to 8192"),
            ("synthetic:28x28?classes=1", "classes is `1`, expected a number from 2 to 65536"),
            ("synthetic:28x28?channels=4", "channels is `4`, expected 1 or 3"),
            ("synthetic:28x28?seed=x", "seed is `x`, expected a whole number"),
            ("synthetic:28x28?faults=rain@1+1", "`rain@1+1` is no fault, expected KIND@FRAME+TIME"),
            ("synthetic:28x28?frames=0", "frames is `0`, expected a number of at least 1"),
            ("synthetic:3x9?classes=10", "3x9 is too small to tell 10 classes apart, expected at least 4x4"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(expected), "{text}: {refusal}");
        }
    }
}
