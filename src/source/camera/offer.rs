//! What a camera can do, and which of it to take.

use std::fmt;

use super::error::CameraError;
use super::spec::{CameraFormat, CameraSpec, Rate};
use crate::frame::PixelFormat;

/// What is taken unless something else is asked for: enough for any of today's small classifiers, and cheap.
const USUAL_SIZE: (u32, u32) = (640, 480);
const USUAL_RATE: Rate = Rate { millihertz: 30_000 };

/// The time between two frames, in seconds, as drivers have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Above the line.
    pub numerator: u32,
    /// Below the line.
    pub denominator: u32,
}

impl Interval {
    /// Frames a second.
    #[must_use]
    pub fn rate(self) -> Rate {
        let millihertz = u64::from(self.denominator) * 1000 / u64::from(self.numerator.max(1));
        Rate { millihertz: u32::try_from(millihertz).unwrap_or(u32::MAX) }
    }
}

/// One format and size of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// How it sends pictures.
    pub format: CameraFormat,
    /// Columns and rows.
    pub size: (u32, u32),
    /// At which rates it can; empty when the driver does not say.
    pub intervals: Vec<Interval>,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size;
        write!(f, "{} {width}x{height}", self.format)?;
        let mut rates: Vec<Rate> = self.intervals.iter().map(|interval| interval.rate()).collect();
        rates.sort();
        rates.dedup();
        match rates.iter().map(Rate::to_string).collect::<Vec<_>>() {
            rates if rates.is_empty() => Ok(()),
            rates => write!(f, " at {} frames/s", rates.join(", ")),
        }
    }
}

/// The intervals that a driver offers by its limits: the wanted one, the usual one and the limits themselves.
pub(super) fn intervals(wanted: Option<Rate>, shortest: Interval, longest: Interval) -> Vec<Interval> {
    let between = |rate: Rate| {
        let possible = (longest.rate()..=shortest.rate()).contains(&rate);
        possible.then_some(Interval { numerator: 1000, denominator: rate.millihertz })
    };
    let all = [Some(longest), between(USUAL_RATE), wanted.and_then(between), Some(shortest)];
    let mut intervals: Vec<Interval> = all.into_iter().flatten().collect();
    intervals.sort_by_key(|interval| interval.rate());
    intervals.dedup_by_key(|interval| interval.rate());
    intervals
}

/// The sizes that a driver offers by its limits: the wanted one, the usual one and the limits themselves.
pub(super) fn sizes(wanted: Option<(u32, u32)>, width: (u32, u32, u32), height: (u32, u32, u32)) -> Vec<(u32, u32)> {
    let pick = |size: (u32, u32)| {
        let on_step = |value: u32, (low, high, step): (u32, u32, u32)| {
            low + (value.clamp(low, high) - low) / step.max(1) * step.max(1)
        };
        (on_step(size.0, width), on_step(size.1, height))
    };
    let mut sizes =
        vec![(width.0, height.0), pick(wanted.unwrap_or(USUAL_SIZE)), pick(USUAL_SIZE), (width.1, height.1)];
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) format: CameraFormat,
    pub(super) size: (u32, u32),
    /// `None` when the driver does not say at which rates it can.
    pub(super) interval: Option<Interval>,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size;
        write!(f, "{} {width}x{height}", self.format)?;
        self.interval.map_or(Ok(()), |interval| write!(f, " at {} frames/s", interval.rate()))
    }
}

/// The best of `offers` that is exactly what `spec` asks for: the size nearest to the usual one, then the rate, then
/// the format that is cheapest to make `pixels` of.
pub(super) fn choose(
    camera: &str,
    offers: &[Offer],
    spec: &CameraSpec,
    pixels: PixelFormat,
) -> Result<Mode, CameraError> {
    let fits = |mode: &Mode| {
        spec.format.is_none_or(|format| format == mode.format)
            && spec.size.is_none_or(|size| size == mode.size)
            && spec.rate.is_none_or(|rate| mode.interval.is_some_and(|interval| interval.rate().is_about(rate)))
    };
    let modes = offers.iter().flat_map(modes).filter(fits);
    modes.min_by_key(|mode| cost(mode, spec.rate.unwrap_or(USUAL_RATE), pixels)).ok_or_else(|| {
        CameraError::NotOffered {
            camera: camera.into(),
            asked: asked(spec),
            offers: offers.iter().map(|offer| format!("\n  {offer}")).collect(),
        }
    })
}

fn modes(offer: &Offer) -> impl Iterator<Item = Mode> {
    let mode = |interval| Mode { format: offer.format, size: offer.size, interval };
    let unknown = offer.intervals.is_empty().then(|| mode(None));
    offer.intervals.iter().map(move |interval| mode(Some(*interval))).chain(unknown)
}

/// Smaller is better, the first difference decides. Too small a picture is worse than too large a one.
fn cost(mode: &Mode, rate: Rate, pixels: PixelFormat) -> (bool, u64, u32, usize) {
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let too_small = mode.size.0 < USUAL_SIZE.0 || mode.size.1 < USUAL_SIZE.1;
    let off_size = area(mode.size).abs_diff(area(USUAL_SIZE));
    let off_rate = mode.interval.map_or(0, |interval| interval.rate().millihertz.abs_diff(rate.millihertz));
    // A tenth of a frame a second is no reason to choose another format.
    (too_small, off_size, off_rate / 100, effort(mode.format, pixels))
}

