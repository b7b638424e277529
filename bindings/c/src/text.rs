//! A text that a model writes: some symbols at a time; where it stands can be saved, copied and gone on from.

use crate::char_lm::{self, GatemillCharLm};
use crate::crew;
use crate::fault::{Fault, GatemillStatus, entry};
use crate::handle::{self, Object, object};
use crate::memory::{self, Sized0};
use gatemill::storage::RealStorage;
use gatemill::{CharLm, Error, Generate, SampleOptions, SampleState, StateError, Symbol, TrainError};
use std::ffi::c_char;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A text that is being written. 0 is none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillText {
    /// Its number.
    pub id: u64,
}

/// How a text is written; a member that is 0 has the default said here.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillTextOptions {
    /// sizeof(GatemillTextOptions).
    pub size: usize,
    /// Read before the first symbol is drawn; may be NULL. UTF-8, for a model over bytes any bytes.
    pub prime: *const c_char,
    /// Bytes of it.
    pub prime_len: usize,
    /// Symbols to write; 0: no end.
    pub length: u64,
    /// Logits are divided by it; 0: the likeliest symbol is taken.
    pub temperature: f64,
    /// Draw from so many of the likeliest symbols; 0: all.
    pub top_k: usize,
    /// Draw from the fewest of the likeliest that have this probability together; 0: all.
    pub top_p: f64,
    /// Leave out symbols whose probability is less than this times the largest; 0: none.
    pub min_p: f64,
    /// Logits of the last symbols are divided by it, negative ones multiplied; 0: off.
    pub repetition_penalty: f64,
    /// How many of the last symbols it is for; 0: 64.
    pub repetition_window: usize,
    /// Of the draws.
    pub seed: u64,
    /// Another number is another text of the same seed.
    pub sample: u32,
}

// SAFETY: repr(C), begins with its size, numbers and a pointer that may be NULL.
unsafe impl Sized0 for GatemillTextOptions {
    const NAME: &'static str = "GatemillTextOptions";
}

/// The model stands behind what borrows it and is dropped after it: members drop in their order.
#[derive(Debug)]
pub(crate) struct Writing {
    symbols: Generate<'static>,
    /// What did not fit into the last buffer.
    left: Vec<u8>,
    model: Arc<CharLm>,
    process: u32,
}

impl Writing {
    fn new(model: Arc<CharLm>, options: &SampleOptions, state: Option<&SampleState>) -> Result<Self, Fault> {
        // SAFETY: the model lives on the heap as long as the `Arc` beside what borrows it, is not moved or lent out to be
        // changed while that is there (`char_lm::change` asks for the only `Arc`), and outlives it by the members' order.
        let forever: &'static CharLm = unsafe { &*Arc::as_ptr(&model) };
        let symbols = match state {
            None => forever.generate(options)?,
            Some(state) => forever.resume(options, state)?,
        };
        Ok(Self { symbols, left: Vec::new(), model, process: std::process::id() })
    }
    fn put(self) -> Result<u64, Fault> {
        handle::put(Object::Text(Mutex::new(self)))
    }
}

/// # Safety
/// - `prime` is NULL or has so many bytes.
unsafe fn options(theirs: &GatemillTextOptions) -> Result<SampleOptions, Fault> {
    // SAFETY: the caller's promise.
    let prime = unsafe { memory::slice("prime", theirs.prime.cast::<u8>(), theirs.prime_len)? };
    let or = |value: f64, default: f64| if value == 0.0 { default } else { value };
    Ok(SampleOptions {
        prime: prime.to_vec(),
        length: if theirs.length == 0 { u64::MAX } else { theirs.length },
        temperature: theirs.temperature,
        top_k: theirs.top_k,
        top_p: or(theirs.top_p, 1.0),
        min_p: theirs.min_p,
        repetition_penalty: or(theirs.repetition_penalty, 1.0),
        repetition_window: if theirs.repetition_window == 0 { 64 } else { theirs.repetition_window },
        samples: 1,
        first_sample: theirs.sample,
        seed: theirs.seed,
    })
}

