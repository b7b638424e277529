//! What a task's model is put together from: a stack that reads, a bridge, a decoder, attention, a head.
//!
//! | kind | parts, in the order of `weights_sha256` |
//! |---|---|
//! | classify, tag, map | `rnn`, `head` |
//! | translate | `encoder`, with a linear bridge `bridge`, `decoder`, with attention `attention` (general) and `combine`, `head` |
//! | describe | `bridge`, `decoder`, `head` |
//!
//! Each part has a flat layout, a network, gradients and moments of its own; norm, clip and step are over all of them.

use super::alphabet::Alphabet;
use super::config::{Attention, Bridge, TaskConfig, TaskKind};
use crate::config::{Config, ConfigError};
use crate::error::TrainError;
use crate::init::initialise_part;
use gatemill_cell::{Network, NetworkOptions, OutOfMemory, Params, StackShape};
use gatemill_crew::Crew;
use gatemill_kernels::{Cell, Layout};
use std::sync::Arc;

/// What a part is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The stack that reads the input.
    Stack,
    /// What the decoder starts from, of final states or of a condition.
    Bridge,
    /// The stack that writes.
    Decoder,
    /// W_a of general attention: memory rows to keys.
    Attention,
    /// W_c: context and h to what the head reads.
    Combine,
    /// Logits.
    Head,
}

impl Role {
    /// In the order of `weights_sha256`.
    pub(crate) const ALL: [Self; 6] =
        [Self::Stack, Self::Bridge, Self::Decoder, Self::Attention, Self::Combine, Self::Head];

    /// What its tensors' names begin with.
    pub(crate) fn prefix(self, kind: TaskKind) -> &'static str {
        match self {
            Self::Stack if kind == TaskKind::Translate => "encoder",
            Self::Stack => "rnn",
            Self::Bridge => "bridge",
            Self::Decoder => "decoder",
            Self::Attention => "attention",
            Self::Combine => "combine",
            Self::Head => "head",
        }
    }
    /// The name in a file of a tensor that the part's own layout calls `name`: `rnn.weight_ih_l0`, `embedding.weight`, or
    /// `head.bias`.
    pub(crate) fn tensor(self, kind: TaskKind, name: &str) -> String {
        let prefix = self.prefix(kind);
        match name.split_once('.') {
            Some(("embedding", _)) if prefix == "rnn" => name.into(),
            Some(("embedding", rest)) => format!("{prefix}_embedding.{rest}"),
            Some((_, rest)) => format!("{prefix}.{rest}"),
            None => format!("{prefix}.{name}"),
        }
    }
}

/// Something of each part that there is.
#[derive(Debug)]
pub(crate) struct ByRole<T>([Option<T>; 6]);

impl<T> ByRole<T> {
    /// Made for each role that has one.
    pub(crate) fn try_new<E>(mut make: impl FnMut(Role) -> Result<Option<T>, E>) -> Result<Self, E> {
        let mut all = [const { None }; 6];
        for (at, role) in all.iter_mut().zip(Role::ALL) {
            *at = make(role)?;
        }
        Ok(Self(all))
    }
    pub(crate) fn get(&self, role: Role) -> Option<&T> {
        self.0[role as usize].as_ref()
    }
    pub(crate) fn get_mut(&mut self, role: Role) -> Option<&mut T> {
        self.0[role as usize].as_mut()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Role, &T)> {
        Role::ALL.into_iter().zip(&self.0).filter_map(|(role, part)| Some((role, part.as_ref()?)))
    }
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Role, &mut T)> {
        Role::ALL.into_iter().zip(&mut self.0).filter_map(|(role, part)| Some((role, part.as_mut()?)))
    }
    /// One of this kind of model. Panics where there is none (a fault of this module).
    pub(crate) fn at(&self, role: Role) -> &T {
        self.get(role).unwrap_or_else(|| panic!("this kind of model has no {role:?}"))
    }
    /// One to be changed beside one to be read. Panics as [`ByRole::at`].
    pub(crate) fn beside(&mut self, changed: Role, read: Role) -> (&mut T, &T) {
        match self.0.get_disjoint_mut([changed as usize, read as usize]) {
            Ok([Some(changed), Some(read)]) => (changed, read),
            _ => panic!("this kind of model has no {changed:?} beside {read:?}"),
        }
    }
    /// Takes one out, to be put back. Panics as [`ByRole::at`].
    pub(crate) fn take(&mut self, role: Role) -> T {
        self.0[role as usize].take().unwrap_or_else(|| panic!("this kind of model has no {role:?}"))
    }
    /// Puts it back.
    pub(crate) fn put(&mut self, role: Role, part: T) {
        self.0[role as usize] = Some(part);
    }
    pub(crate) fn at_mut(&mut self, role: Role) -> &mut T {
        self.get_mut(role).unwrap_or_else(|| panic!("this kind of model has no {role:?}"))
    }
}

/// The form of a part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// Recurrent layers.
    Stack(StackShape),
    /// A linear map of rows.
    Linear {
        /// Columns that it reads.
        inputs: usize,
        /// Columns that it gives.
        outputs: usize,
        /// `+ b`
        bias: bool,
    },
}

/// Numbers of all states of a stack of `layers` layers (those of both directions counted), h and c.
pub(crate) fn state_numbers(config: &TaskConfig, directions: usize) -> usize {
    let Config { layers, hidden, cell, .. } = config.base;
    let of_layer = if Cell::from(cell) == Cell::Lstm { 2 } else { 1 };
    layers * directions * of_layer * hidden
}

