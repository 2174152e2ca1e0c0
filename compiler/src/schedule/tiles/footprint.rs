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
    /// How many times as much of a cache they take up as lines side by side: steps by a power of
    /// two come to few of its sets only.
    pub crowding: usize,
}

/// What lies along a walk at a place: over each dimension so many indices.
pub(super) fn footprint(
    place: &LinearPlace,
    walk: impl IntoIterator<Item = (Dim, usize)>,
) -> Footprint {
    let lines = Touched::by(&steps(place, walk));
    // Of so many sets in a row those of one span are met; steps that are no whole lines meet all.
    let sets = match lines.apart {
        0 => 1,
        apart => (1 << apart.trailing_zeros()).clamp(LINE, MOST_CROWDED) / LINE,
    };
    Footprint {
        lines: lines.together * lines.spans,
        crowding: (sets / lines.together).max(1),
    }
}

/// How many lines lie along a walk at a place: over each dimension so many indices.
pub(super) fn lines(place: &LinearPlace, walk: impl IntoIterator<Item = (Dim, usize)>) -> usize {
    let lines = Touched::by(&steps(place, walk));
    lines.together * lines.spans
}

/// A cache has no more sets than lie in so many bytes.
const MOST_CROWDED: usize = 64 << 10;

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

/// The lines that steps touch.
struct Touched {
    /// Lines side by side.
    together: usize,
    /// How often such a span occurs.
    spans: usize,
    /// Of the strides between spans, all bits.
    apart: usize,
}

impl Touched {
    /// What touches or overlaps grows, the rest repeats.
    fn by(steps: &[(usize, usize)]) -> Touched {
        let (mut span, mut spans, mut apart) = (1, 1, 0);
        for &(stride, count) in steps {
            if stride <= usize::next_multiple_of(span, LINE) {
                span += stride * (count - 1);
            } else {
                spans *= count;
                apart |= stride;
            }
        }
        Touched {
            together: span.div_ceil(LINE),
            spans,
            apart,
        }
    }
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
        let expected = Footprint {
            lines: 288,
            crowding: 32,
        };
        assert_eq!(footprint(&far, walk), expected);
        let packed = place(&[16 * 4, 4]);
        assert_eq!(footprint(&packed, walk).crowding, 1);
        // An odd number of lines meets every set.
        let odd = place(&[49 * 64, 4]);
        assert_eq!(footprint(&odd, walk).crowding, 1);
        // Two lines of each row meet twice as many as one.
        assert_eq!(footprint(&far, [(0, 288), (1, 32)]).crowding, 16);
    }
}
