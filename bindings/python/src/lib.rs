//! `gatemill._core`: what the Python package stands on. Arrays go in and out as NumPy's; the GIL is released while it computes.
//!
//! The package's own Python (`python/gatemill`) understands arguments and speaks to people; here are stacks of layers, states,
//! the character model and threads.

mod arrays; // NumPy arrays as rows and slices of f32, borrowed while in use
mod faults; // errors and panics become Python's exceptions
mod fingerprint; // whether somebody wrote to an array
mod openmp; // a host's threads
mod options; // keyword arguments become options
mod threads; // the crew that all calls share, also after a fork

mod stack; // recurrent layers: forward, backward, step
mod state; // h and c as a value
mod tape; // the activations of passes, used again

mod char_lm; // the character model

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<stack::Stack>()?;
    module.add_class::<state::State>()?;
    module.add_class::<tape::Lease>()?;
    module.add_class::<char_lm::CharLm>()?;
    module.add_class::<char_lm::Text>()?;
    module.add_function(wrap_pyfunction!(fingerprint::fingerprints, module)?)?;
    module.add_function(wrap_pyfunction!(threads::set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(threads::get_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(threads::follow_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(threads::adopt_openmp, module)?)?;
    module.add_function(wrap_pyfunction!(threads::after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(threads::isa, module)?)?;
    Ok(())
}
