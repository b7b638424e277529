//! Tensors of a stack in PyTorch's layout: read, set, and their gradients; one by one, or all on a crew's workers.

use crate::crew::{self, GatemillCrew};
use crate::fault::{Fault, GatemillStatus, entry};
use crate::handle::{self, object};
use crate::memory;
use crate::recurrent::{GatemillGradients, GatemillRecurrent};
use std::ffi::c_char;

/// A tensor to be read, by its name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillTensor {
    /// GatemillTensorInfo.name.
    pub name: *const c_char,
    /// Floats, in PyTorch's layout.
    pub data: *const f32,
    /// GatemillTensorInfo.len.
    pub len: usize,
}

/// A tensor to be written, by its name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GatemillTensorMut {
    /// GatemillTensorInfo.name.
    pub name: *const c_char,
    /// Floats, in PyTorch's layout.
    pub data: *mut f32,
    /// GatemillTensorInfo.len.
    pub len: usize,
}

impl GatemillTensor {
    /// Its name and its numbers. Errors: NULL; a name that is no UTF-8; an array that cannot be there.
    ///
    /// # Safety
    /// - `name` is NULL or ends with a zero byte; `data` is NULL or has `len` floats; nobody writes either while what is
    ///   returned lives.
    unsafe fn read<'a>(&self) -> Result<(&'a str, &'a [f32]), Fault> {
        // SAFETY: the caller's promise.
        unsafe { Ok((memory::text("name", self.name)?, memory::slice("data", self.data, self.len)?)) }
    }
}

impl GatemillTensorMut {
    /// The same to be written.
    ///
    /// # Safety
    /// - as [`GatemillTensor::read`], and the floats are the call's alone.
    unsafe fn write<'a>(&self) -> Result<(&'a str, &'a mut [f32]), Fault> {
        // SAFETY: the caller's promise.
        unsafe { Ok((memory::text("name", self.name)?, memory::slice_mut("data", self.data, self.len)?)) }
    }
}

/// Copies a tensor to `data`, in PyTorch's layout.
///
/// # Safety
/// `name` is NULL or ends with a zero byte; `data` is NULL or has `len` floats, the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_recurrent_get(
    recurrent: GatemillRecurrent,
    name: *const c_char,
    data: *mut f32,
    len: usize,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (name, data) = unsafe { GatemillTensorMut { name, data, len }.write()? };
        object!(recurrent, Recurrent, "recurrent", |lock| {
            Ok(handle::shared(lock, "recurrent")?.copy_tensor(name, data)?)
        })
    })
}

/// Sets a tensor from PyTorch's layout; the next pass packs the weights anew.
///
/// # Safety
/// `name` is NULL or ends with a zero byte; `data` is NULL or has `len` floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_recurrent_set(
    recurrent: GatemillRecurrent,
    name: *const c_char,
    data: *const f32,
    len: usize,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (name, data) = unsafe { GatemillTensor { name, data, len }.read()? };
        object!(recurrent, Recurrent, "recurrent", |lock| {
            Ok(handle::changed(lock, "recurrent")?.set_tensor(name, data)?)
        })
    })
}

/// Sets tensors, all or none, on the workers of a crew, and packs the weights for the passes that follow: what an
/// optimiser's step is followed by. After gatemill_recurrent_set the next pass packs them, on one thread.
///
/// # Safety
/// `tensors` is NULL or has `count` of them; their names end with a zero byte, and `data` has `len` floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_recurrent_set_all(
    recurrent: GatemillRecurrent,
    crew: GatemillCrew,
    tensors: *const GatemillTensor,
    count: usize,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let given = unsafe { memory::slice("tensors", tensors, count)? };
        // SAFETY: this function's own condition.
        let tensors = given.iter().map(|tensor| unsafe { tensor.read() }).collect::<Result<Vec<_>, Fault>>()?;
        let crew = crew::of(crew)?;
        object!(recurrent, Recurrent, "recurrent", |lock| {
            Ok(handle::changed(lock, "recurrent")?.set_tensors(&crew, &tensors)?)
        })
    })
}

/// Copies the gradient to a tensor to `data`, in PyTorch's layout.
///
/// # Safety
/// `name` is NULL or ends with a zero byte; `data` is NULL or has `len` floats, the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_gradients_get(
    gradients: GatemillGradients,
    name: *const c_char,
    data: *mut f32,
    len: usize,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let (name, data) = unsafe { GatemillTensorMut { name, data, len }.write()? };
        object!(gradients, Gradients, "gradients", |lock| {
            Ok(handle::alone(lock, "gradients")?.copy_tensor(name, data)?)
        })
    })
}

/// Copies gradients, each to its `data`, on the workers of a crew. Where one is refused, those before it are written.
///
/// # Safety
/// `tensors` is NULL or has `count` of them; their names end with a zero byte, and `data` has `len` floats, the call's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gatemill_gradients_get_all(
    gradients: GatemillGradients,
    crew: GatemillCrew,
    tensors: *const GatemillTensorMut,
    count: usize,
) -> GatemillStatus {
    entry(|| {
        // SAFETY: this function's own condition.
        let given = unsafe { memory::slice("tensors", tensors, count)? };
        let arrays: Vec<_> = given.iter().map(|tensor| ("data", tensor.data.cast_const(), tensor.len)).collect();
        memory::apart(&arrays, &[])?;
        // SAFETY: this function's own condition, and no two of them share memory.
        let mut tensors = given.iter().map(|tensor| unsafe { tensor.write() }).collect::<Result<Vec<_>, Fault>>()?;
        let crew = crew::of(crew)?;
        object!(gradients, Gradients, "gradients", |lock| {
            Ok(handle::alone(lock, "gradients")?.copy_tensors(&crew, &mut tensors)?)
        })
    })
}
