//! The character model: a file in; logits and training steps; a file out.

use crate::crew::{self, GatemillCrew};
use crate::fault::{Fault, GatemillStatus, entry};
use crate::handle::{self, Object, object};
use crate::memory::{self, Sized0};
use crate::options::{self, GATEMILL_CELL_GRU, GATEMILL_CELL_LSTM, GATEMILL_CELL_RNN};
use crate::pass::GatemillStateMut;
use gatemill::{Cell, CellKind, CharLm, Config, State, VocabChoice, VocabKind};
use std::ffi::c_char;
use std::sync::{Arc, Mutex};

/// A character model, the crew that it runs on, and what it has learned with. 0 is none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillCharLm {
    /// Its number.
    pub id: u64,
}

/// A new character model; a member that is 0 has the default of `gatemill train`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillCharLmOptions {
    /// sizeof(GatemillCharLmOptions).
    pub size: usize,
    /// GATEMILL_CELL_...; 0 is an LSTM.
    pub cell: u32,
    /// 1: the symbols are the 256 bytes; 0: the characters of a text.
    pub bytes: u32,
    /// L.
    pub layers: usize,
    /// H.
    pub hidden: usize,
    /// B: lanes of a training step.
    pub batch: usize,
    /// T: steps of a training step.
    pub seq: usize,
    /// Learning rate.
    pub lr: f64,
    /// P of the dropout between layers.
    pub dropout: f64,
    /// Largest norm of the gradient.
    pub clip_norm: f64,
    /// Of the initial weights and of the dropout's masks.
    pub seed: u64,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Sized0 for GatemillCharLmOptions {
    const NAME: &'static str = "GatemillCharLmOptions";
}

/// What a character model is.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillCharLmInfo {
    /// sizeof(GatemillCharLmInfo).
    pub size: usize,
    /// GATEMILL_CELL_...
    pub cell: u32,
    /// 1: the symbols are the 256 bytes; 0: characters.
    pub bytes: u32,
    /// V: symbols; an id of V or more is a symbol never seen.
    pub vocab: usize,
    /// L.
    pub layers: usize,
    /// H.
    pub hidden: usize,
    /// B: lanes of a training step.
    pub batch: usize,
    /// T: steps of a training step.
    pub seq: usize,
    /// Floats of h of one text: [L, 1, H].
    pub h_len: usize,
    /// Floats of c of one text; 0 where the cell is no LSTM.
    pub c_len: usize,
    /// Weights.
    pub parameters: usize,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Sized0 for GatemillCharLmInfo {
    const NAME: &'static str = "GatemillCharLmInfo";
}

/// What a training step did.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillTrainReport {
    /// sizeof(GatemillTrainReport).
    pub size: usize,
    /// Steps made, this one included.
    pub step: u64,
    /// Mean loss, nats per symbol.
    pub nats: f64,
    /// Norm of the gradient before it was clipped.
    pub grad_norm: f64,
    /// Targets that the vocabulary has.
    pub counted: u64,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Sized0 for GatemillTrainReport {
    const NAME: &'static str = "GatemillTrainReport";
}

/// The model behind a handle, to be read. Errors: it was made before a fork, or is being changed.
pub(crate) fn of(model: GatemillCharLm) -> Result<Arc<CharLm>, Fault> {
    object!(model, CharLm, "char_lm", |lock, process| {
        crew::same_process(*process, "char_lm")?;
        Ok(handle::alone(lock, "char_lm")?.clone())
    })
}

/// Runs `f` on the model behind a handle, to be changed. Errors: as `of`, and it is in use by a text or another thread.
fn change<R>(model: GatemillCharLm, f: impl FnOnce(&mut CharLm) -> Result<R, Fault>) -> Result<R, Fault> {
    object!(model, CharLm, "char_lm", |lock, process| {
        crew::same_process(*process, "char_lm")?;
        let mut held = handle::alone(lock, "char_lm")?;
        f(Arc::get_mut(&mut held).ok_or_else(|| Fault::busy("char_lm"))?)
    })
}