fn effort(format: CameraFormat, pixels: PixelFormat) -> usize {
    let order = match pixels {
        PixelFormat::Gray8 => [CameraFormat::Grey, CameraFormat::Yuyv, CameraFormat::Mjpeg],
        PixelFormat::Rgb8 => [CameraFormat::Yuyv, CameraFormat::Mjpeg, CameraFormat::Grey],
    };
    order.iter().position(|one| *one == format).unwrap_or(order.len())
}

fn asked(spec: &CameraSpec) -> String {
    let words = [
        spec.format.map(|format| format.to_string()),
        spec.size.map(|(width, height)| format!("{width}x{height}")),
        spec.rate.map(|rate| format!("at {rate} frames/s")),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(format: CameraFormat, size: (u32, u32), rates: &[u32]) -> Offer {
        let intervals = rates.iter().map(|&denominator| Interval { numerator: 1, denominator }).collect();
        Offer { format, size, intervals }
    }

    /// As a common webcam has it: large pictures only slowly unless compressed.
    fn webcam() -> Vec<Offer> {
        vec![
            offer(CameraFormat::Yuyv, (320, 240), &[30, 15]),
            offer(CameraFormat::Yuyv, (640, 480), &[15, 30]),
            offer(CameraFormat::Yuyv, (1280, 720), &[10]),
            offer(CameraFormat::Mjpeg, (640, 480), &[60, 30]),
            offer(CameraFormat::Mjpeg, (1280, 720), &[30]),
        ]
    }

    fn chosen(text: &str, offers: &[Offer], pixels: PixelFormat) -> Result<String, String> {
        let spec = CameraSpec::parse(text).unwrap();
        choose("camera 0", offers, &spec, pixels).map(|mode| mode.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_asked_for_is_taken_exactly_and_the_rest_is_the_usual() {
        for (text, expected) in [
            ("0", "yuyv 640x480 at 30 frames/s"),
            ("0?fps=60", "mjpeg 640x480 at 60 frames/s"),
            ("0?size=320x240", "yuyv 320x240 at 30 frames/s"),
            ("0?size=1280x720", "mjpeg 1280x720 at 30 frames/s"),
            ("0?size=1280x720&format=yuyv", "yuyv 1280x720 at 10 frames/s"),
            ("0?format=mjpeg", "mjpeg 640x480 at 30 frames/s"),
            ("0?fps=10", "yuyv 1280x720 at 10 frames/s"),
        ] {
            assert_eq!(chosen(text, &webcam(), PixelFormat::Gray8).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_grey_camera_is_first_choice_for_grey_and_the_last_for_colour() {
        let offers = [
            offer(CameraFormat::Mjpeg, (640, 480), &[30]),
            offer(CameraFormat::Grey, (640, 480), &[30]),
            offer(CameraFormat::Yuyv, (640, 480), &[30]),
        ];
        assert_eq!(chosen("0", &offers, PixelFormat::Gray8).unwrap(), "grey 640x480 at 30 frames/s");
        assert_eq!(chosen("0", &offers, PixelFormat::Rgb8).unwrap(), "yuyv 640x480 at 30 frames/s");
    }

    #[test]
    fn without_the_usual_size_the_next_larger_one_is_taken() {
        let offers = [
            offer(CameraFormat::Yuyv, (320, 180), &[30]),
            offer(CameraFormat::Yuyv, (1920, 1080), &[30]),
            offer(CameraFormat::Yuyv, (1280, 720), &[30]),
        ];
        assert_eq!(chosen("0", &offers, PixelFormat::Rgb8).unwrap(), "yuyv 1280x720 at 30 frames/s");
        assert_eq!(chosen("0", &offers[..1], PixelFormat::Rgb8).unwrap(), "yuyv 320x180 at 30 frames/s");
    }

    #[test]
    fn ntscs_rate_is_what_thirty_means_and_an_unknown_rate_fits_only_when_none_is_asked_for() {
        let mut offers = [offer(CameraFormat::Yuyv, (640, 480), &[])];
        offers[0].intervals = vec![Interval { numerator: 1001, denominator: 30_000 }];
        assert_eq!(chosen("0?fps=30", &offers, PixelFormat::Rgb8).unwrap(), "yuyv 640x480 at 29.97 frames/s");
        offers[0].intervals.clear();
        assert_eq!(chosen("0", &offers, PixelFormat::Rgb8).unwrap(), "yuyv 640x480");
        assert!(chosen("0?fps=30", &offers, PixelFormat::Rgb8).is_err());
    }

    #[test]
    fn what_is_not_offered_is_answered_with_what_is() {
        let text = chosen("0?size=640x480&fps=99&format=grey", &webcam(), PixelFormat::Rgb8).unwrap_err();
        assert!(
            text.starts_with("camera 0: the camera has no grey 640x480 at 99 frames/s, expected one of\n"),
            "{text}"
        );
        assert!(text.contains("\n  yuyv 640x480 at 15, 30 frames/s\n"), "{text}");
        assert!(text.ends_with("choose with `size`, `fps` and `format`"), "{text}");
    }

    #[test]
    fn of_sizes_offered_by_their_limits_the_wanted_one_is_looked_at() {
        let limits = ((16, 1920, 8), (16, 1080, 2));
        let wanted = Some((648, 480));
        assert_eq!(sizes(wanted, limits.0, limits.1), [(16, 16), (640, 480), (648, 480), (1920, 1080)]);
        assert_eq!(sizes(Some((650, 480)), limits.0, limits.1)[2], (648, 480), "650 is on no step");
        let interval = |denominator| Interval { numerator: 1, denominator };
        let rates = intervals(Rate::new(25.0), interval(60), interval(1));
        assert_eq!(rates.iter().map(|one| one.rate().to_string()).collect::<Vec<_>>(), ["1", "25", "30", "60"]);
    }
}
