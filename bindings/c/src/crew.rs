//! Workers that passes are shared out to: the caller's.

use crate::fault::{Fault, GatemillStatus, entry};
use crate::handle::{self, Object, object};
use crate::memory;
use gatemill::{Crew, Error};
use std::sync::Arc;

/// Worker threads. 0 is none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillCrew {
    /// Its number.
    pub id: u64,
}

/// Most threads that may be asked for.
const MOST: usize = 1024;

/// Starts workers: as many as `threads`, or with 0 as this process may use; 1 starts none, the calling thread does all.
/// The results of a pass are the same bit for bit.
///
/// # Safety
/// `crew` is NULL or a GatemillCrew of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_crew_new(threads: usize, crew: *mut GatemillCrew) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let out = unsafe { memory::out("crew", crew)? };
        if threads > MOST {
            return Err(Fault::usage(format!("`threads` is {threads}, but must be at most {MOST}")));
        }
        let made = match if threads == 0 { Crew::available() } else { threads } {
            1 => Crew::alone(),
            threads => Crew::new(threads.min(MOST)).map_err(Error::from)?,
        };
        out.id = handle::put(Object::Crew(Arc::new(made), std::process::id()))?;
        Ok(())
    })
}

/// How many workers a crew has.
///
/// # Safety
/// `threads` is NULL or a size_t of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_crew_threads(crew: GatemillCrew, threads: *mut usize) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let out = unsafe { memory::out("threads", threads)? };
        *out = object!(crew, Crew, "crew", |crew, _process| crew.threads());
        Ok(())
    })
}

/// Ends a crew once nothing uses it any more: models keep theirs. 0 is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_crew_free(crew: GatemillCrew) -> GatemillStatus {
    entry(|| handle::free(crew.id, "crew"))
}

/// The crew of a handle. Errors: it is none, or was made before a fork, so that its workers are not here.
pub(crate) fn of(crew: GatemillCrew) -> Result<Arc<Crew>, Fault> {
    object!(crew, Crew, "crew", |made, process| {
        same_process(*process, "crew")?;
        Ok(made.clone())
    })
}

pub(crate) fn same_process(process: u32, what: &str) -> Result<(), Fault> {
    if process == std::process::id() {
        return Ok(());
    }
    let message = format!("this {what} was made before a fork, by the parent process: make another in this one");
    Err(Fault::new(GatemillStatus::Forked, message))
}
