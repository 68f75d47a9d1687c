//! Connected dark pixels, found in one pass over the rows: runs of dark pixels, joined to the runs they touch above
//! (also at a corner).

/// Dark pixels side by side in one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) start: usize,
    /// Behind the last.
    pub(super) end: usize,
    part: usize,
}

/// A rectangle of pixels; `right` and `bottom` lie behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

impl Area {
    pub(super) fn width(&self) -> usize {
        self.right - self.left
    }

    pub(super) fn height(&self) -> usize {
        self.bottom - self.top
    }

    pub(super) fn longer_side(&self) -> usize {
        self.width().max(self.height())
    }

    pub(super) fn with(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Pixels between the two, in the direction in which there are more; 0 when they overlap.
    pub(super) fn gap(&self, other: &Self) -> usize {
        let across = self.left.max(other.left).saturating_sub(self.right.min(other.right));
        let down = self.top.max(other.top).saturating_sub(self.bottom.min(other.bottom));
        across.max(down)
    }
}

/// Pixels that hang together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Itself, or the part that it turned out to belong to.
    parent: usize,
    pub(super) area: Area,
    pub(super) pixels: usize,
    /// Of all pixels: darkness, times the square of the paper's brightness. The light that is missing counts, and more so on bright
    /// surfaces: these are likelier paper.
    pub(super) weight: u64,
    /// Of all pixels: brightness of the paper.
    pub(super) light: u64,
    /// Whether it belongs to the writing.
    pub(super) chosen: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) width: usize,
    pub(super) height: usize,
    runs: Vec<Run>,
    parts: Vec<Part>,
}

impl Parts {
    /// With room for the worst picture, so that none allocates.
    pub(super) fn new(width: usize, height: usize) -> Self {
        // A part begins at most once in each 2×2 pixels, a run at every second pixel.
        let (runs, parts) = (width.div_ceil(2) * height, width.div_ceil(2) * height.div_ceil(2));
        Self { width, height, runs: Vec::with_capacity(runs), parts: Vec::with_capacity(parts) }
    }

    /// Finds the parts of all pixels that are at least as dark as the threshold.
    pub(super) fn find(&mut self, dark: &[u8], paper: &[u8], threshold: u8) {
        self.runs.clear();
        self.parts.clear();
        let mut above = 0..0;
        for (row, (dark, paper)) in dark.chunks_exact(self.width).zip(paper.chunks_exact(self.width)).enumerate() {
            let first = self.runs.len();
            let mut end = 0;
            while let Some(skipped) = dark[end..].iter().position(|&value| value >= threshold) {
                let start = end + skipped;
                let length = dark[start..].iter().position(|&value| value < threshold);
                end = length.map_or(dark.len(), |length| start + length);
                let light = dark[start..end].iter().zip(&paper[start..end]);
                let (weight, light) = light.fold((0, 0), |(weight, light), (&dark, &paper)| {
                    let paper = u64::from(paper);
                    (weight + u64::from(dark) * paper * paper, light + paper)
                });
                let part = self.join(above.clone(), (row, start, end), (weight, light));
                self.runs.push(Run { row, start, end, part });
                // Runs above that end before this one cannot touch the next one either.
                while above.start < above.end && self.runs[above.start].end < end {
                    above.start += 1;
                }
            }
            above = first..self.runs.len();
        }
    }

    /// The part of a new run: that of the runs it touches above, which become one, or a new part.
    fn join(
        &mut self,
        above: std::ops::Range<usize>,
        (row, start, end): (usize, usize, usize),
        (weight, light): (u64, u64),
    ) -> usize {
        let area = Area { left: start, top: row, right: end, bottom: row + 1 };
        let new = Part { parent: self.parts.len(), area, pixels: end - start, weight, light, chosen: false };
        let mut part = None;
        for index in above {
            let run = self.runs[index];
            if run.start > end {
                break;
            }
            if run.end >= start {
                let root = self.root(run.part);
                part = Some(part.map_or(root, |part| self.unite(part, root)));
            }
        }
        match part {
            Some(part) => self.add(part, &new),
            None => self.parts.push(new),
        }
        part.unwrap_or(new.parent)
    }

    fn unite(&mut self, one: usize, other: usize) -> usize {
        if one != other {
            self.parts[other].parent = one;
            let other = self.parts[other];
            self.add(one, &other);
        }
        one
    }

    fn add(&mut self, part: usize, more: &Part) {
        let part = &mut self.parts[part];
        part.area = part.area.with(&more.area);
        part.pixels += more.pixels;
        part.weight += more.weight;
        part.light += more.light;
    }

    /// What a part belongs to in the end; halves the way there for the next time.
    fn root(&mut self, mut part: usize) -> usize {
        while self.parts[part].parent != part {
            let parent = self.parts[part].parent;
            self.parts[part].parent = self.parts[parent].parent;
            part = parent;
        }
        part
    }

    /// Every whole part.
    pub(super) fn whole(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut().enumerate().filter(|(index, part)| part.parent == *index).map(|(_, part)| part)
    }

    /// The runs of the chosen parts, from top to bottom.
    pub(super) fn chosen(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| {
            let mut part = run.part;
            while self.parts[part].parent != part {
                part = self.parts[part].parent;
            }
            self.parts[part].chosen
        })
    }
}
