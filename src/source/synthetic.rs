//! `synthetic:WxH?classes=K&channels=C&seed=S&frames=N`: pictures that are known in advance, with their labels.
//!
//! A picture of class k is dark seeded noise (0–63) with one bright field (192–255): the picture is cut into
//! the smallest square grid with at least K fields, counted row by row, and field k is the bright one. So the
//! right answer can be told from the pixels, and the same seed gives the same pictures everywhere.

use super::SourceError;
use super::faults::{Fault, FaultKind};
use super::paced::{Picture, Pictures};
use super::uri::{SourceUriError, pairs, sides};
use crate::frame::PixelFormat;

/// The longest side of a synthetic picture.
const MAX_SIDE: u16 = 8192;
/// The most classes.
const MAX_CLASSES: usize = 1 << 16;

/// What to draw: the parsed form of the URI's part after `synthetic:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synthetic {
    /// Columns. 28 unless told.
    pub width: usize,
    /// Rows. 28 unless told.
    pub height: usize,
    /// Grey (`channels=1`, unless told) or RGB (`channels=3`).
    pub format: PixelFormat,
    /// Number of classes. 10 unless told.
    pub classes: usize,
    /// Decides labels and noise. 0 unless told.
    pub seed: u64,
    /// How many frames there are; without end unless told.
    pub frames: Option<u64>,
    /// What goes wrong. With any fault the source is a camera at 30 frames a second, unless told another rate.
    pub faults: Vec<Fault>,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            width: 28,
            height: 28,
            format: PixelFormat::Gray8,
            classes: 10,
            seed: 0,
            frames: None,
            faults: Vec::new(),
        }
    }
}

impl Synthetic {
    /// Reads what stands after `synthetic:`; nothing at all means the defaults.
    pub(super) fn parse(text: &str) -> Result<Self, SourceUriError> {
        let mut parsed = Self::default();
        let (size, query) = text.split_once('?').unwrap_or((text, ""));
        if !size.is_empty() {
            (parsed.width, parsed.height) = sides(size, MAX_SIDE).ok_or_else(|| value("size", size, SIZE))?;
        }
        for (key, text) in pairs(query)? {
            parsed.set(key, text)?;
        }
        parsed.check()
    }

    fn set(&mut self, key: &str, text: &str) -> Result<(), SourceUriError> {
        match key {
            "classes" => self.classes = number("classes", text, CLASSES)?,
            "channels" => {
                self.format = match text {
                    "1" => PixelFormat::Gray8,
                    "3" => PixelFormat::Rgb8,
                    _ => return Err(value("channels", text, "1 or 3")),
                }
            }
            "seed" => self.seed = number("seed", text, "a whole number")?,
            "faults" => self.faults = text.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "frames" => self.frames = Some(number("frames", text, FRAMES)?),
            _ => return Err(SourceUriError::UnknownKey { kind: KIND, key: key.into(), expected: KEYS }),
        }
        Ok(())
    }

    /// The same pictures, twice as wide and high.
    pub(super) fn twice_as_large(&self) -> Self {
        Self { width: self.width * 2, height: self.height * 2, ..self.clone() }
    }

    /// The faults that are the purifier's.
    #[must_use]
    pub fn slow(&self) -> Vec<Fault> {
        self.faults.iter().filter(|fault| fault.kind == FaultKind::Slow).copied().collect()
    }

    fn check(self) -> Result<Self, SourceUriError> {
        let Self { width, height, classes, frames, .. } = &self;
        if !(2..=MAX_CLASSES).contains(classes) {
            return Err(value("classes", &classes.to_string(), CLASSES));
        }
        let grid = grid(*classes);
        if *width < grid || *height < grid {
            return Err(SourceUriError::TooSmall { width: *width, height: *height, classes: *classes, side: grid });
        }
        if *frames == Some(0) {
            return Err(value("frames", "0", FRAMES));
        }
        Ok(self)
    }
}

/// What it is called in errors.
const KIND: &str = "synthetic source";
const KEYS: &str = "classes, channels, seed, frames or faults";
const SIZE: &str = "WIDTHxHEIGHT, each from 1 to 8192";
const CLASSES: &str = "a number from 2 to 65536";
const FRAMES: &str = "a number of at least 1";

fn number<N: std::str::FromStr>(key: &'static str, text: &str, expected: &'static str) -> Result<N, SourceUriError> {
    text.parse().map_err(|_| value(key, text, expected))
}

fn value(key: &'static str, got: &str, expected: &'static str) -> SourceUriError {
    SourceUriError::Value { kind: KIND, key, got: got.into(), expected }
}

/// Fields along each side of the smallest square grid that has one for each class.
fn grid(classes: usize) -> usize {
    (1..).find(|side| side * side >= classes).expect("some square is large enough")
}

/// Draws the pictures.
pub(super) struct Generator {
    spec: Synthetic,
}

impl Generator {
    pub(super) fn new(spec: &Synthetic, classes: Option<&[String]>) -> Result<Self, SourceError> {
        match classes {
            Some(names) if names.len() != spec.classes => {
                Err(SourceError::SyntheticClasses { expected: names.len(), got: spec.classes })
            }
            _ => Ok(Self { spec: spec.clone() }),
        }
    }

    fn draw(&self, label: usize, mut noise: SplitMix, pixels: &mut Vec<u8>) {
        let Synthetic { width, height, format, classes, .. } = self.spec;
        let grid = grid(classes);
        let (bright_row, bright_column) = (label / grid, label % grid);
        pixels.clear();
        for y in 0..height {
            for x in 0..width {
                let bright = y * grid / height == bright_row && x * grid / width == bright_column;
                let base = if bright { 192 } else { 0 };
                let bytes = noise.next().to_le_bytes();
                pixels.extend(bytes[..format.channels()].iter().map(|byte| base + byte % 64));
            }
        }
    }
}

impl Pictures for Generator {
    fn len(&self) -> Option<u64> {
        self.spec.frames
    }

    fn read(&mut self, index: u64, pixels: &mut Vec<u8>) -> Result<Picture, SourceError> {
        let Synthetic { width, height, format, classes, seed, .. } = self.spec;
        let mut noise = SplitMix(SplitMix(seed).next() ^ index);
        let label = usize::try_from(noise.next() % classes as u64).expect("it is below the number of classes");
        self.draw(label, noise, pixels);
        Ok(Picture { width, height, format, label: Some(label) })
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and two multiplications for 64 well-mixed bits.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // First outputs for seed 1234567 of the reference implementation.
        let mut reference = SplitMix(1_234_567);
        assert_eq!([reference.next(), reference.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn the_bright_field_tells_the_label() {
        let spec = Synthetic { format: PixelFormat::Rgb8, classes: 7, ..Synthetic::default() };
        let mut generator = Generator::new(&spec, None).unwrap();
        let mut pixels = Vec::new();
        for index in 0..50 {
            let label = generator.read(index, &mut pixels).unwrap().label.unwrap();
            let brightest = pixels.iter().position(|&value| value >= 192).unwrap() / 3;
            let (x, y) = (brightest % 28, brightest / 28);
            assert_eq!(y * 3 / 28 * 3 + x * 3 / 28, label);
        }
    }

    #[test]
    fn the_seed_decides_pictures_and_labels() {
        let draw = |seed| {
            let mut generator = Generator::new(&Synthetic { seed, ..Synthetic::default() }, None).unwrap();
            let mut pixels = Vec::new();
            (0..20).map(|index| (generator.read(index, &mut pixels).unwrap().label, pixels.clone())).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
