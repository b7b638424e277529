//! The kinds of RNN, example by example: a forward pass to the mean loss, on any [`Scalar`], from weights by name.
//!
//! ```text
//! classify    stack over the symbols | pool                     | head
//! tag         stack over the symbols                            | head at each
//! map         stack of one step over the numbers                | head
//! translate   encoder | bridge | decoder over [mark, answer] | attention | head at each, to [answer, mark]
//! describe    the condition's row | linear bridge | decoder     | head at each, likewise
//! ```
//!
//! No batches, no packing: each example by itself. Every derivative of the loss follows from dual numbers or from
//! differences; there is no backward pass here that could share a slip with another. Names are those of the files.

use crate::attention::attend;
use crate::cell::Cell;
use crate::complete::variant::Variant;
use crate::complete::{CellParams, CellShape, sequence};
use crate::dot::matvec;
use crate::embedding::lookup;
use crate::loss::log_softmax;
use crate::pool::{Pool, pool};
use crate::scalar::Scalar;
use std::collections::BTreeMap;

/// Which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A class of a sequence.
    Classify(Pool),
    /// A class of each symbol.
    Tag,
    /// A sequence for a sequence.
    Translate {
        /// There is a matrix between the keys and the encoder's rows, or the rows are the keys; None: no attention.
        attention: Option<bool>,
        /// The decoder starts from a linear map of all final states; false: from the states, or the mean of two directions.
        linear: bool,
    },
    /// A sequence for a condition.
    Describe,
    /// A class of numbers.
    Map,
}

/// Sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    /// Which kind.
    pub kind: Kind,
    /// The cell of every stack.
    pub cell: Cell,
    /// L of every stack.
    pub layers: usize,
    /// H of every stack.
    pub hidden: usize,
    /// D of the stack that reads.
    pub directions: usize,
    /// E of every embedding; 0: symbols are one-hot.
    pub embed: usize,
    /// Symbols of inputs, or numbers.
    pub inputs: usize,
    /// Classes, or symbols of answers without their mark.
    pub outputs: usize,
}

/// An example: symbols (`inputs` itself is one never seen) or numbers, and what is to come out.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Symbols.
    pub symbols: Vec<usize>,
    /// Numbers, in the place of symbols: of map and describe.
    pub numbers: Vec<f64>,
    /// Classes or symbols; `outputs` is left out.
    pub output: Vec<usize>,
}

/// Weights by name.
pub type Weights<S> = BTreeMap<String, Vec<S>>;

/// h and c of a layer.
type State<S> = (Vec<S>, Vec<S>);

fn tensor<'a, S>(weights: &'a Weights<S>, name: &str) -> &'a [S] {
    weights.get(name).unwrap_or_else(|| panic!("no tensor `{name}`"))
}

/// `W x + b`, or `W x` where there is no bias.
fn linear<S: Scalar>(weights: &Weights<S>, name: &str, x: &[S]) -> Vec<S> {
    let w = tensor(weights, &format!("{name}.weight"));
    let y = matvec(w, x, w.len() / x.len());
    match weights.get(&format!("{name}.bias")) {
        Some(b) => y.iter().zip(b).map(|(&y, &b)| y + b).collect(),
        None => y,
    }
}

impl Form {
    fn cell_shape(&self, inputs: usize) -> CellShape {
        CellShape { cell: self.cell, variant: Variant::default(), inputs, hidden: self.hidden }
    }

    /// A row for each symbol: of the embedding, or one-hot; zeros for one never seen.
    fn rows<S: Scalar>(&self, weights: &Weights<S>, embedding: &str, symbols: &[usize], count: usize) -> Vec<Vec<S>> {
        let (one, zero) = (S::constant(1.0), S::constant(0.0));
        let row = |&s: &usize| match self.embed {
            0 => (0..count).map(|i| if i == s { one } else { zero }).collect(),
            _ => lookup(tensor(weights, embedding), &[s.min(count)], count),
        };
        symbols.iter().map(row).collect()
    }

    /// A stack over one sequence: its rows, and the final state of each layer (the reversed one of two behind the other).
    fn stack<S: Scalar>(
        &self,
        weights: &Weights<S>,
        (name, directions): (&str, usize),
        mut x: Vec<Vec<S>>,
        start: Option<&[State<S>]>,
    ) -> (Vec<Vec<S>>, Vec<State<S>>) {
        let mut last = Vec::new();
        for l in 0..self.layers {
            let shape = self.cell_shape(x[0].len());
            let mut up = vec![Vec::new(); x.len()];
            for d in 0..directions {
                let suffix = format!("l{l}{}", if d == 1 { "_reverse" } else { "" });
                let of = |what: &str| tensor(weights, &format!("{name}.{what}_{suffix}")).to_vec();
                let params = CellParams {
                    weight_ih: of("weight_ih"),
                    weight_hh: of("weight_hh"),
                    bias_ih: of("bias_ih"),
                    bias_hh: of("bias_hh"),
                    weight_peephole: Vec::new(),
                    weight_hr: Vec::new(),
                };
                let zero = || vec![S::constant(0.0); self.hidden];
                let c = if self.cell.has_c() { zero() } else { Vec::new() };
                let (h0, c0) = start.map_or((zero(), c), |start| start[l * directions + d].clone());
                let run = sequence::forward(&shape, &params, d == 1, &x, (&h0, &c0));
                for (up, step) in up.iter_mut().zip(&run.steps) {
                    up.extend_from_slice(&step.h);
                }
                last.push((run.h_last, run.c_last));
            }
            x = up;
        }
        (x, last)
    }

