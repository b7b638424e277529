//! Owned f32 memory: zeroed, aligned to a cache line, on huge pages where it is large.
//!
//! Weight gradients stream tens of megabytes per step; on 4 KiB pages a third of their speed goes into page walks
//! (doc/performance.md). Buffers of 2 MiB and more are therefore mapped at a 2 MiB border and `MADV_HUGEPAGE` is asked
//! for; where the system refuses, plain pages serve.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The memory asked for is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("out of memory: {bytes} bytes more were asked for; use a smaller batch, sequence, model, or machine with more")]
pub struct OutOfMemory {
    /// What was asked for, in bytes.
    pub bytes: usize,
}

const HUGE: usize = 2 << 20;
const LINE: usize = align_of::<Line>();

/// A cache line, for its alignment.
#[repr(align(64))]
struct Line;

/// A fixed number of f32, zero at first, at a 64-byte border.
#[derive(Debug)]
pub struct Buffer {
    data: NonNull<f32>,
    len: usize,
    /// The mapping that holds it, where there is one: (address, bytes).
    mapped: Option<(NonNull<u8>, usize)>,
}

// SAFETY: a Buffer owns its memory as a Vec does.
unsafe impl Send for Buffer {}
// SAFETY: shared access is by `&[f32]` only, or by raw pointers whose users make their own argument.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zeros. Errors: the memory is not to be had.
    pub fn zeroed(len: usize) -> Result<Self, OutOfMemory> {
        let bytes = len.checked_mul(4).ok_or(OutOfMemory { bytes: usize::MAX })?;
        if bytes == 0 {
            return Ok(Self { data: NonNull::<Line>::dangling().cast(), len: 0, mapped: None });
        }
        if bytes >= HUGE
            && let Some(buffer) = Self::mapped(len, bytes)
        {
            return Ok(buffer);
        }
        let layout = Self::layout(bytes)?;
        // SAFETY: the layout has a size that is not zero.
        let data = unsafe { std::alloc::alloc_zeroed(layout) };
        let data = NonNull::new(data.cast::<f32>()).ok_or(OutOfMemory { bytes })?;
        Ok(Self { data, len, mapped: None })
    }

    fn layout(bytes: usize) -> Result<std::alloc::Layout, OutOfMemory> {
        std::alloc::Layout::from_size_align(bytes, LINE).map_err(|_| OutOfMemory { bytes })
    }

    #[cfg(target_os = "linux")]
    fn mapped(len: usize, bytes: usize) -> Option<Self> {
        let size = bytes.checked_add(HUGE)?;
        // SAFETY: a fresh private anonymous mapping touches no memory that anyone holds.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return None;
        }
        let base = NonNull::new(at.cast::<u8>())?;
        let skip = base.as_ptr().align_offset(HUGE);
        // SAFETY: skip < HUGE, and the mapping is HUGE longer than asked.
        let data = unsafe { base.add(skip) };
        // SAFETY: the range lies inside the mapping just made; the advice changes no content. A refusal is harmless.
        unsafe { libc::madvise(data.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        Some(Self { data: data.cast(), len, mapped: Some((base, size)) })
    }

    #[cfg(not(target_os = "linux"))]
    fn mapped(_len: usize, _bytes: usize) -> Option<Self> {
        None
    }

    /// Where it begins; writing through it needs an argument of the writer's own.
    pub(crate) fn as_raw(&self) -> *mut f32 {
        self.data.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some((base, size)) = self.mapped {
            // SAFETY: exactly the mapping made in `mapped`, unmapped once.
            unsafe { libc::munmap(base.as_ptr().cast(), size) };
            return;
        }
        if self.len > 0
            && let Ok(layout) = Self::layout(self.len * 4)
        {
            // SAFETY: allocated in `zeroed` with this very layout.
            unsafe { std::alloc::dealloc(self.data.as_ptr().cast(), layout) };
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `len` initialised floats owned by self; zero bytes are a float.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_aligned_and_writable_at_every_size() {
        for len in [0, 1, 17, 4096, HUGE / 4 - 1, HUGE / 4, HUGE / 2 + 3] {
            let mut b = Buffer::zeroed(len).unwrap();
            assert_eq!(b.len(), len);
            assert!(b.iter().all(|&x| x == 0.0));
            assert_eq!(b.as_ptr() as usize % LINE, 0);
            b.fill(1.5);
            assert!(b.iter().all(|&x| x == 1.5));
        }
    }

    #[test]
    fn refused_sizes_are_errors() {
        assert!(Buffer::zeroed(usize::MAX).is_err());
        assert!(Buffer::zeroed(usize::MAX / 8).is_err());
    }
}
