//! How much of the cache a tile touches.

use super::LinearPlace;
use crate::index::Dim;

/// Bytes of a line of the cache.
pub(super) const LINE: usize = 64;

/// How many lines lie along a walk at a place: over each dimension so many indices.
pub(super) fn lines(place: &LinearPlace, walk: impl IntoIterator<Item = (Dim, usize)>) -> usize {
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
    // From the smallest step to the largest: what touches or overlaps grows, the rest repeats.
    let (mut span, mut spans) = (1, 1);
    for (stride, count) in steps {
        if stride <= usize::next_multiple_of(span, LINE) {
            span += stride * (count - 1);
        } else {
            spans *= count;
        }
    }
    span.div_ceil(LINE) * spans
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
}