fn put(model: CharLm) -> Result<u64, Fault> {
    handle::put(Object::CharLm(Mutex::new(Arc::new(model)), std::process::id()))
}

/// Makes a model with initial weights over the characters of a text, each once.
///
/// # Safety
/// `options` and `model` are NULL or such structs, the second the call's own; `characters` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_char_lm_new(
    options: *const GatemillCharLmOptions,
    characters: *const c_char,
    len: usize,
    crew: GatemillCrew,
    model: *mut GatemillCharLm,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (theirs, text, out) = unsafe {
            let text = memory::slice("characters", characters.cast::<u8>(), len)?;
            (memory::read(options)?, text, memory::out("model", model)?)
        };
        let text = std::str::from_utf8(text).map_err(|_| Fault::usage("`characters` is not UTF-8"))?;
        let cell = match theirs.cell {
            0 => Cell::Lstm,
            cell => options::cell(cell)?,
        };
        let mut config = Config {
            cell: match cell {
                Cell::Rnn => CellKind::Rnn,
                Cell::Lstm => CellKind::Lstm,
                Cell::Gru => CellKind::Gru,
            },
            vocab: if theirs.bytes == 0 { VocabChoice::Chars } else { VocabChoice::Bytes },
            dropout: theirs.dropout,
            ..Config::default()
        };
        for (place, value) in [
            (&mut config.layers, theirs.layers),
            (&mut config.hidden, theirs.hidden),
            (&mut config.batch, theirs.batch),
            (&mut config.seq, theirs.seq),
        ] {
            if value > 0 {
                *place = value;
            }
        }
        for (place, value) in [(&mut config.lr, theirs.lr), (&mut config.clip_norm, theirs.clip_norm)] {
            if value != 0.0 {
                *place = value;
            }
        }
        if theirs.seed > 0 {
            config.seed = theirs.seed;
        }
        out.id = put(CharLm::new(&config, text, crew::of(crew)?)?)?;
        Ok(())
    })
}

/// Loads the model of a .safetensors file, or of a run folder: its best, else its newest checkpoint.
///
/// # Safety
/// `path` is NULL or ends with a zero byte; `model` is NULL or a GatemillCharLm of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_char_lm_load(
    path: *const c_char,
    crew: GatemillCrew,
    model: *mut GatemillCharLm,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (path, out) = unsafe { (memory::text("path", path)?, memory::out("model", model)?) };
        out.id = put(CharLm::load(path, crew::of(crew)?)?)?;
        Ok(())
    })
}

/// Saves a model at `path` in the place of an older one: at every moment the old file or the new one is whole.
///
/// # Safety
/// `path` is NULL or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_char_lm_save(model: GatemillCharLm, path: *const c_char) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let path = unsafe { memory::text("path", path)? };
        Ok(of(model)?.save(path)?)
    })
}

/// Frees a model; texts that it writes go on. 0 is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_char_lm_free(model: GatemillCharLm) -> GatemillStatus {
    entry(|| handle::free(model.id, "char_lm"))
}

/// What a model is.
///
/// # Safety
/// `info` is NULL or a GatemillCharLmInfo of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_char_lm_info(model: GatemillCharLm, info: *mut GatemillCharLmInfo) -> GatemillStatus {
    entry(|| {
        let model = of(model)?;
        let (config, one) = (model.config(), model.state(1)?);
        let found = GatemillCharLmInfo {
            size: 0,
            cell: match config.cell {
                CellKind::Rnn => GATEMILL_CELL_RNN,
                CellKind::Lstm => GATEMILL_CELL_LSTM,
                CellKind::Gru => GATEMILL_CELL_GRU,
            },
            bytes: u32::from(model.vocab().kind() == VocabKind::Bytes),
            vocab: model.vocab().len(),
            layers: config.layers,
            hidden: config.hidden,
            batch: config.batch,
            seq: config.seq,
            h_len: one.h.len(),
            c_len: one.c.map_or(0, |c| c.len()),
            parameters: model.model().parameters(),
        };
        // SAFETY: this function's own condition.
        unsafe { memory::write(info, &found) }
    })
}

