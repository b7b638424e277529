//! Objects by number: a handle is a place in a table and how often that place was given out.
//!
//! A freed handle names an older generation of its place, and a made-up one names nothing: both are errors. An object that
//! is freed while another thread works on it lives until that is done.

use crate::fault::{Fault, GatemillStatus};
use crate::text::Writing;
use gatemill::{CharLm, Crew, Gradients, Recurrent, Tape};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// What a handle stands for.
#[derive(Debug)]
pub(crate) enum Object {
    /// With the process that made it.
    Crew(Arc<Crew>, u32),
    Recurrent(RwLock<Recurrent>),
    Tape(Mutex<Tape>),
    Gradients(Mutex<Gradients>),
    /// With the process that made it.
    CharLm(Mutex<Arc<CharLm>>, u32),
    Text(Mutex<Writing>),
}

impl Object {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Object::Crew(..) => "crew",
            Object::Recurrent(_) => "recurrent",
            Object::Tape(_) => "tape",
            Object::Gradients(_) => "gradients",
            Object::CharLm(..) => "char_lm",
            Object::Text(_) => "text",
        }
    }
}

#[derive(Debug)]
struct Place {
    generation: u32,
    object: Option<Arc<Object>>,
}

#[derive(Debug)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

static TABLE: RwLock<Table> = RwLock::new(Table { places: Vec::new(), free: Vec::new() });

/// Nothing is left half done in it by a panic.
fn reading() -> RwLockReadGuard<'static, Table> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner)
}

fn writing() -> RwLockWriteGuard<'static, Table> {
    TABLE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Gives an object a number, never 0.
pub(crate) fn put(object: Object) -> Result<u64, Fault> {
    let mut table = writing();
    let object = Some(Arc::new(object));
    let (index, generation) = match table.free.pop() {
        Some(index) => {
            let place = &mut table.places[index as usize];
            place.object = object;
            (index, place.generation)
        }
        None => {
            let index = u32::try_from(table.places.len()).ok().filter(|&index| index < u32::MAX);
            let full = || Fault::new(GatemillStatus::Resources, "2^32 objects are alive: free some");
            let index = index.ok_or_else(full)?;
            table.places.push(Place { generation: 1, object });
            (index, 1)
        }
    };
    Ok(u64::from(generation) << 32 | u64::from(index))
}

fn missing() -> Fault {
    Fault::new(GatemillStatus::BadHandle, "this handle was freed, or is none: make an object first")
}

/// The object of a number.
pub(crate) fn get(id: u64) -> Result<Arc<Object>, Fault> {
    let (index, generation) = (id as u32 as usize, (id >> 32) as u32);
    let table = reading();
    let place = table.places.get(index).filter(|place| place.generation == generation);
    place.and_then(|place| place.object.clone()).ok_or_else(missing)
}

/// Takes an object of this kind out of the table; 0 is none, and nothing happens.
pub(crate) fn free(id: u64, kind: &'static str) -> Result<(), Fault> {
    if id == 0 {
        return Ok(());
    }
    let object = get(id)?;
    if object.name() != kind {
        return Err(other(&object, kind));
    }
    let (index, generation) = (id as u32, (id >> 32) as u32);
    let taken = {
        let mut table = writing();
        let place = table.places.get_mut(index as usize).filter(|place| place.generation == generation);
        let place = place.ok_or_else(missing)?;
        let taken = place.object.take();
        // A place whose generations are used up is given out no more.
        let reused = place.generation.checked_add(1);
        place.generation = reused.unwrap_or(0);
        if taken.is_some() && reused.is_some() {
            table.free.push(index);
        }
        taken
    };
    // What it owns ends here, outside of the table's lock.
    drop(object);
    taken.map(drop).ok_or_else(missing)
}

/// An object of another kind than was asked for.
pub(crate) fn other(object: &Object, kind: &str) -> Fault {
    Fault::new(GatemillStatus::BadHandle, format!("this handle is of a {}, not of a {kind}", object.name()))
}

/// Locks what one thread at a time may use. Errors: another does.
pub(crate) fn alone<'a, T>(lock: &'a Mutex<T>, what: &str) -> Result<MutexGuard<'a, T>, Fault> {
    match lock.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::WouldBlock) => Err(Fault::busy(what)),
        Err(TryLockError::Poisoned(_)) => Err(broken(what)),
    }
}

/// Locks what many threads may read. Errors: another changes it.
pub(crate) fn shared<'a, T>(lock: &'a RwLock<T>, what: &str) -> Result<RwLockReadGuard<'a, T>, Fault> {
    match lock.try_read() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::WouldBlock) => Err(Fault::busy(what)),
        Err(TryLockError::Poisoned(_)) => Err(broken(what)),
    }
}

/// Locks it to be changed. Errors: another uses it.
pub(crate) fn changed<'a, T>(lock: &'a RwLock<T>, what: &str) -> Result<RwLockWriteGuard<'a, T>, Fault> {
    match lock.try_write() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::WouldBlock) => Err(Fault::busy(what)),
        Err(TryLockError::Poisoned(_)) => Err(broken(what)),
    }
}

fn broken(what: &str) -> Fault {
    let message = format!("a fault of Gatemill's own left this {what} half done: free it and make another");
    Fault::new(GatemillStatus::Internal, message)
}

/// The object behind a handle, matched to its kind.
macro_rules! object {
    ($handle:expr, $kind:ident, $name:literal, |$($part:ident),+| $body:expr) => {{
        let object = $crate::handle::get($handle.id)?;
        match &*object {
            $crate::handle::Object::$kind($($part),+) => $body,
            found => return Err($crate::handle::other(found, $name)),
        }
    }};
}
pub(crate) use object;
