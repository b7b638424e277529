//! Passes of a stack on the caller's arrays: forward, backward, step; states in and out.

use crate::crew::{self, GatemillCrew};
use crate::fault::{Fault, GatemillStatus, entry};
use crate::handle::{self, object};
use crate::memory::{self, Given, Sized0};
use crate::recurrent::{GatemillGradients, GatemillRecurrent, GatemillTape};
use gatemill::{Batch, Rows, RowsMut, StateMut, StateRef};

/// Which tokens a pass works on.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillBatch {
    /// T.
    pub steps: usize,
    /// B; with batch_sizes it may be 0.
    pub lanes: usize,
    /// NULL: every lane has T steps. Else T numbers, how many lanes have a step t, for lanes of falling length: PyTorch's
    /// PackedSequence.
    pub batch_sizes: *const usize,
}

/// Rows to be read where they are: that of (step t, lane b) begins at t * step_stride + b * lane_stride. Both strides 0: one
/// row behind the other in the order of the tokens, step by step: [T, B, C], or [N, C] as PyTorch packs it. [B, T, C] has
/// strides C and T*C. Where lanes have different lengths, strided rows past a lane's end are there but not read.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillRows {
    /// Floats; NULL is none, where there may be none.
    pub data: *const f32,
    /// How many.
    pub len: usize,
    /// Floats from step to step.
    pub step_stride: usize,
    /// Floats from lane to lane.
    pub lane_stride: usize,
}

/// Rows to be written, as GatemillRows; they must not lie over each other. Strided rows past a lane's end become zero.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillRowsMut {
    /// Floats; NULL is none, where there may be none.
    pub data: *mut f32,
    /// How many.
    pub len: usize,
    /// Floats from step to step.
    pub step_stride: usize,
    /// Floats from lane to lane.
    pub lane_stride: usize,
}

/// A state to be read: h [layers * directions, B, H], or P columns of a projection, and for an LSTM c
/// [layers * directions, B, H]. h NULL is none, where there may be none: zeros.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillState {
    /// Floats.
    pub h: *const f32,
    /// GatemillForm.h_len.
    pub h_len: usize,
    /// Floats, LSTM only, else NULL.
    pub c: *const f32,
    /// GatemillForm.c_len.
    pub c_len: usize,
}

/// A state to be written.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillStateMut {
    /// Floats.
    pub h: *mut f32,
    /// GatemillForm.h_len.
    pub h_len: usize,
    /// Floats, LSTM only, else NULL.
    pub c: *mut f32,
    /// GatemillForm.c_len.
    pub c_len: usize,
}

/// What gatemill_forward reads and writes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillForward {
    /// sizeof(GatemillForward).
    pub size: usize,
    /// Which tokens.
    pub batch: GatemillBatch,
    /// Inputs.
    pub x: GatemillRows,
    /// Initial states; h NULL: zeros.
    pub initial: GatemillState,
    /// Outputs of the top layer, written.
    pub y: GatemillRowsMut,
}

/// What gatemill_backward reads and writes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillBackward {
    /// sizeof(GatemillBackward).
    pub size: usize,
    /// Gradient to the outputs.
    pub d_y: GatemillRows,
    /// Gradient to the final states, beside what d_y says; h NULL: zeros.
    pub d_last: GatemillState,
    /// Gradient to the inputs, written; data NULL: it is not wanted, and not computed.
    pub d_x: GatemillRowsMut,
}

// SAFETY: repr(C), begins with its size, numbers and pointers that may be NULL.
unsafe impl Sized0 for GatemillForward {
    const NAME: &'static str = "GatemillForward";
}

// SAFETY: as above.
unsafe impl Sized0 for GatemillBackward {
    const NAME: &'static str = "GatemillBackward";
}

impl GatemillBatch {
    /// # Safety
    /// - `batch_sizes` is NULL or has `steps` numbers, which nobody writes while the batch lives.
    unsafe fn read<'a>(&self) -> Result<Batch<'a>, Fault> {
        if self.batch_sizes.is_null() {
            return Ok(Batch::Even { steps: self.steps, lanes: self.lanes });
        }
        // SAFETY: the caller's promise.
        let batch_sizes = unsafe { memory::slice("batch.batch_sizes", self.batch_sizes, self.steps)? };
        Ok(Batch::Packed { batch_sizes })
    }
}

fn rows(data: &[f32], (step, lane): (usize, usize), width: usize) -> Rows<'_> {
    if (step, lane) == (0, 0) { Rows::packed(data, width) } else { Rows::strided(data, step, lane) }
}