/// The form of the part in this role, where the model has one.
pub(crate) fn form(config: &TaskConfig, alphabet: &Alphabet, role: Role) -> Option<Form> {
    let (inputs, outputs, hidden) = (alphabet.input.len(), alphabet.output.len(), config.base.hidden);
    let kind = config.kind;
    let linear = |inputs, outputs, bias| Some(Form::Linear { inputs, outputs, bias });
    match (role, kind) {
        (Role::Stack, TaskKind::Describe) => None,
        (Role::Stack, TaskKind::Map) => Some(Form::Stack(config.stack(None, inputs, false))),
        (Role::Stack, _) => Some(Form::Stack(config.stack(Some(inputs), 0, config.bidirectional))),
        (Role::Bridge, TaskKind::Describe) => linear(inputs, state_numbers(config, 1), true),
        (Role::Bridge, TaskKind::Translate) if config.bridge == Bridge::Linear => {
            linear(state_numbers(config, config.directions()), state_numbers(config, 1), true)
        }
        // One symbol more: the mark that begins an answer as an input and ends it as a class.
        (Role::Decoder, kind) if kind.decodes() => Some(Form::Stack(config.stack(Some(outputs + 1), 0, false))),
        (Role::Attention, _) if config.attention == Attention::General => linear(config.width(), hidden, false),
        (Role::Combine, _) if config.attention != Attention::None => linear(config.width() + hidden, hidden, false),
        (Role::Head, TaskKind::Classify | TaskKind::Tag | TaskKind::Map) => linear(config.width(), outputs, true),
        (Role::Head, _) => linear(hidden, outputs + 1, true),
        (Role::Bridge | Role::Decoder | Role::Attention | Role::Combine, _) => None,
    }
}

impl Form {
    /// Where its weights lie. Panics on a size beyond any machine; see [`bounded`].
    pub(crate) fn layout(&self) -> Arc<Layout> {
        Arc::new(match self {
            Form::Stack(shape) => Layout::stack(shape),
            Form::Linear { inputs, outputs, bias } => Layout::linear(*inputs, *outputs, *bias),
        })
    }
    /// A network of this form, for any batch. Errors: no memory.
    pub(crate) fn network(&self, params: &Params, options: NetworkOptions) -> Result<Network, OutOfMemory> {
        match self {
            Form::Stack(shape) => Network::stack(params.layout(), shape, options),
            Form::Linear { .. } => Network::new(params.layout(), options),
        }
    }
    /// Weights that multiply for each token or row: no one-hot symbol does.
    pub(crate) fn multiplying(&self) -> f64 {
        match self {
            Form::Stack(shape) => {
                let of = |l| {
                    let layer = shape.layer(l);
                    let inputs = if layer.symbols().is_some() { 0 } else { layer.inputs() };
                    layer.cell.gates() as f64 * layer.hidden as f64 * (layer.hidden + inputs) as f64
                };
                shape.direction.count() as f64 * (0..shape.layers).map(of).fold(0.0, |a, b| a + b)
            }
            Form::Linear { inputs, outputs, .. } => *inputs as f64 * *outputs as f64,
        }
    }
    /// All weights, about.
    fn weights(&self) -> u128 {
        match *self {
            Form::Stack(s) => {
                let (h, l) = (s.hidden as u128, s.layers as u128 * s.direction.count() as u128);
                let symbols = s.symbols.unwrap_or(0) as u128;
                let inputs = if s.symbols.is_some() && s.inputs == 0 { symbols } else { s.inputs as u128 };
                4 * h * (l * (3 * h + 2) + 2 * inputs) + symbols * s.inputs as u128
            }
            Form::Linear { inputs, outputs, .. } => (inputs as u128 + 1) * outputs as u128,
        }
    }
}

/// Most weights of a part: a TiB of them.
const MAX_WEIGHTS: u128 = 1 << 38;
/// Largest H, E and alphabet: no size of a layout overflows below it.
const MAX_DIMENSION: usize = 1 << 24;

/// Checks that the model has layouts at all. Errors: a size beyond any machine.
pub(crate) fn bounded(config: &TaskConfig, alphabet: &Alphabet) -> Result<(), ConfigError> {
    let Config { hidden, embed, .. } = config.base;
    for (flag, value) in [("hidden", hidden), ("embed", embed)] {
        if value > MAX_DIMENSION {
            return Err(ConfigError { flag, value: value.to_string(), reason: "must be at most 2^24" });
        }
    }
    let most = Role::ALL.into_iter().filter_map(|role| form(config, alphabet, role)).map(|form| form.weights()).max();
    if most.unwrap_or(0) > MAX_WEIGHTS {
        let reason = "makes more than 2^38 weights with these layers and symbols";
        return Err(ConfigError { flag: "hidden", value: hidden.to_string(), reason });
    }
    Ok(())
}

/// Initial weights of every part. Errors: no memory.
pub(crate) fn initial(config: &TaskConfig, alphabet: &Alphabet, crew: &Crew) -> Result<ByRole<Params>, TrainError> {
    ByRole::try_new(|role| {
        let Some(form) = form(config, alphabet, role) else { return Ok(None) };
        let mut params = Params::zeroed(form.layout())?;
        // torch.nn.Linear's start goes by what the map reads.
        let hidden = match form {
            Form::Stack(shape) => shape.hidden,
            Form::Linear { inputs, .. } => inputs,
        };
        let of_part = Config { hidden, ..config.base.clone() };
        initialise_part(&of_part, role as u32, &mut params, crew)?;
        Ok(Some(params))
    })
}
