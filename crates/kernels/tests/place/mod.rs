//! What the tests of kernels share: the tiers they run on, numbers to run them on, and memory that shows a write or read
//! beyond its end: slices that touch a page which traps.

use gatemill_kernels::Kernels;
use gatemill_oracle::SplitMix64;

/// Bytes of a page on every system that these tests run on.
const PAGE: usize = 4096;

/// The tier that is forced, or all that this machine has.
pub(crate) fn tiers() -> Vec<Kernels> {
    match std::env::var_os("GATEMILL_ISA") {
        None => Kernels::available().collect(),
        Some(_) => vec![Kernels::from_env().unwrap()],
    }
}

/// `n` numbers in `-bound..bound`.
pub(crate) fn reals(n: usize, bound: f64, random: &mut SplitMix64) -> Vec<f32> {
    random.symmetric(n, bound).into_iter().map(|x| x as f32).collect()
}

/// A slice between two pages that nobody may touch.
pub(crate) struct Guarded {
    base: *mut u8,
    bytes: usize,
    first: usize,
    len: usize,
}

impl Guarded {
    /// `len` floats whose last is followed by a page that traps.
    pub(crate) fn ending(len: usize) -> Self {
        Self::at(len, (4 * len).next_multiple_of(PAGE) / 4 - len)
    }
    /// `len` floats whose first is preceded by a page that traps, or `offset` floats after it.
    pub(crate) fn starting(len: usize, offset: usize) -> Self {
        Self::at(len, offset)
    }
    fn at(len: usize, offset: usize) -> Self {
        let bytes = (4 * (len + offset)).next_multiple_of(PAGE).max(PAGE);
        // SAFETY: a fresh private mapping; its first and last page lose their permissions.
        unsafe {
            let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let base = libc::mmap(std::ptr::null_mut(), bytes + 2 * PAGE, read_write, private, -1, 0);
            assert!(base != libc::MAP_FAILED, "no memory for a guarded slice");
            assert_eq!(libc::mprotect(base, PAGE, libc::PROT_NONE), 0);
            assert_eq!(libc::mprotect(base.byte_add(PAGE + bytes), PAGE, libc::PROT_NONE), 0);
            Self { base: base.cast(), bytes, first: offset, len }
        }
    }
    /// With these values.
    pub(crate) fn with(mut self, values: impl IntoIterator<Item = f32>) -> Self {
        self.iter_mut().zip(values).for_each(|(x, v)| *x = v);
        self
    }
    fn start(&self) -> *mut f32 {
        // SAFETY: first + len floats fit between the two guard pages.
        unsafe { self.base.add(PAGE).cast::<f32>().add(self.first) }
    }
}

impl std::ops::Deref for Guarded {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: len floats of a live mapping that self owns; the system zeroed them.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }
}

impl std::ops::DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `at`.
        unsafe { libc::munmap(self.base.cast(), self.bytes + 2 * PAGE) };
    }
}

#[test]
fn guards_stand_right_beside_the_slice() {
    for len in [1, 5, 1024, 1030] {
        let mut last = Guarded::ending(len);
        assert_eq!((last.as_ptr() as usize + 4 * len) % PAGE, 0);
        last.fill(1.0);
        let mut first = Guarded::starting(len, 0);
        assert_eq!(first.as_ptr() as usize % PAGE, 0);
        first.fill(1.0);
    }
}
