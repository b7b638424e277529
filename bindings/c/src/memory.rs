//! Arrays, texts and structs of the caller's, as Rust's: after all that can be seen of them has been checked.
//!
//! What cannot be seen is the caller's to hold: that so many elements are there, that nobody else writes them during the
//! call, and (for what is read) that they hold numbers.

use crate::fault::Fault;
use std::ffi::{CStr, c_char};

/// Errors: no array of so many elements can be there.
fn possible<T>(name: &str, data: *const T, len: usize) -> Result<(), Fault> {
    if data.is_null() {
        return Err(Fault::usage(format!("`{name}` is NULL, but should hold {len} elements")));
    }
    if !data.is_aligned() {
        return Err(Fault::usage(format!("`{name}` is not aligned to the {} bytes of its elements", align_of::<T>())));
    }
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(Fault::usage(format!("`{name}` is said to hold {len} elements, more than memory has")));
    }
    Ok(())
}

/// Elements to be read; of none the pointer is not looked at. Errors: NULL, misaligned, longer than memory.
///
/// # Safety
/// - `data` has `len` elements that hold values of T, and nobody writes them while the slice lives.
pub(crate) unsafe fn slice<'a, T>(name: &str, data: *const T, len: usize) -> Result<&'a [T], Fault> {
    if len == 0 {
        return Ok(&[]);
    }
    possible(name, data, len)?;
    // SAFETY: not NULL, aligned, no longer than memory by the check; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// The same to be written.
///
/// # Safety
/// - `data` has `len` elements, and nobody else reads or writes them while the slice lives.
pub(crate) unsafe fn slice_mut<'a, T>(name: &str, data: *mut T, len: usize) -> Result<&'a mut [T], Fault> {
    if len == 0 {
        return Ok(&mut []);
    }
    possible(name, data, len)?;
    // SAFETY: as in `slice`.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

/// An array of a call as it was given: name, where it begins, floats.
pub(crate) type Given<'a> = (&'a str, *const f32, usize);

/// Errors: an array that is written shares memory with another of the call. To be asked before any of them is a slice.
pub(crate) fn apart(written: &[Given<'_>], read: &[Given<'_>]) -> Result<(), Fault> {
    // One that cannot be there shares nothing: what is wrong with it is said when it becomes a slice.
    let range = |&(name, data, len): &Given<'_>| {
        let start = data.addr();
        let there = len > 0 && possible(name, data, len).is_ok();
        there.then(|| start..start.saturating_add(len * size_of::<f32>()))
    };
    for (i, a) in written.iter().enumerate() {
        for b in written[i + 1..].iter().chain(read) {
            let Some((one, other)) = range(a).zip(range(b)) else { continue };
            if one.start < other.end && other.start < one.end {
                let message = format!("`{}`, which is written, shares memory with `{}`: give it its own", a.0, b.0);
                return Err(Fault::usage(message));
            }
        }
    }
    Ok(())
}

/// A text that ends with a zero byte. Errors: NULL; no UTF-8.
///
/// # Safety
/// - where it is not NULL, `text` ends with a zero byte, and nobody writes it while the str lives.
pub(crate) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str, Fault> {
    if text.is_null() {
        return Err(Fault::usage(format!("`{name}` is NULL, but should be a text")));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Fault::usage(format!("`{name}` is not UTF-8")))
}

/// Where a result goes. Errors: NULL, misaligned.
///
/// # Safety
/// - where it is not NULL, `out` has room for a T that is the call's alone.
pub(crate) unsafe fn out<'a, T>(name: &str, out: *mut T) -> Result<&'a mut T, Fault> {
    possible(name, out, 1)?;
    // SAFETY: not NULL and aligned; the rest is the caller's promise. Every T that goes out here is plain numbers.
    Ok(unsafe { &mut *out })
}

/// A struct whose first member is its size in bytes, as the caller's header has it.
///
/// # Safety
/// - the type is `repr(C)`, its first member is a `usize`, all bytes zero are a value of it, and so is any prefix of
///   another value followed by zeros.
pub(crate) unsafe trait Sized0: Copy {
    /// Bytes of it in the first header that had it.
    const FIRST: usize = size_of::<Self>();
    /// Its name in the header.
    const NAME: &'static str;
}

/// Largest struct of any header to come.
const MOST: usize = 1 << 12;

/// The size that a struct of the caller's says it has. Errors: NULL, misaligned, of no header.
///
/// # Safety
/// - where it is not NULL, `data` begins with a size, and so many bytes are there.
unsafe fn size_of_theirs<T: Sized0>(data: *const T) -> Result<usize, Fault> {
    possible(T::NAME, data, 1)?;
    // SAFETY: not NULL, aligned for T and so for its first member, which is there.
    let size = unsafe { data.cast::<usize>().read() };
    if size < T::FIRST || size > MOST {
        let (name, first) = (T::NAME, T::FIRST);
        let message =
            format!("`size` of {name} is {size}, but the struct has at least {first} bytes: set it to sizeof");
        return Err(Fault::usage(message));
    }
    Ok(size)
}

/// Reads a struct; members that an older header lacks are zero, their default. Errors: NULL, misaligned, a size of no
/// header; a newer header's, with members set that are not known here.
///
/// # Safety
/// - where it is not NULL, `data` begins with a size, so many bytes are there, and nobody writes them during the call.
pub(crate) unsafe fn read<T: Sized0>(data: *const T) -> Result<T, Fault> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_of_theirs(data)? };
    let known = size.min(size_of::<T>());
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are there, in the caller's struct and in this one, which is another; what is left out is zero,
    // so that the whole is a value (`Sized0`). What lies behind is read as bytes, and is inside the caller's size.
    unsafe {
        std::ptr::copy_nonoverlapping(data.cast::<u8>(), value.as_mut_ptr().cast(), known);
        let rest = std::slice::from_raw_parts(data.cast::<u8>().add(known), size - known);
        if rest.iter().any(|&byte| byte != 0) {
            let message = format!("{} sets members of a newer header than this library's: leave them at 0", T::NAME);
            return Err(Fault::usage(message));
        }
        Ok(value.assume_init())
    }
}

/// Writes a struct, but for what an older header lacks, and for its size. Errors: as `read`.
///
/// # Safety
/// - where it is not NULL, `data` begins with a size, and so many bytes are there, the call's alone.
pub(crate) unsafe fn write<T: Sized0>(data: *mut T, value: &T) -> Result<(), Fault> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_of_theirs(data.cast_const())? };
    let (first, known) = (size_of::<usize>(), size.min(size_of::<T>()));
    // SAFETY: `known` bytes are there on both sides, which are apart; the first member stays.
    unsafe {
        let from = std::ptr::from_ref(value).cast::<u8>().add(first);
        std::ptr::copy_nonoverlapping(from, data.cast::<u8>().add(first), known - first);
    }
    Ok(())
}
