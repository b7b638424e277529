//! The border: an error becomes a status and a message of the thread, a panic stops.

use crate::machine;
use gatemill::{Error, ErrorKind};
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a call ended.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatemillStatus {
    /// It did what it should.
    Ok = 0,
    /// An argument that cannot be: gatemill_last_error() names it.
    Usage = 2,
    /// A file or a text that does not hold what it should.
    BadData = 3,
    /// The system refused to read or write.
    Io = 4,
    /// The loss or a gradient is not finite; the weights are as they were.
    Diverged = 5,
    /// Memory or threads are not to be had.
    Resources = 6,
    /// Somebody else is changing this object, or using what the call would change.
    Busy = 7,
    /// A handle that was freed, is of another kind, or never was.
    BadHandle = 8,
    /// The crew was made before fork(), by the parent process.
    Forked = 9,
    /// A fault of Gatemill's own.
    Internal = 70,
}

/// Why a call did nothing.
#[derive(Debug)]
pub(crate) struct Fault {
    status: GatemillStatus,
    message: String,
}

impl Fault {
    pub(crate) fn new(status: GatemillStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(GatemillStatus::Usage, message)
    }
    pub(crate) fn busy(what: &str) -> Self {
        let message = format!("this {what} is in use by another thread or by a text: wait for it, or make another");
        Self::new(GatemillStatus::Busy, message)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Usage => GatemillStatus::Usage,
            ErrorKind::BadData => GatemillStatus::BadData,
            ErrorKind::Io => GatemillStatus::Io,
            ErrorKind::Diverged => GatemillStatus::Diverged,
            ErrorKind::Resources => GatemillStatus::Resources,
        };
        Self::new(status, error.to_string())
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Runs an entry. Nothing unwinds out of it.
pub(crate) fn entry(f: impl FnOnce() -> Result<(), Fault>) -> GatemillStatus {
    machine::note_float_mode();
    let fault = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => return GatemillStatus::Ok,
        Ok(Err(fault)) => fault,
        Err(payload) => {
            let said = payload.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no words");
            let message = format!("a fault of Gatemill's own: {said}; please report it");
            // A payload may panic when it is dropped; what that panic says is dropped likewise, once, and then let be.
            if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
                && let Err(last) = catch_unwind(AssertUnwindSafe(|| drop(next)))
            {
                std::mem::forget(last);
            }
            Fault::new(GatemillStatus::Internal, message)
        }
    };
    let message = CString::new(fault.message.replace('\0', " ")).unwrap_or_default();
    // A thread that is ending has no message any more.
    let _ = LAST.try_with(|last| last.replace(message));
    fault.status
}

/// What the last call of this thread that failed says about it, in UTF-8; empty if none has. It is there until the next
/// call of this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

#[cfg(test)]
#[allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn message() -> String {
        // SAFETY: the library's own text, which ends with a zero byte.
        unsafe { CStr::from_ptr(gatemill_last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn fault_A03_a_panic_stops_at_the_border() {
        assert_eq!(entry(|| panic!("a test's {}", "own")), GatemillStatus::Internal);
        assert!(message().contains("a test's own"), "{}", message());
        assert_eq!(entry(|| std::panic::panic_any(7)), GatemillStatus::Internal);
        assert!(message().contains("no words"), "{}", message());
        // A payload may panic when it is dropped.
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(entry(|| std::panic::panic_any(Bad)), GatemillStatus::Internal);
        // What succeeds leaves the message.
        assert_eq!(entry(|| Ok(())), GatemillStatus::Ok);
        assert!(message().contains("no words"), "{}", message());
        // A zero byte ends no message early.
        assert_eq!(entry(|| Err(Fault::usage("a\0b"))), GatemillStatus::Usage);
        assert_eq!(message(), "a b");
    }
}
