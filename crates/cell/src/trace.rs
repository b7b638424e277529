//! A look inside a pass: h, c and every gate of every layer at a token, as `forward` has left them.
//!
//! Nothing is copied: a pass keeps these values for backward in any case. They are those of the last `forward`; backward
//! puts gradients into the gates' place.

use crate::network::Network;
use gatemill_kernels::{Cell, LANES};

/// A part of a unit that can be looked at. Letters: lecture L1, L9, L11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// h_t.
    Hidden,
    /// c_t of an LSTM.
    Cell,
    /// i, the input gate of an LSTM.
    Input,
    /// f, the forget gate of an LSTM.
    Forget,
    /// g, what an LSTM's input gate lets in (the lecture's C~).
    Gate,
    /// o, the output gate of an LSTM.
    Output,
    /// r, the reset gate of a GRU.
    Reset,
    /// z, the update gate of a GRU: 1 keeps h_{t-1}.
    Update,
    /// n, what a GRU's update gate lets in.
    New,
}

impl Part {
    /// The parts of a cell: states first, then gates in PyTorch's order.
    pub fn of(cell: Cell) -> &'static [Part] {
        use Part::{Cell as State, Forget, Gate, Hidden, Input, New, Output, Reset, Update};
        match cell {
            Cell::Rnn => &[Hidden],
            Cell::Lstm => &[Hidden, State, Input, Forget, Gate, Output],
            Cell::Gru => &[Hidden, Reset, Update, New],
        }
    }
    /// The letter of the equations.
    pub fn letter(self) -> &'static str {
        match self {
            Part::Hidden => "h",
            Part::Cell => "c",
            Part::Input => "i",
            Part::Forget => "f",
            Part::Gate => "g",
            Part::Output => "o",
            Part::Reset => "r",
            Part::Update => "z",
            Part::New => "n",
        }
    }
    /// It is carried from step to step.
    pub fn is_state(self) -> bool {
        matches!(self, Part::Hidden | Part::Cell)
    }
    /// It opens and closes: a sigmoid, from 0 to 1.
    pub fn opens(self) -> bool {
        matches!(self, Part::Input | Part::Forget | Part::Output | Part::Reset | Part::Update)
    }
    /// Which of the vectors that are kept of 16 units of a plain cell.
    fn slot(self) -> usize {
        match self {
            Part::Input | Part::New => 0,
            Part::Forget | Part::Reset => 1,
            Part::Gate | Part::Update => 2,
            Part::Output => 3,
            Part::Hidden | Part::Cell => unreachable!("a state is no gate"),
        }
    }
}

impl Network {
    /// Units that layer `layer` has of a part; 0 where its cell has no such part. Panics where there is no such layer.
    pub fn traced_units(&self, layer: usize, part: Part) -> usize {
        let shape = &self.layout.layers()[layer].shape;
        match part {
            _ if !Part::of(shape.cell).contains(&part) => 0,
            Part::Hidden => shape.outputs(),
            _ => shape.hidden,
        }
    }
    /// Units `vector * 16 ..` of a part at (`t`, `lane`), after `forward`: 16 numbers, those beyond the last unit of no
    /// meaning. Panics where the layer's cell has no such part, or there is no such token.
    pub fn traced(&self, layer: usize, part: Part, vector: usize, t: usize, lane: usize) -> &[f32] {
        let (shape, b) = (&self.layout.layers()[layer].shape, &self.bufs.layers[layer]);
        assert!(
            Part::of(shape.cell).contains(&part),
            "layer {layer}: a {} has no {}",
            shape.cell.name(),
            part.letter()
        );
        let tokens = self.ws.tokens();
        let token = tokens.token(t, lane);
        match part {
            Part::Hidden => self.ws.vector(b.h, vector, tokens.row(token)),
            Part::Cell => self.ws.vector(b.c.expect("an LSTM keeps c"), vector, tokens.row(token)),
            gate => self.ws.vector(b.gates, vector * shape.slots().per_panel() + gate.slot(), token),
        }
    }
    /// A part of all units at (`t`, `lane`) into `out`. Panics where that has another length, and as [`Network::traced`].
    pub fn trace_into(&self, layer: usize, part: Part, t: usize, lane: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.traced_units(layer, part), "layer {layer}: {} has another length", part.letter());
        for (vector, out) in out.chunks_mut(LANES).enumerate() {
            out.copy_from_slice(&self.traced(layer, part, vector, t, lane)[..out.len()]);
        }
    }
}
