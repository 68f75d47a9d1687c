//! How much darker than its paper each pixel is, and what of it can be writing.

/// Paper darker than this (of 255) is taken to be as bright: there a share would be a share of noise.
const DARKEST_PAPER: u32 = 32;

/// One pixel in as many is the least that writing covers: of a 320×240 picture 77.
const LEAST_WRITING: usize = 1000;
/// But at least so many pixels, in small pictures.
const LEAST_PIXELS: usize = 8;

/// Writing is at least so much darker than its paper, of 255: a pencil is, paper's texture and a soft shadow are not.
const FAINTEST: u32 = 36;
/// And so many times the spread of the paper's noise, whose extremes in a picture are five times.
const ABOVE_NOISE: u32 = 8;
/// What is at least so dark, in percent of the writing, belongs to it: blurred edges do, a squared paper's lines do not.
const EDGE: u32 = 30;

/// 255 ⁄ paper as a fixed-point number with 16 bits after the point.
const SHARE: [u32; 256] = {
    let mut shares = [0; 256];
    let mut paper = 0;
    while paper < 256 {
        let light = if paper as u32 > DARKEST_PAPER { paper as u32 } else { DARKEST_PAPER };
        shares[paper] = (255 << 16) / light;
        paper += 1;
    }
    shares
};

/// Writes the share of the paper's light that is missing at each pixel, 0 to 255. `paper` is nowhere darker than `grey`.
pub(super) fn darkness(grey: &[u8], paper: &[u8], dark: &mut [u8]) {
    for (dark, (&grey, &paper)) in dark.iter_mut().zip(grey.iter().zip(paper)) {
        *dark = ((u32::from(paper.saturating_sub(grey)) * SHARE[usize::from(paper)]) >> 16) as u8;
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
    /// `None` when nothing stands out from the paper.
    pub(super) fn of(dark: &[u8]) -> Option<Self> {
        let mut counts = [0_usize; 256];
        dark.iter().for_each(|&value| counts[usize::from(value)] += 1);
        // Most of a picture is paper. Its noise is measured on the lighter side, where there is no writing.
        let paper = quantile(&counts, dark.len() / 2);
        let quartile = quantile(&counts, dark.len() / 4);
        // From a quartile to the standard deviation it is 1.48 times as far, in a normal distribution.
        let spread = ((paper - quartile) * 3).div_ceil(2).max(1);
        let least = (dark.len() / LEAST_WRITING).max(LEAST_PIXELS);
        let writing = quantile(&counts, dark.len().saturating_sub(least));
        let contrast = writing - paper;
        if contrast < FAINTEST.max(ABOVE_NOISE * spread) {
            return None;
        }
        let threshold = paper + (contrast * EDGE / 100).max(FAINTEST / 2).max(ABOVE_NOISE / 2 * spread);
        Some(Self { paper: paper as u8, threshold: threshold.min(255) as u8 })
    }
}

/// The darkness that `rank` pixels do not reach.
fn quantile(counts: &[usize; 256], rank: usize) -> u32 {
    let mut below = 0;
    let found = counts.iter().position(|count| {
        below += count;
        below > rank
    });
    found.unwrap_or(255) as u32
}
