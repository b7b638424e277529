//! A stack of recurrent layers: options, weights, and what is made for it.

use crate::error::TensorError;
use crate::gradients::Gradients;
use crate::state::{State, StateForm};
use crate::tape::{Mode, Tape};
use crate::weights::Weights;
use crate::{Error, RecurrentOptions};
use gatemill_cell::{OutOfMemory, TensorSpec};
use gatemill_crew::Crew;
use gatemill_kernels::{Kernels, Layout, Purpose, uniform};
use std::sync::Arc;

/// What PyTorch's names are without, and the engine's are with.
const PREFIX: &str = "rnn.";
/// The stream of the first tensor's initial weights.
const FIRST_STREAM: u32 = 32;

/// A tensor's name and shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// PyTorch's: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, ...
    pub name: &'a str,
    /// `[G*H, I]`, `[G*H, H]`, `[G*H]`.
    pub shape: &'a [usize],
}

/// The tensors of a stack and where they lie.
#[derive(Debug)]
pub(crate) struct Tensors {
    pub(crate) layout: Arc<Layout>,
    specs: Vec<TensorSpec>,
}

impl Tensors {
    fn infos(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.specs.iter().map(|spec| TensorInfo { name: short(spec), shape: &spec.shape })
    }
    pub(crate) fn spec(&self, name: &str) -> Result<&TensorSpec, TensorError> {
        self.specs.iter().find(|spec| short(spec) == name).ok_or_else(|| TensorError::Unknown {
            name: name.into(),
            known: self.infos().map(|info| info.name).collect::<Vec<_>>().join(", "),
        })
    }
    /// The tensor of this name, of which the caller has so many elements. Errors: none of this name; another number.
    pub(crate) fn fitting(&self, name: &str, found: usize) -> Result<&TensorSpec, TensorError> {
        let spec = self.spec(name)?;
        if found == spec.len() {
            return Ok(spec);
        }
        Err(TensorError::Size { name: name.into(), found, shape: spec.shape.clone(), expected: spec.len() })
    }
}

fn short(spec: &TensorSpec) -> &str {
    spec.name.strip_prefix(PREFIX).unwrap_or(&spec.name)
}

/// A stack of recurrent layers: what `torch.nn.LSTM`, `GRU` and `RNN` are, on slices.
///
/// It is `Send` and `Sync`, and a pass borrows it: any number of threads may run passes of one stack at once, each on a
/// [`Tape`] of its own. Weights are packed for the kernels by the first pass after a change, and not again. A clone shares
/// the weights until one of the two is changed.
///
/// ```
/// use gatemill::{Batch, Cell, Crew, Mode, Recurrent, RecurrentOptions, Rows, RowsMut};
///
/// # fn main() -> Result<(), gatemill::Error> {
/// let crew = Crew::new(2)?;
/// let lstm = Recurrent::new(&RecurrentOptions::new(Cell::Lstm, 3, 5))?;
/// let (steps, lanes) = (4, 2);
/// let x = vec![0.5; steps * lanes * 3];
/// let mut y = vec![0.0; steps * lanes * 5];
/// let mut tape = lstm.tape(Mode::Inference);
/// lstm.forward(
///     &crew,
///     &mut tape,
///     Batch::Even { steps, lanes },
///     Rows::time_major(&x, lanes, 3),
///     None,
///     RowsMut::time_major(&mut y, lanes, 5),
/// )?;
/// // The last step's output of a forward layer is its final state.
/// let mut state = lstm.state(lanes)?;
/// tape.final_state(&mut state)?;
/// assert_eq!(state.h, y[3 * lanes * 5..]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Recurrent {
    pub(crate) options: RecurrentOptions,
    pub(crate) kernels: Kernels,
    pub(crate) tensors: Arc<Tensors>,
    pub(crate) weights: Arc<Weights>,
}

