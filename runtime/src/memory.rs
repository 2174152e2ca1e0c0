//! Regions of memory: zeroed, aligned for any vector, refused before allocation
//! when the machine could not hold them.

mod available;
mod resident;

pub use available::available_memory;
pub use resident::peak_resident;

use crate::error::{Error, Result};
use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// What every region starts at: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;

/// Large regions start at a huge page, so that the kernel can back them with such pages.
const HUGE_PAGE: usize = 2 << 20;

/// An owned, zeroed, aligned range of bytes.
///
/// Pages that nobody touches cost nothing: the memory comes zeroed from the
/// operating system, it is not cleared here.
#[derive(Debug)]
pub struct Region {
    allocation: NonNull<u8>,
    layout: Layout,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region owns its memory, as a `Box<[u8]>` does, and hands out
// references only through `&self` and `&mut self`.
unsafe impl Send for Region {}
// SAFETY: as above; shared access through `&self` only reads.
unsafe impl Sync for Region {}

impl Region {
    /// Allocates `bytes` for `what` (as in "`what` needs 3 GiB"), or says why not.
    pub fn zeroed(bytes: usize, what: &str) -> Result<Region> {
        Region::zeroed_within(bytes, what, available_memory())
    }

    /// The same where this much is available.
    pub(crate) fn zeroed_within(bytes: usize, what: &str, available: u64) -> Result<Region> {
        let too_large = || Error::TooLarge {
            what: what.to_string(),
            needed: bytes as u64,
            available,
        };
        if bytes as u64 > available {
            return Err(too_large());
        }
        let alignment = if bytes >= 2 * HUGE_PAGE {
            HUGE_PAGE
        } else {
            ALIGNMENT
        };
        // Room to align by hand: `alloc_zeroed` with a large alignment would clear
        // (and so touch) every page, with a small one it hands on fresh zero pages.
        let padded = bytes.checked_add(alignment).ok_or_else(too_large)?;
        let layout = Layout::from_size_align(padded, 16).map_err(|_| too_large())?;
        // SAFETY: `padded` is at least `alignment`, so the layout is not empty.
        let allocation =
            NonNull::new(unsafe { alloc::alloc_zeroed(layout) }).ok_or_else(too_large)?;
        let skip = allocation.as_ptr().align_offset(alignment);
        assert!(
            skip < alignment,
            "runtime: the allocator gave an odd address"
        );
        // SAFETY: `skip < alignment`, which was added to the size above.
        let start = unsafe { allocation.add(skip) };
        if alignment == HUGE_PAGE {
            ask_for_huge_pages(start, bytes);
        }
        Ok(Region {
            allocation,
            layout,
            start,
            bytes,
        })
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address `offset` bytes from the start; within the region or one past it.
    ///
    /// The pointer may be written through only while nothing borrows the region.
    pub fn address(&self, offset: usize) -> *mut u8 {
        assert!(
            offset <= self.bytes,
            "runtime: offset {offset} in a region of {} bytes",
            self.bytes
        );
        // SAFETY: in bounds, as just checked.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// `count` elements from `offset` on.
    pub fn elements<T: Element>(&self, offset: usize, count: usize) -> &[T] {
        let address = self.checked::<T>(offset, count);
        // SAFETY: `checked` holds for the range; the bytes are initialised (zeroed at
        // first) and any bits are a `T`; `&self` keeps writers away.
        unsafe { std::slice::from_raw_parts(address, count) }
    }

    /// `count` elements from `offset` on, to be written.
    pub fn elements_mut<T: Element>(&mut self, offset: usize, count: usize) -> &mut [T] {
        let address = self.checked::<T>(offset, count);
        // SAFETY: as in `elements`, and `&mut self` keeps everybody else away.
        unsafe { std::slice::from_raw_parts_mut(address, count) }
    }

    /// All bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.elements(0, self.bytes)
    }

    fn checked<T: Element>(&self, offset: usize, count: usize) -> *mut T {
        let end = count
            .checked_mul(size_of::<T>())
            .and_then(|bytes| bytes.checked_add(offset));
        assert!(
            end.is_some_and(|end| end <= self.bytes) && offset.is_multiple_of(align_of::<T>()),
            "runtime: {count} elements at offset {offset} of a region of {} bytes",
            self.bytes
        );
        self.address(offset).cast()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed_within` with this very layout, freed once.
        unsafe { alloc::dealloc(self.allocation.as_ptr(), self.layout) }
    }
}

/// Fewer faults when memory is first touched, fewer misses of the address cache ever
/// after. Where it is refused, ordinary pages do.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(start: NonNull<u8>, bytes: usize) {
    // SAFETY: advice about memory that is ours; it changes no content.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: NonNull<u8>, _: usize) {}

/// Types of which any bits are a value.
///
/// # Safety
/// No padding, no invalid bit patterns, no destructor, alignment at most [`ALIGNMENT`].
pub unsafe trait Element: Copy + Send + Sync + 'static {}
// SAFETY: a plain number.
unsafe impl Element for f32 {}
// SAFETY: a plain number.
unsafe impl Element for i32 {}
// SAFETY: a plain number.
unsafe impl Element for u8 {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn regions_are_zeroed_and_aligned() {
        for bytes in [0, 1, 63, 64, 4096, HUGE_PAGE, 5 * HUGE_PAGE + 3] {
            let region = Region::zeroed(bytes, "a test").unwrap();
            assert_eq!(region.bytes(), bytes);
            assert_eq!(region.address(0) as usize % ALIGNMENT, 0);
            assert!(region.as_bytes().iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn elements_are_what_was_written() {
        let mut region = Region::zeroed(256, "a test").unwrap();
        region
            .elements_mut::<f32>(64, 2)
            .copy_from_slice(&[1.5, -2.0]);
        region.elements_mut::<i32>(128, 1)[0] = -7;
        assert_eq!(region.elements::<f32>(64, 3), [1.5, -2.0, 0.0]);
        assert_eq!(region.elements::<i32>(128, 1), [-7]);
    }

    #[test]
    #[should_panic(expected = "65 elements at offset 0")]
    fn elements_beyond_the_end_are_a_bug() {
        Region::zeroed(256, "a test")
            .unwrap()
            .elements::<f32>(0, 65);
    }

    #[test]
    fn absurd_sizes_are_refused_with_their_bytes() {
        let error = Region::zeroed_within(3 << 30, "the training step", 1 << 30).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the training step needs 3.0 GiB, but this machine has 1.0 GiB available; \
             use a smaller batch or model"
        );
        assert!(Region::zeroed(usize::MAX, "everything").is_err());
        assert!(Region::zeroed_within(usize::MAX, "everything", u64::MAX).is_err());
    }
}
