//! How much of the cache a tile touches.

use super::LinearPlace;
use crate::index::Dim;

/// Bytes of a line of the cache.
pub(super) const LINE: usize = 64;

/// What a walk touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Footprint {
    /// How many lines.
    pub lines: usize,
    /// How many of them lie side by side.
    together: usize,
    /// The largest power of two that all steps between those are multiples of.
    apart: usize,
}

impl Footprint {
    /// How many times as much of a cache the lines take up as lines side by side, if addresses so
    /// far from each other as `period` share a set: steps by a power of two come to few sets only.
    pub fn crowding(&self, period: usize) -> usize {
        // Of so many sets in a row those of one span are met; steps that are no whole lines meet all.
        let sets = self.apart.clamp(LINE, period) / LINE;
        (sets / self.together).max(1)
    }

    /// So many lines side by side would take up as much.
    pub fn taken(&self, period: usize) -> usize {
        self.lines * self.crowding(period)
    }
}

/// How far apart addresses of one set are in the first-level and the second-level cache: the size
/// of one way of them.
pub(super) const L1_PERIOD: usize = 4 << 10;
pub(super) const L2_PERIOD: usize = 64 << 10;

/// What lies along a walk at a place: over each dimension so many indices.
pub(super) fn footprint(
    place: &LinearPlace,
    walk: impl IntoIterator<Item = (Dim, usize)>,
) -> Footprint {
    // From the smallest step to the largest: what touches or overlaps grows, the rest repeats.
    let (mut span, mut spans, mut apart) = (1, 1, 0);
    for (stride, count) in steps(place, walk) {
        if stride <= usize::next_multiple_of(span, LINE) {
            span += stride * (count - 1);
        } else {
            spans *= count;
            apart |= stride;
        }
    }
    let together = span.div_ceil(LINE);
    Footprint {
        lines: together * spans,
        together,
        apart: if apart == 0 {
            LINE
        } else {
            1 << apart.trailing_zeros()
        },
    }
}

/// How many lines lie along a walk at a place: over each dimension so many indices.
pub(super) fn lines(place: &LinearPlace, walk: impl IntoIterator<Item = (Dim, usize)>) -> usize {
    footprint(place, walk).lines
}

/// The strides of a walk and how often each is taken, from the smallest to the largest.
fn steps(place: &LinearPlace, walk: impl IntoIterator<Item = (Dim, usize)>) -> Vec<(usize, usize)> {
    let walk = walk.into_iter();
    let mut steps: Vec<(usize, usize)> = walk
        .map(|(dim, count)| (place.strides[dim].unsigned_abs() as usize, count))
        .filter(|&(stride, count)| stride > 0 && count > 1)
        .collect();
    steps.sort_unstable();
    // Windows side by side: what one step passes over the next one may have passed as well.
    steps.dedup_by(|(stride, count), (same, counts)| {
        let is_same = stride == same;
        *counts += if is_same { *count - 1 } else { 0 };
        is_same
    });
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tiles::Element;

    fn place(strides: &[i64]) -> LinearPlace {
        LinearPlace {
            element: Element::F32(0),
            base: 0,
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn windows_overlap_and_images_lie_apart() {
        // Three by three taps of 16 channels, over rows of 30 pixels of an image.
        let taps = [(0, 3), (1, 3), (2, 16)];
        let pixels = place(&[30 * 64, 64, 4, 64]);
        assert_eq!(lines(&pixels, taps.into_iter().chain([(3, 1)])), 9);
        assert_eq!(lines(&pixels, taps.into_iter().chain([(3, 10)])), 3 * 12);
        let apart = place(&[31 * 64, 2 * 64, 4, 2 * 64]);
        assert_eq!(lines(&apart, taps.into_iter().chain([(3, 10)])), 3 * 12);
        let images = place(&[30 * 64, 64, 4, 900 * 64]);
        assert_eq!(lines(&images, taps.into_iter().chain([(3, 10)])), 10 * 9);
    }

    #[test]
    fn steps_by_a_power_of_two_crowd_a_cache() {
        // A panel of 16 columns in rows of 512, and of rows that lie side by side.
        let far = place(&[512 * 4, 4]);
        let walk = [(0, 288), (1, 16)];
        let panel = footprint(&far, walk);
        assert_eq!((panel.lines, panel.crowding(L2_PERIOD)), (288, 32));
        let packed = footprint(&place(&[16 * 4, 4]), walk);
        assert_eq!(packed.crowding(L2_PERIOD), 1);
        // An odd number of lines meets every set.
        let odd = footprint(&place(&[49 * 64, 4]), walk);
        assert_eq!(odd.crowding(L2_PERIOD), 1);
        // Two lines of each row meet twice as many as one.
        let wide = footprint(&far, [(0, 288), (1, 32)]);
        assert_eq!(wide.crowding(L2_PERIOD), 16);
        // Whatever is a multiple of a way apart meets one set, and no fewer.
        let farther = footprint(&place(&[8192, 4]), [(0, 6)]);
        assert_eq!(farther.taken(L1_PERIOD), 6 * 64);
    }
}
