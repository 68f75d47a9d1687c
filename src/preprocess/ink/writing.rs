//! Which parts are the writing.

use super::parts::{Area, Part, Parts};

/// Writing is at least as long as a twentieth of the picture's shorter side; a speck is not.
const SHORTEST: usize = 20;
/// And covers at least so many percent of the rectangle around it. The outline of a sheet covers less.
const LEAST_COVER: usize = 6;
/// Further parts (the bar of a 5, a broken stroke) have at least so many percent of the main part's weight …
const LEAST_WEIGHT: u64 = 5;
/// … lie on paper at least half as bright …
const LEAST_LIGHT: u64 = 2;
/// … are not more than so many times as long (a sheet's outline is) …
const LONGEST: usize = 2;
/// … and are no farther from the rest than so many percent of its longer side.
const FARTHEST: usize = 30;

/// Marks the parts of the writing and says where it is: the heaviest part that can be writing, and what stands close to it. The
/// heaviest, not the darkest or the most central: a person holds a sheet somewhere, and what they wrote is the most ink on it.
pub(super) fn choose(parts: &mut Parts) -> Option<Area> {
    let (width, height) = (parts.width, parts.height);
    let shortest = (width.min(height) / SHORTEST).max(3);
    // What the picture's edge cuts off cannot be read, and most often is the sheet's edge, a finger, or a table.
    let inside = |area: &Area| area.left > 0 && area.top > 0 && area.right < width && area.bottom < height;
    let can_be = |part: &Part| {
        let rectangle = part.area.width() * part.area.height();
        part.area.longer_side() >= shortest && part.pixels * 100 >= rectangle * LEAST_COVER && inside(&part.area)
    };
    let main = parts.whole().filter(|part| can_be(part)).max_by_key(|part| part.weight)?;
    main.chosen = true;
    let (mut area, least) = (main.area, main.weight * LEAST_WEIGHT / 100);
    let light = main.light / main.pixels as u64 / LEAST_LIGHT;
    let belongs = |part: &Part, area: &Area| {
        let counts = part.weight >= least && part.light >= light * part.pixels as u64;
        let fits = part.area.longer_side() <= LONGEST * area.longer_side();
        counts && fits && part.area.gap(area) * 100 <= area.longer_side() * FARTHEST && inside(&part.area)
    };
    // A larger area takes all that a smaller one does: the order in which parts are added does not matter.
    loop {
        let before = area;
        for part in parts.whole().filter(|part| !part.chosen) {
            if belongs(part, &area) {
                part.chosen = true;
                area = area.with(&part.area);
            }
        }
        if area == before {
            return Some(area);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_close_to_what_is_close_belongs_to_the_writing_in_whatever_order_it_lies() {
        let (width, height) = (100, 200);
        // A stroke, and dashes above it: each is close to the one below, and the last is not.
        let areas = [(160, 190), (150, 154), (136, 140), (120, 124), (20, 24)];
        let mut dark = vec![0; width * height];
        for row in areas.into_iter().flat_map(|(top, bottom)| top..bottom) {
            dark[row * width + 40..row * width + 60].fill(100);
        }
        let mut parts = Parts::new(width, height);
        parts.find(&dark, &vec![200; width * height], 50);
        assert_eq!(choose(&mut parts), Some(Area { left: 40, top: 120, right: 60, bottom: 190 }));
        assert_eq!(parts.whole().map(|part| part.chosen).collect::<Vec<_>>(), [false, true, true, true, true]);
    }
}
