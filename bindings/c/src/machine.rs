//! What the library is and runs on: version, tier, the host's floating-point mode.

use crate::fault::{GatemillStatus, entry};
use crate::memory;
use gatemill::{FloatMode, Kernels};
use std::ffi::{CString, c_char};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The version of this header.
pub const GATEMILL_ABI_VERSION: u32 = 1;

static VERSION: LazyLock<CString> = LazyLock::new(|| CString::new(env!("CARGO_PKG_VERSION")).unwrap_or_default());

/// The library's version, as in "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_version() -> *const c_char {
    VERSION.as_ptr()
}

/// GATEMILL_ABI_VERSION of the library that is linked: a program may compare it with its header's.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_abi_version() -> u32 {
    GATEMILL_ABI_VERSION
}

/// Some call found its thread in another mode than the plain one.
static CHANGED: AtomicBool = AtomicBool::new(false);

/// Reads the mode of the thread that calls; it is never set.
pub(crate) fn note_float_mode() {
    if !FloatMode::read().is_plain() {
        CHANGED.store(true, Ordering::Relaxed);
    }
}

/// What gatemill_float_mode tells.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillFloatMode {
    /// sizeof(GatemillFloatMode).
    pub size: usize,
    /// 1: the calling thread is in the mode that threads start in (round to nearest, denormals kept), in which the bits of
    /// results are promised. 0: the host has set another; results are right within the usual bounds, but some of their bits
    /// may be others.
    pub plain: u32,
    /// 1: every call so far, of any thread, found its thread in that mode. 0: some did not, and results since are not
    /// covered by the promise.
    pub promise_holds: u32,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl memory::Sized0 for GatemillFloatMode {
    const NAME: &'static str = "GatemillFloatMode";
}

/// Tells the floating-point mode of the calling thread, and whether it was plain at every call so far. Gatemill reads it at
/// each entry and never sets it.
///
/// # Safety
/// `mode` is NULL or a GatemillFloatMode of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_float_mode(mode: *mut GatemillFloatMode) -> GatemillStatus {
    entry(|| {
        let plain = u32::from(FloatMode::read().is_plain());
        let promise_holds = u32::from(!CHANGED.load(Ordering::Relaxed));
        // SAFETY: this function's own condition.
        unsafe { memory::write(mode, &GatemillFloatMode { size: 0, plain, promise_holds }) }
    })
}

static TIER: LazyLock<CString> = LazyLock::new(|| {
    let name = Kernels::from_env().map_or_else(|error| error.to_string(), |kernels| kernels.name().to_owned());
    CString::new(name).unwrap_or_default()
});

/// The kernels that stacks and models are made with: "avx512", "avx2" or "portable"; where GATEMILL_ISA names one that
/// this machine lacks, what is wrong with it.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_tier() -> *const c_char {
    TIER.as_ptr()
}
