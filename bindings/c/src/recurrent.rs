//! A stack of layers, what its tensors are, and what is made for its passes.

use crate::fault::{GatemillStatus, entry};
use crate::handle::{self, Object, object};
use crate::memory::{self, Sized0};
use crate::options::GatemillRecurrentOptions;
use gatemill::{Gradients, Mode, Recurrent};
use std::ffi::c_char;
use std::sync::{Mutex, RwLock};

/// A stack of recurrent layers and its weights. 0 is none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillRecurrent {
    /// Its number.
    pub id: u64,
}

/// What one pass keeps; memory is allocated by its first pass, and kept. 0 is none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillTape {
    /// Its number.
    pub id: u64,
}

/// Gradients to the weights of a stack. 0 is none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillGradients {
    /// Its number.
    pub id: u64,
}

/// Longest name of a tensor, the zero byte included.
pub const GATEMILL_NAME_BYTES: usize = 64;

/// A tensor of a stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillTensorInfo {
    /// sizeof(GatemillTensorInfo).
    pub size: usize,
    /// Floats of it.
    pub len: usize,
    /// [rows, columns], row by row; [rows, 1] for a bias.
    pub shape: [usize; 2],
    /// PyTorch's: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse, ...; ends with a zero byte.
    pub name: [c_char; GATEMILL_NAME_BYTES],
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Sized0 for GatemillTensorInfo {
    const NAME: &'static str = "GatemillTensorInfo";
}

/// How many floats go into a stack and come out of it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillForm {
    /// sizeof(GatemillForm).
    pub size: usize,
    /// Floats of an input row.
    pub inputs: usize,
    /// Floats of an output row.
    pub outputs: usize,
    /// Layers times directions.
    pub layers: usize,
    /// Floats of h of all lanes: [layers, lanes, H], or P columns of a projection.
    pub h_len: usize,
    /// Floats of c of all lanes: [layers, lanes, H]; 0 where the cell is no LSTM.
    pub c_len: usize,
    /// Tensors.
    pub tensors: usize,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Sized0 for GatemillForm {
    const NAME: &'static str = "GatemillForm";
}

/// Makes a stack with PyTorch's initial weights, U(-1/sqrt(H), 1/sqrt(H)), a function of the seed.
///
/// # Safety
/// `options` and `recurrent` are NULL or such structs; the second is the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_recurrent_new(
    options: *const GatemillRecurrentOptions,
    recurrent: *mut GatemillRecurrent,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (options, out) = unsafe { (memory::read(options)?, memory::out("recurrent", recurrent)?) };
        let made = Recurrent::new(&options.read()?)?;
        out.id = handle::put(Object::Recurrent(RwLock::new(made)))?;
        Ok(())
    })
}

/// A copy, which shares the weights until one of the two is changed.
///
/// # Safety
/// `copy` is NULL or a GatemillRecurrent of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_recurrent_copy(
    recurrent: GatemillRecurrent,
    copy: *mut GatemillRecurrent,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let out = unsafe { memory::out("copy", copy)? };
        let made = object!(recurrent, Recurrent, "recurrent", |lock| handle::shared(lock, "recurrent")?.clone());
        out.id = handle::put(Object::Recurrent(RwLock::new(made)))?;
        Ok(())
    })
}

/// Frees a stack. 0 is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_recurrent_free(recurrent: GatemillRecurrent) -> GatemillStatus {
    entry(|| handle::free(recurrent.id, "recurrent"))
}

/// Floats of rows and, for so many lanes, of states.
///
/// # Safety
/// `form` is NULL or a GatemillForm of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_recurrent_form(
    recurrent: GatemillRecurrent,
    lanes: usize,
    form: *mut GatemillForm,
) -> GatemillStatus {
    entry(|| {
        object!(recurrent, Recurrent, "recurrent", |lock| {
            let stack = handle::shared(lock, "recurrent")?;
            let (h_len, c_len) = stack.state_len(lanes)?;
            let options = stack.options();
            let found = GatemillForm {
                size: 0,
                inputs: options.inputs,
                outputs: options.outputs(),
                layers: options.layers * options.directions(),
                h_len,
                c_len: c_len.unwrap_or(0),
                tensors: stack.tensors().count(),
            };
            // SAFETY: this function's own condition.
            unsafe { memory::write(form, &found) }
        })
    })
}

/// Name and shape of tensor `index`, from 0, in PyTorch's order.
///
/// # Safety
/// `info` is NULL or a GatemillTensorInfo of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_recurrent_tensor(
    recurrent: GatemillRecurrent,
    index: usize,
    info: *mut GatemillTensorInfo,
) -> GatemillStatus {
    entry(|| {
        object!(recurrent, Recurrent, "recurrent", |lock| {
            let stack = handle::shared(lock, "recurrent")?;
            let none = || crate::fault::Fault::usage(format!("there is no tensor {index} of this stack"));
            let tensor = stack.tensors().nth(index).ok_or_else(none)?;
            let (rows, columns) = (tensor.shape.first(), tensor.shape.get(1));
            let shape = [rows.copied().unwrap_or(1), columns.copied().unwrap_or(1)];
            let mut name = [0; GATEMILL_NAME_BYTES];
            // Names are ASCII, and the last byte stays 0.
            let bytes = tensor.name.bytes().take(GATEMILL_NAME_BYTES - 1);
            name.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte as c_char);
            let found = GatemillTensorInfo { size: 0, len: shape[0] * shape[1], shape, name };
            // SAFETY: this function's own condition.
            unsafe { memory::write(info, &found) }
        })
    })
}

/// Makes a tape for passes of a stack: with `training` 1 for forward with dropout and backward, with 0 for forward alone.
///
/// # Safety
/// `tape` is NULL or a GatemillTape of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_tape_new(
    recurrent: GatemillRecurrent,
    training: u32,
    tape: *mut GatemillTape,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let out = unsafe { memory::out("tape", tape)? };
        let mode = if training == 0 { Mode::Inference } else { Mode::Training };
        let made = object!(recurrent, Recurrent, "recurrent", |lock| handle::shared(lock, "recurrent")?.tape(mode));
        out.id = handle::put(Object::Tape(Mutex::new(made)))?;
        Ok(())
    })
}

/// Frees a tape. 0 is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_tape_free(tape: GatemillTape) -> GatemillStatus {
    entry(|| handle::free(tape.id, "tape"))
}

/// Dropout's masks are a function of (seed, layer, lane, position, unit); each training pass moves a tape's position on by
/// its steps. This sets where the next pass begins.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_tape_set_position(tape: GatemillTape, position: u64) -> GatemillStatus {
    entry(|| {
        object!(tape, Tape, "tape", |lock| handle::alone(lock, "tape")?.set_position(position));
        Ok(())
    })
}

/// Makes a place for the gradients to a stack's weights.
///
/// # Safety
/// `gradients` is NULL or a GatemillGradients of the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_gradients_new(
    recurrent: GatemillRecurrent,
    gradients: *mut GatemillGradients,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let out = unsafe { memory::out("gradients", gradients)? };
        let made: Gradients =
            object!(recurrent, Recurrent, "recurrent", |lock| handle::shared(lock, "recurrent")?.gradients());
        out.id = handle::put(Object::Gradients(Mutex::new(made)))?;
        Ok(())
    })
}

/// Frees gradients. 0 is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn gatemill_gradients_free(gradients: GatemillGradients) -> GatemillStatus {
    entry(|| handle::free(gradients.id, "gradients"))
}
