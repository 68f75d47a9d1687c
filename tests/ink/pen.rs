//! A digit as another pen would have drawn it: the middle line of MNIST's strokes, in one width.

/// Sides of MNIST's pictures.
const MNIST: usize = 28;
/// The line is found in a picture so many times as large.
const FINER: usize = 4;
const SIDE: usize = MNIST * FINER;

/// The middle line of a digit's strokes.
pub(crate) struct Line(Vec<(f32, f32)>);

impl Line {
    /// Of a digit whose strokes are where `height`, at a position of MNIST's picture, is above a half.
    pub(crate) fn of(height: impl Fn(f32, f32) -> f32) -> Self {
        let place = |at: usize| (at as f32 + 0.5) / FINER as f32 - 0.5;
        let at = |index: usize| (place(index % SIDE), place(index / SIDE));
        let mut strokes: Vec<bool> = (0..SIDE * SIDE).map(|index| height(at(index).0, at(index).1) > 0.5).collect();
        while peel(&mut strokes, true) | peel(&mut strokes, false) {}
        Self((0..SIDE * SIDE).filter(|&index| strokes[index]).map(at).collect())
    }

    /// From a position of MNIST's picture to the nearest of the line's.
    pub(crate) fn distance(&self, x: f32, y: f32) -> f32 {
        self.0.iter().map(|&(left, top)| (x - left).powi(2) + (y - top).powi(2)).fold(f32::INFINITY, f32::min).sqrt()
    }
}

/// Half a turn of Zhang and Suen's thinning (Communications of the ACM, 1984); whether anything was removed.
fn peel(strokes: &mut [bool], first: bool) -> bool {
    let removed: Vec<usize> =
        (SIDE..SIDE * (SIDE - 1)).filter(|&at| strokes[at] && is_skin(strokes, at, first)).collect();
    removed.iter().for_each(|&at| strokes[at] = false);
    !removed.is_empty()
}

fn is_skin(strokes: &[bool], at: usize, first: bool) -> bool {
    // Clockwise from above.
    let around = [at - SIDE, at - SIDE + 1, at + 1, at + SIDE + 1, at + SIDE, at + SIDE - 1, at - 1, at - SIDE - 1]
        .map(|at| strokes[at]);
    let ink = around.iter().filter(|&&ink| ink).count();
    let begins = (0..8).filter(|&turn| !around[turn] && around[(turn + 1) % 8]).count();
    let [above, _, right, _, below, _, left, _] = around;
    let open = match first {
        true => !(right && below && (above || left)),
        false => !(above && left && (right || below)),
    };
    (2..=6).contains(&ink) && begins == 1 && open
}
