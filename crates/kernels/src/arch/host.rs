//! The floating-point mode of the thread that calls: the host's, read and never set.
//!
//! Bits are promised in the mode that every thread starts in: round to nearest, denormals kept. A host may have set its
//! threads otherwise (`torch.set_flush_denormal(True)`, a library built with `-ffast-math`); results are then right within
//! the usual bounds, but some of their bits may be others. Who stands at a border reads the mode and says so.

/// The parts of the mode that change bits, as MXCSR has them; elsewhere than on x86, always the plain mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloatMode(u32);

/// Denormal operands are read as zeros.
const READS_ZEROS: u32 = 1 << 6;
/// Denormal results are written as zeros.
const WRITES_ZEROS: u32 = 1 << 15;
/// Not to nearest.
const ROUNDING: u32 = 3 << 13;

impl FloatMode {
    /// That of this thread.
    pub fn read() -> Self {
        Self(control() & (READS_ZEROS | WRITES_ZEROS | ROUNDING))
    }
    /// Whether the promise about bits holds in it.
    pub fn is_plain(self) -> bool {
        self.0 == 0
    }
}

/// What is not plain in it.
impl std::fmt::Display for FloatMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (READS_ZEROS, "denormal inputs are zeros"),
            (WRITES_ZEROS, "denormal results are zeros"),
            (ROUNDING, "results are not rounded to nearest"),
        ];
        let set: Vec<&str> = parts.iter().filter(|(bits, _)| self.0 & bits != 0).map(|(_, what)| *what).collect();
        f.write_str(if set.is_empty() { "plain" } else { "" })?;
        f.write_str(&set.join(", "))
    }
}

#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut control = 0u32;
    // SAFETY: the instruction is of every x86-64 and writes these four bytes, which are ours.
    unsafe {
        core::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags));
    }
    control
}

#[cfg(not(target_arch = "x86_64"))]
fn control() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_starts_in_the_plain_mode() {
        assert!(FloatMode::read().is_plain());
        assert_eq!(FloatMode::read().to_string(), "plain");
        let both = FloatMode(READS_ZEROS | WRITES_ZEROS);
        assert!(!both.is_plain());
        assert_eq!(both.to_string(), "denormal inputs are zeros, denormal results are zeros");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_mode_that_the_host_set_is_seen() {
        // On a thread of its own, which ends with it.
        let seen = std::thread::spawn(|| {
            let flushing = control() | WRITES_ZEROS;
            // SAFETY: a valid mode, of this thread alone.
            unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &raw const flushing, options(nostack, preserves_flags)) };
            FloatMode::read().to_string()
        });
        assert_eq!(seen.join().expect("the thread ends well"), "denormal results are zeros");
    }
}