impl Recurrent {
    /// A stack with PyTorch's initial weights, U(-1/sqrt(H), 1/sqrt(H)), a function of the seed.
    ///
    /// Errors: an option that cannot be; no memory; a `GATEMILL_ISA` that this machine lacks.
    pub fn new(options: &RecurrentOptions) -> Result<Self, Error> {
        Self::with_kernels(options, Kernels::from_env()?)
    }
    /// The same on the kernels of one tier. Errors: as [`Recurrent::new`].
    pub fn with_kernels(options: &RecurrentOptions, kernels: Kernels) -> Result<Self, Error> {
        options.validate()?;
        let layout = Arc::new(Layout::stack(&options.shape()));
        let tensors = Arc::new(Tensors { specs: TensorSpec::all(&layout), layout: layout.clone() });
        let mut weights = Weights::zeroed(layout)?;
        let bound = 1.0 / (options.hidden as f64).sqrt();
        let mut data = Vec::new();
        for (stream, spec) in (FIRST_STREAM..).zip(&tensors.specs) {
            let number = |i| uniform(options.seed, Purpose::Init, stream, i);
            data.try_reserve(spec.len()).map_err(|_| OutOfMemory { bytes: 4 * spec.len() })?;
            data.extend((0..spec.len() as u64).map(|i| ((2.0 * number(i) - 1.0) * bound) as f32));
            weights.change(|params| params.set(&spec.name, &data)).transpose()?;
            data.clear();
        }
        Ok(Self { options: *options, kernels, tensors, weights: Arc::new(weights) })
    }
    /// What it is made of.
    pub fn options(&self) -> &RecurrentOptions {
        &self.options
    }
    /// The kernels' tier: `avx512`, `avx2` or `portable`.
    pub fn tier(&self) -> &'static str {
        self.kernels.name()
    }

    /// Every tensor, in PyTorch's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.tensors.infos()
    }
    /// A tensor in PyTorch's layout. Errors: none of this name.
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>, Error> {
        let mut out = vec![0.0; self.tensors.spec(name)?.len()];
        self.copy_tensor(name, &mut out)?;
        Ok(out)
    }
    /// A tensor in PyTorch's layout, written to `out`. Errors: none of this name; another number of elements.
    pub fn copy_tensor(&self, name: &str, out: &mut [f32]) -> Result<(), Error> {
        let spec = self.tensors.fitting(name, out.len())?;
        self.weights.read(|params| spec.export(&self.tensors.layout, params.masters(), out));
        Ok(())
    }
    /// Sets a tensor from PyTorch's layout. Errors: none of this name; another number of elements; no memory for a copy
    /// of the weights, where a clone shares them.
    pub fn set_tensor(&mut self, name: &str, data: &[f32]) -> Result<(), Error> {
        self.set(&Crew::alone(), &[(name, data)], false)
    }
    /// Sets tensors by name on all workers of a crew, and makes of them what passes read, which the next pass would do on
    /// one thread. Errors: as [`Recurrent::set_tensor`]; then none is set.
    pub fn set_tensors(&mut self, crew: &Crew, tensors: &[(&str, &[f32])]) -> Result<(), Error> {
        self.set(crew, tensors, true)
    }
    fn set(&mut self, crew: &Crew, tensors: &[(&str, &[f32])], packs: bool) -> Result<(), Error> {
        let mut named = Vec::with_capacity(tensors.len());
        for (name, data) in tensors {
            named.push((&self.tensors.fitting(name, data.len())?.name, data));
        }
        if Arc::get_mut(&mut self.weights).is_none() {
            self.weights = Arc::new(self.weights.copy()?);
        }
        let Some(weights) = Arc::get_mut(&mut self.weights) else { return Ok(()) };
        crew.lead(|| {
            let mut named = named.into_iter();
            weights.change(|params| named.try_for_each(|(name, data)| params.set_on(crew, name, data))).transpose()?;
            if packs {
                weights.pack_on(crew, &self.kernels);
            }
            Ok(())
        })
    }

    /// A tape for passes of this stack.
    pub fn tape(&self, mode: Mode) -> Tape {
        Tape::new(&self.options, &self.tensors.layout, mode)
    }
    /// A place for the weights' gradients.
    pub fn gradients(&self) -> Gradients {
        Gradients::new(&self.options, &self.tensors)
    }
    /// The zero state of so many lanes. Errors: its size is beyond memory.
    pub fn state(&self, lanes: usize) -> Result<State, Error> {
        Ok(self.state_form(lanes)?.zeros())
    }
    /// Floats of h, and of c where the cell is an LSTM, of a state of so many lanes. Errors: more than memory has.
    pub fn state_len(&self, lanes: usize) -> Result<(usize, Option<usize>), Error> {
        let form = self.state_form(lanes)?;
        Ok((form.layers * form.h, form.c.map(|c| form.layers * c)))
    }
    pub(crate) fn state_form(&self, lanes: usize) -> Result<StateForm, Error> {
        let form = StateForm::new(&self.options, lanes);
        form.ok_or_else(|| OutOfMemory { bytes: usize::MAX }.into())
    }
}
