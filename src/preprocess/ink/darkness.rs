//! How much darker than its paper each pixel is, and what of it can be writing.

/// What is darker than a quarter of the brightest surface is not paper, or so deep in the shadow that a share of its light would
/// be a share of noise.
const DARKEST_PAPER: usize = 4;
/// Nor is anything darker than this, of 255.
const LEAST_LIGHT: u8 = 32;
/// Pixels in one of the brightest: a reflection is smaller than a fiftieth of the picture, a sheet is not.
const REFLECTION: usize = 50;
/// How bright surfaces are can be told from every fourth pixel.
const SAMPLED: usize = 4;

/// One pixel in as many is the least that writing covers: of a 320×240 picture 38.
const LEAST_WRITING: usize = 2000;
/// But at least so many pixels, in small pictures.
const LEAST_PIXELS: usize = 8;

/// Writing is at least so much darker than its paper, of 255: a pencil is, paper's texture and a soft shadow are not.
const FAINTEST: u32 = 36;
/// And so many times the spread of the paper's noise, whose extremes in a picture are five times.
const ABOVE_NOISE: u32 = 8;
/// What is at least so dark, in percent of the writing, belongs to it: blurred edges do, a squared paper's lines do not.
const EDGE: u32 = 30;

/// The least light that a surface must reflect to count as paper in this picture.
pub(super) fn least_light(paper: &[u8]) -> u8 {
    let some = paper.len().div_ceil(SAMPLED);
    let brightest = quantile(&counts(paper.iter().step_by(SAMPLED)), some - 1 - some / REFLECTION);
    LEAST_LIGHT.max(brightest / DARKEST_PAPER as u8)
}

/// Writes the share of the paper's light that is missing at each pixel, 0 to 255; where there is less light than the
/// least, a share of that. `paper` is nowhere darker than `grey`.
pub(super) fn darkness(grey: &[u8], paper: &[u8], least_light: u8, dark: &mut [u8]) {
    // 255 ⁄ light as a fixed-point number with 16 bits after the point.
    let mut shares = [0_u32; 256];
    for (light, share) in (0_u32..).zip(&mut shares) {
        *share = (255 << 16) / light.max(u32::from(least_light));
    }
    for (dark, (&grey, &paper)) in dark.iter_mut().zip(grey.iter().zip(paper)) {
        *dark = ((u32::from(paper.saturating_sub(grey)) * shares[usize::from(paper)]) >> 16) as u8;
    }
}

/// What the darkness of a picture's pixels says about paper and writing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    /// Darkness of plain paper: above 0, since the paper's brightness is that of its brightest pixels.
    pub(super) paper: u8,
    /// What is at least so dark can be writing.
    pub(super) threshold: u8,
}

impl Levels {
    /// `None` when nothing stands out from the paper. Only what is bright enough to be paper is asked.
    pub(super) fn of(dark: &[u8], paper: &[u8], least_light: u8) -> Option<Self> {
        let lit = dark.iter().zip(paper).filter(|&(_, &paper)| paper >= least_light);
        let counts = counts(lit.map(|(dark, _)| dark));
        let pixels: usize = counts.iter().sum();
        // Most of it is plain. Its noise is measured on the lighter side, where there is no writing.
        let paper = u32::from(quantile(&counts, pixels / 2));
        let quartile = u32::from(quantile(&counts, pixels / 4));
        // From a quartile to the standard deviation it is 1.48 times as far, in a normal distribution.
        let spread = ((paper - quartile) * 3).div_ceil(2).max(1);
        let least = (dark.len() / LEAST_WRITING).max(LEAST_PIXELS);
        // Where hardly anything is lit, the darkest of it may lie below the middle.
        let contrast = u32::from(quantile(&counts, pixels.saturating_sub(least))).saturating_sub(paper);
        if pixels == 0 || contrast < FAINTEST.max(ABOVE_NOISE * spread) {
            return None;
        }
        let threshold = paper + (contrast * EDGE / 100).max(FAINTEST / 2).max(ABOVE_NOISE / 2 * spread);
        Some(Self { paper: paper as u8, threshold: threshold.min(255) as u8 })
    }
}

fn counts<'a>(values: impl Iterator<Item = &'a u8>) -> [usize; 256] {
    let mut counts = [0; 256];
    values.for_each(|&value| counts[usize::from(value)] += 1);
    counts
}

/// The lowest value that more than `rank` values do not exceed.
fn quantile(counts: &[usize; 256], rank: usize) -> u8 {
    let mut so_far = 0;
    let found = counts.iter().position(|count| {
        so_far += count;
        so_far > rank
    });
    found.unwrap_or(255) as u8
}
