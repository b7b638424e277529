//! The weights of a stack: masters, and packed forms that are made once after a change, by whoever needs them first.
//!
//! Reading costs one look at an atomic. A pass that packs does it alone, on the thread that it is on: while it holds the lock
//! it waits for nobody. A pool that packs for it could give it another pass meanwhile, which would wait for its own lock. Who
//! changes the weights has them to himself, and may have a pool pack them.

use gatemill_cell::{OutOfMemory, Params};
use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, Layout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A number for each content that any weights ever had, so that a pass can tell whether they are the same still.
fn next_stamp() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Exactly one of the two holds them.
#[derive(Debug)]
pub(crate) struct Weights {
    /// Changed since they were packed.
    changed: Mutex<Option<Params>>,
    packed: OnceLock<Params>,
    stamp: u64,
}

impl Weights {
    /// Zeros. Errors: the memory is not to be had.
    pub(crate) fn zeroed(layout: Arc<Layout>) -> Result<Self, OutOfMemory> {
        Ok(Self::new(Params::zeroed(layout)?))
    }
    fn new(params: Params) -> Self {
        Self { changed: Mutex::new(Some(params)), packed: OnceLock::new(), stamp: next_stamp() }
    }
    /// A copy of its own. Errors: the memory is not to be had.
    pub(crate) fn copy(&self) -> Result<Self, OutOfMemory> {
        self.read(|params| {
            let mut copy = Params::zeroed(params.layout().clone())?;
            copy.masters_mut().copy_from_slice(params.masters());
            Ok(Self::new(copy))
        })
    }
    /// Tells this content from every other.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }
    /// The weights with all that kernels read, packed now if they have changed.
    pub(crate) fn packed(&self, kernels: &Kernels) -> &Params {
        loop {
            if let Some(params) = self.packed.get() {
                return params;
            }
            derive(&mut self.changed(), &self.packed, &Crew::alone(), kernels);
        }
    }
    /// Packs them on all workers of a crew, so that no pass need do it alone.
    pub(crate) fn pack_on(&mut self, crew: &Crew, kernels: &Kernels) {
        derive(self.changed.get_mut().unwrap_or_else(PoisonError::into_inner), &self.packed, crew, kernels);
    }
    /// The weights as they are.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&Params) -> R) -> R {
        loop {
            if let Some(params) = self.packed.get() {
                return f(params);
            }
            if let Some(params) = self.changed().as_ref() {
                return f(params);
            }
        }
    }
    fn changed(&self) -> MutexGuard<'_, Option<Params>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Changes the weights; they will be packed anew when next they are needed.
    pub(crate) fn change<R>(&mut self, f: impl FnOnce(&mut Params) -> R) -> Option<R> {
        let changed = self.changed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(params) = self.packed.take() {
            *changed = Some(params);
        }
        self.stamp = next_stamp();
        changed.as_mut().map(f)
    }
}

/// Makes what kernels read of weights that changed, which then are packed.
fn derive(changed: &mut Option<Params>, packed: &OnceLock<Params>, crew: &Crew, kernels: &Kernels) {
    // In its place meanwhile: should this panic, it is still there.
    if let Some(params) = changed.as_mut() {
        params.derive(crew, kernels);
    }
    if let Some(params) = changed.take() {
        // It was empty: only who has `changed` fills it.
        let _ = packed.set(params);
    }
}
