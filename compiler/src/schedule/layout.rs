//! How a tensor's elements lie in memory.

/// An order of axes, zero borders, and the strides that follow.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Layout {
    /// Extent of each logical axis.
    pub extents: Vec<usize>,
    /// Logical axes from outermost to innermost in memory.
    pub order: Vec<usize>,
    /// Elements of zero border before and after, per logical axis: what a padded
    /// convolution reads beyond the edge. Nothing ever writes there.
    pub border: Vec<(usize, usize)>,
    /// Distance between neighbours, in elements, per logical axis.
    pub strides: Vec<usize>,
    /// Elements from the start of the memory to the element at index 0 of every axis.
    pub base: usize,
    /// Elements of memory, borders included.
    pub elements: usize,
}

impl Layout {
    /// A layout with the given order of axes and borders.
    pub fn new(extents: Vec<usize>, order: Vec<usize>, border: Vec<(usize, usize)>) -> Layout {
        let mut strides = vec![0; extents.len()];
        let mut elements = 1;
        for &axis in order.iter().rev() {
            strides[axis] = elements;
            elements *= border[axis].0 + extents[axis] + border[axis].1;
        }
        let base = strides
            .iter()
            .zip(&border)
            .map(|(stride, border)| stride * border.0)
            .sum();
        Layout {
            extents,
            order,
            border,
            strides,
            base,
            elements,
        }
    }

    /// Row-major without borders.
    pub fn row_major(extents: Vec<usize>) -> Layout {
        let rank = extents.len();
        Layout::new(extents, (0..rank).collect(), vec![(0, 0); rank])
    }
}