/// The ids of a text in UTF-8: `count` takes how many there are, `ids` as many of them as `capacity` allows. A character
/// that the model never saw has id V.
///
/// # Safety
/// `text` is NULL or has `len` bytes; `ids` is NULL or has `capacity` numbers, and `count` is NULL or one, the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_char_lm_encode(
    model: GatemillCharLm,
    text: *const c_char,
    len: usize,
    ids: *mut u32,
    capacity: usize,
    count: *mut usize,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (text, ids, count) = unsafe {
            let text = memory::slice("text", text.cast::<u8>(), len)?;
            (text, memory::slice_mut("ids", ids, capacity)?, memory::out("count", count)?)
        };
        let text = std::str::from_utf8(text).map_err(|_| Fault::usage("`text` is not UTF-8"))?;
        let found = of(model)?.encode(text)?;
        *count = found.len();
        ids.iter_mut().zip(found).for_each(|(to, id)| *to = id);
        Ok(())
    })
}

/// Reads `ids [T, B]` from the state, which becomes the state after them: `logits [T, B, V]` are those of the symbol after
/// each. B is the state's. Any number of threads may ask at once.
///
/// # Safety
/// The arrays are NULL or have as many elements as is said; those that are written are the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_char_lm_logits(
    model: GatemillCharLm,
    ids: *const u32,
    ids_len: usize,
    state: GatemillStateMut,
    logits: *mut f32,
    logits_len: usize,
) -> GatemillStatus {
    entry(|| {
        let [h, c] = state.given();
        let ids_given = ("ids", ids.cast::<f32>(), ids_len);
        memory::apart(&[("logits", logits.cast_const(), logits_len), h, c], &[ids_given])?;
        // SAFETY: this function's own condition, and what is written is apart from all else.
        let (ids, state, logits) = unsafe {
            let ids = memory::slice("ids", ids, ids_len)?;
            (ids, state.write()?, memory::slice_mut("logits", logits, logits_len)?)
        };
        let mut own = State { h: state.h.to_vec(), c: state.c.as_deref().map(<[f32]>::to_vec) };
        of(model)?.logits(ids, &mut own, logits)?;
        state.h.copy_from_slice(&own.h);
        if let (Some(to), Some(c)) = (state.c, own.c) {
            to.copy_from_slice(&c);
        }
        Ok(())
    })
}

/// One update from `ids` and `targets`, `[T, B]` each with T and B of gatemill_char_lm_info; the state is carried from
/// step to step. `report` may be NULL.
///
/// # Safety
/// `ids` and `targets` are NULL or have `len` numbers; `report` is NULL or such a struct, the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_char_lm_train_step(
    model: GatemillCharLm,
    ids: *const u32,
    targets: *const u32,
    len: usize,
    report: *mut GatemillTrainReport,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (ids, targets) = unsafe { (memory::slice("ids", ids, len)?, memory::slice("targets", targets, len)?) };
        let found = change(model, |model| Ok(model.train_step(ids, targets)?))?;
        if report.is_null() {
            return Ok(());
        }
        let found = GatemillTrainReport {
            size: 0,
            step: found.step,
            nats: found.nats,
            grad_norm: found.grad_norm,
            counted: found.counted,
        };
        // SAFETY: this function's own condition.
        unsafe { memory::write(report, &found) }
    })
}

/// The learning rate of the next steps.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_char_lm_set_lr(model: GatemillCharLm, lr: f64) -> GatemillStatus {
    entry(|| change(model, |model| Ok(model.set_lr(lr)?)))
}

/// The next training step begins from a zero state: another text.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_char_lm_clear_train_state(model: GatemillCharLm) -> GatemillStatus {
    entry(|| {
        change(model, |model| {
            model.clear_train_state();
            Ok(())
        })
    })
}