fn rows_mut(data: &mut [f32], (step, lane): (usize, usize), width: usize) -> RowsMut<'_> {
    if (step, lane) == (0, 0) { RowsMut::packed(data, width) } else { RowsMut::strided(data, step, lane) }
}

impl GatemillRows {
    fn given<'a>(&self, name: &'a str) -> Given<'a> {
        (name, self.data, self.len)
    }
    /// # Safety
    /// - `data` is NULL or has `len` floats, which nobody writes while the slice lives.
    unsafe fn read<'a>(&self, name: &str) -> Result<&'a [f32], Fault> {
        // SAFETY: the caller's promise.
        unsafe { memory::slice(name, self.data, self.len) }
    }
    fn strides(&self) -> (usize, usize) {
        (self.step_stride, self.lane_stride)
    }
}

impl GatemillRowsMut {
    fn given<'a>(&self, name: &'a str) -> Given<'a> {
        (name, self.data.cast_const(), self.len)
    }
    /// # Safety
    /// - `data` is NULL or has `len` floats that are the call's alone.
    unsafe fn write<'a>(&self, name: &str) -> Result<&'a mut [f32], Fault> {
        // SAFETY: the caller's promise.
        unsafe { memory::slice_mut(name, self.data, self.len) }
    }
    fn strides(&self) -> (usize, usize) {
        (self.step_stride, self.lane_stride)
    }
}

impl GatemillState {
    fn given<'a>(&self, [h, c]: [&'a str; 2]) -> [Given<'a>; 2] {
        [(h, self.h, self.h_len), (c, self.c, self.c_len)]
    }
    /// None where h is NULL.
    ///
    /// # Safety
    /// - h and c are NULL or have so many floats, which nobody writes while the slices live.
    unsafe fn read<'a>(&self, name: &str) -> Result<Option<StateRef<'a>>, Fault> {
        if self.h.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        unsafe {
            let h = memory::slice(&format!("{name}.h"), self.h, self.h_len)?;
            let c = match self.c.is_null() {
                true => None,
                false => Some(memory::slice(&format!("{name}.c"), self.c, self.c_len)?),
            };
            Ok(Some(StateRef { h, c }))
        }
    }
}

impl GatemillStateMut {
    pub(crate) fn given(&self) -> [Given<'static>; 2] {
        [("state.h", self.h.cast_const(), self.h_len), ("state.c", self.c.cast_const(), self.c_len)]
    }
    /// # Safety
    /// - h and c are NULL or have so many floats that are the call's alone.
    pub(crate) unsafe fn write<'a>(&self) -> Result<StateMut<'a>, Fault> {
        memory::apart(&self.given(), &[])?;
        // SAFETY: the caller's promise, and the two are apart.
        unsafe {
            let h = memory::slice_mut("state.h", self.h, self.h_len)?;
            let c = match self.c.is_null() {
                true => None,
                false => Some(memory::slice_mut("state.c", self.c, self.c_len)?),
            };
            Ok(StateMut { h, c })
        }
    }
}

/// Forward over a batch, shared out to the crew: x and the initial states give y and, on the tape, the final states. On a
/// training tape the layers drop, and gatemill_backward may follow.
///
/// # Safety
/// `pass` is NULL or such a struct, whose arrays have as many elements as it says; those that are written are the call's
/// own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_forward(
    recurrent: GatemillRecurrent,
    crew: GatemillCrew,
    tape: GatemillTape,
    pass: *const GatemillForward,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let pass = unsafe { memory::read(pass)? };
        let [h, c] = pass.initial.given(["initial.h", "initial.c"]);
        memory::apart(&[pass.y.given("y")], &[pass.x.given("x"), h, c])?;
        // SAFETY: this function's own condition, and what is written is apart from all else.
        let (batch, x, initial, y) = unsafe {
            let (x, y) = (pass.x.read("x")?, pass.y.write("y")?);
            (pass.batch.read()?, x, pass.initial.read("initial")?, y)
        };
        let crew = crew::of(crew)?;
        object!(recurrent, Recurrent, "recurrent", |stack| object!(tape, Tape, "tape", |tape| {
            let (stack, mut tape) = (handle::shared(stack, "recurrent")?, handle::alone(tape, "tape")?);
            let (inputs, outputs) = (stack.options().inputs, stack.options().outputs());
            let (x, y) = (rows(x, pass.x.strides(), inputs), rows_mut(y, pass.y.strides(), outputs));
            Ok(stack.forward_from(&crew, &mut tape, batch, x, initial, y)?)
        }))
    })
}