/// Begins a text: reads the prime; an empty one begins as after a line's end. While a text is there its model cannot
/// learn.
///
/// # Safety
/// `how` and `text` are NULL or such structs, the second the call's own; the prime is NULL or has as many bytes as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_text_new(
    model: GatemillCharLm,
    how: *const GatemillTextOptions,
    text: *mut GatemillText,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (options, out) = unsafe { (options(&memory::read(how)?)?, memory::out("text", text)?) };
        out.id = Writing::new(char_lm::of(model)?, &options, None)?.put()?;
        Ok(())
    })
}

/// Begins a text where one stands that gatemill_text_save wrote to `path`; the prime is read behind it. With its seed and
/// sample it is what would have been written without the stop.
///
/// # Safety
/// As gatemill_text_new; `path` is NULL or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_text_resume(
    model: GatemillCharLm,
    how: *const GatemillTextOptions,
    path: *const c_char,
    text: *mut GatemillText,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (options, path, out) =
            unsafe { (options(&memory::read(how)?)?, memory::text("path", path)?, memory::out("text", text)?) };
        let failed = |error: StateError| Fault::from(Error::Train(TrainError::State(error)));
        let state = SampleState::load(&RealStorage, Path::new(path)).map_err(failed)?;
        out.id = Writing::new(char_lm::of(model)?, &options, Some(&state))?.put()?;
        Ok(())
    })
}

/// Begins a text where another stands, which goes on by itself: a fork. Another seed makes another text of it.
///
/// # Safety
/// As gatemill_text_new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_text_fork(
    text: GatemillText,
    how: *const GatemillTextOptions,
    fork: *mut GatemillText,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (options, out) = unsafe { (options(&memory::read(how)?)?, memory::out("fork", fork)?) };
        let (model, state) = object!(text, Text, "text", |lock| {
            let writing = handle::alone(lock, "text")?;
            crew::same_process(writing.process, "text")?;
            (writing.model.clone(), writing.symbols.state())
        });
        out.id = Writing::new(model, &options, Some(&state))?.put()?;
        Ok(())
    })
}

/// Saves where a text stands, behind the last symbol drawn.
///
/// # Safety
/// `path` is NULL or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_text_save(text: GatemillText, path: *const c_char) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let path = unsafe { memory::text("path", path)? };
        object!(text, Text, "text", |lock| {
            let state = handle::alone(lock, "text")?.symbols.state();
            Ok(state.save(&RealStorage, Path::new(path)).map_err(Error::from)?)
        })
    })
}

/// Writes up to `symbols` further symbols to `buffer`, as far as it has room: `written` takes how many bytes there are now.
/// 0: the text is at its end. UTF-8 comes in whole characters; there is no zero byte behind it.
///
/// # Safety
/// `buffer` is NULL or has `capacity` bytes, `written` is NULL or a size_t, both the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_text_next(
    text: GatemillText,
    symbols: usize,
    buffer: *mut c_char,
    capacity: usize,
    written: *mut usize,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (buffer, written) = unsafe {
            let buffer = memory::slice_mut("buffer", buffer.cast::<u8>(), capacity)?;
            (buffer, memory::out("written", written)?)
        };
        *written = 0;
        if symbols > 0 && capacity < 4 {
            return Err(Fault::usage(format!("`capacity` is {capacity}: a character may need 4 bytes")));
        }
        object!(text, Text, "text", |lock| {
            let writing = &mut *handle::alone(lock, "text")?;
            crew::same_process(writing.process, "text")?;
            for _ in 0..symbols {
                if writing.left.is_empty() {
                    match writing.symbols.next() {
                        Some(symbol) => Symbol::push_to(symbol?, &mut writing.left),
                        None => break,
                    }
                }
                let Some(room) = buffer.get_mut(*written..*written + writing.left.len()) else { break };
                room.copy_from_slice(&writing.left);
                *written += writing.left.len();
                writing.left.clear();
            }
            Ok(())
        })
    })
}

/// Frees a text. 0 is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_text_free(text: GatemillText) -> GatemillStatus {
    entry(|| handle::free(text.id, "text"))
}