    /// States as one row: h of each layer, then c of each.
    fn flat<S: Scalar>(states: &[State<S>]) -> Vec<S> {
        states.iter().flat_map(|s| &s.0).chain(states.iter().flat_map(|s| &s.1)).copied().collect()
    }

    fn states<S: Scalar>(&self, row: &[S]) -> Vec<State<S>> {
        let (h, c) = row.split_at(self.layers * self.hidden);
        let part = |from: &[S], l: usize| from[l * self.hidden..(l + 1) * self.hidden].to_vec();
        (0..self.layers).map(|l| (part(h, l), if c.is_empty() { Vec::new() } else { part(c, l) })).collect()
    }

    /// What the decoder starts from: the mean over directions.
    fn mean<S: Scalar>(&self, last: &[State<S>]) -> Vec<State<S>> {
        let average = |parts: Vec<&Vec<S>>| -> Vec<S> {
            let mut out = Vec::new();
            for i in 0..parts[0].len() {
                let sum = parts.iter().fold(S::constant(0.0), |sum, part| sum + part[i]);
                out.push(sum / S::constant(parts.len() as f64));
            }
            out
        };
        let level = |states: &[State<S>]| {
            (average(states.iter().map(|s| &s.0).collect()), average(states.iter().map(|s| &s.1).collect()))
        };
        last.chunks(self.directions).map(level).collect()
    }

    /// The rows that the head reads, one for each target, and the targets.
    fn read<S: Scalar>(&self, weights: &Weights<S>, example: &Example) -> (Vec<Vec<S>>, Vec<usize>) {
        let numbers: Vec<S> = match example.numbers.is_empty() {
            false => example.numbers.iter().map(|&x| S::constant(x)).collect(),
            true => (0..self.inputs)
                .map(|i| S::constant(example.symbols.iter().filter(|&&s| s == i).count() as f64))
                .collect(),
        };
        let symbols = |embedding| self.rows(weights, embedding, &example.symbols, self.inputs);
        match self.kind {
            Kind::Map => (self.stack(weights, ("rnn", 1), vec![numbers], None).0, example.output.clone()),
            Kind::Tag => {
                let x = symbols("embedding.weight");
                (self.stack(weights, ("rnn", self.directions), x, None).0, example.output.clone())
            }
            Kind::Classify(how) => {
                let x = symbols("embedding.weight");
                let y = self.stack(weights, ("rnn", self.directions), x, None).0.concat();
                (vec![pool(how, &y, self.directions * self.hidden)], example.output.clone())
            }
            Kind::Describe => {
                let start = self.states(&linear(weights, "bridge", &numbers));
                self.write(weights, example, &start, None)
            }
            Kind::Translate { attention, linear: by_matrix } => {
                let x = symbols("encoder_embedding.weight");
                let (rows, last) = self.stack(weights, ("encoder", self.directions), x, None);
                let start = match by_matrix {
                    true => self.states(&linear(weights, "bridge", &Self::flat(&last))),
                    false => self.mean(&last),
                };
                self.write(weights, example, &start, attention.map(|general| (general, &rows[..])))
            }
        }
    }

    fn write<S: Scalar>(
        &self,
        weights: &Weights<S>,
        example: &Example,
        start: &[State<S>],
        memory: Option<(bool, &[Vec<S>])>,
    ) -> (Vec<Vec<S>>, Vec<usize>) {
        // The mark has the number behind the symbols; one never seen is beyond it, and as a target left out.
        let (mark, unseen) = (self.outputs, self.outputs + 1);
        let number = |&s: &usize| if s < mark { s } else { unseen };
        let answer: Vec<usize> = example.output.iter().map(number).collect();
        let read = [&[mark], &answer[..]].concat();
        let x = self.rows(weights, "decoder_embedding.weight", &read, mark + 1);
        let mut rows = self.stack(weights, ("decoder", 1), x, Some(start)).0;
        if let Some((general, memory)) = memory {
            let keys: Vec<S> = match general {
                true => memory.iter().flat_map(|row| linear(weights, "attention", row)).collect(),
                false => memory.concat(),
            };
            let values = memory.concat();
            for row in &mut rows {
                let context = attend(row, &keys, &values, memory.len()).context;
                let both = [&context[..], &row[..]].concat();
                *row = linear(weights, "combine", &both).iter().map(|a| a.tanh()).collect();
            }
        }
        (rows, [&answer[..], &[mark]].concat())
    }

    /// The mean loss of the counted targets of all examples, in nats.
    pub fn loss<S: Scalar>(&self, weights: &Weights<S>, examples: &[Example]) -> S {
        let (mut sum, mut counted) = (S::constant(0.0), 0);
        for example in examples {
            let (rows, targets) = self.read(weights, example);
            assert_eq!(rows.len(), targets.len(), "{example:?}");
            for (row, &target) in rows.iter().zip(&targets) {
                let logits = linear(weights, "head", row);
                if target < logits.len() {
                    sum = sum - log_softmax(&logits)[target];
                    counted += 1;
                }
            }
        }
        sum / S::constant(f64::from(counted.max(1)))
    }
}