/// Backward over the batch of the tape's last gatemill_forward, once, with the same weights: the gradients to the outputs
/// and to the final states give those to the inputs, to the weights (`gradients` are written, not added to) and, on the
/// tape, to the initial states. Where the weights' are not wanted `gradients` is 0, and a third of the work is not done.
///
/// # Safety
/// `pass` is NULL or such a struct, whose arrays have as many elements as it says; those that are written are the call's
/// own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_backward(
    recurrent: GatemillRecurrent,
    crew: GatemillCrew,
    tape: GatemillTape,
    gradients: GatemillGradients,
    pass: *const GatemillBackward,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let pass = unsafe { memory::read(pass)? };
        let [h, c] = pass.d_last.given(["d_last.h", "d_last.c"]);
        memory::apart(&[pass.d_x.given("d_x")], &[pass.d_y.given("d_y"), h, c])?;
        // SAFETY: this function's own condition, and what is written is apart from all else.
        let (d_y, d_last, d_x) = unsafe {
            let d_x = if pass.d_x.data.is_null() { None } else { Some(pass.d_x.write("d_x")?) };
            (pass.d_y.read("d_y")?, pass.d_last.read("d_last")?, d_x)
        };
        let crew = crew::of(crew)?;
        object!(recurrent, Recurrent, "recurrent", |stack| object!(tape, Tape, "tape", |tape| {
            let (stack, mut tape) = (handle::shared(stack, "recurrent")?, handle::alone(tape, "tape")?);
            let (inputs, outputs) = (stack.options().inputs, stack.options().outputs());
            let d_y = rows(d_y, pass.d_y.strides(), outputs);
            let d_x = d_x.map(|d_x| rows_mut(d_x, pass.d_x.strides(), inputs));
            if gradients.id == 0 {
                return Ok(stack.backward_from(&crew, &mut tape, d_y, d_last, d_x, None)?);
            }
            object!(gradients, Gradients, "gradients", |gradients| {
                let mut gradients = handle::alone(gradients, "gradients")?;
                Ok(stack.backward_from(&crew, &mut tape, d_y, d_last, d_x, Some(&mut gradients))?)
            })
        }))
    })
}

/// Writes the states after the last valid step of each lane of the tape's last forward.
///
/// # Safety
/// The arrays of `state` are NULL or have as many elements as it says, the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_tape_final_state(tape: GatemillTape, state: GatemillStateMut) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let state = unsafe { state.write()? };
        object!(tape, Tape, "tape", |lock| Ok(handle::alone(lock, "tape")?.final_state_into(state)?))
    })
}

/// Writes the gradients to the initial states, after gatemill_backward.
///
/// # Safety
/// The arrays of `state` are NULL or have as many elements as it says, the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_tape_initial_grad(tape: GatemillTape, state: GatemillStateMut) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let state = unsafe { state.write()? };
        object!(tape, Tape, "tape", |lock| Ok(handle::alone(lock, "tape")?.initial_grad_into(state)?))
    })
}

/// One step of B lanes on the calling thread, without dropout: x [B, I] and the state before it give y [B, outputs] and
/// the state after it, in its place. B is what x holds. Once a tape has stepped B lanes, further steps of as many allocate
/// nothing.
///
/// # Safety
/// The arrays are NULL or have as many elements as is said; y and those of `state` are the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_step(
    recurrent: GatemillRecurrent,
    tape: GatemillTape,
    x: *const f32,
    x_len: usize,
    state: GatemillStateMut,
    y: *mut f32,
    y_len: usize,
) -> GatemillStatus {
    entry(|| {
        let [h, c] = state.given();
        memory::apart(&[("y", y.cast_const(), y_len), h, c], &[("x", x, x_len)])?;
        // SAFETY: this function's own condition, and what is written is apart from all else.
        let (x, state, y) =
            unsafe { (memory::slice("x", x, x_len)?, state.write()?, memory::slice_mut("y", y, y_len)?) };
        object!(recurrent, Recurrent, "recurrent", |stack| object!(tape, Tape, "tape", |tape| {
            let (stack, mut tape) = (handle::shared(stack, "recurrent")?, handle::alone(tape, "tape")?);
            Ok(stack.step_from(&mut tape, x, state, y)?)
        }))
    })
}
