//! From a trained row per symbol to the loss: every gradient, where the embedding is a matrix of its own and where the
//! readout shares it, against exact differentiation and against central differences.

use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::difference::central_differences;
use gatemill_oracle::embedding::{lookup, lookup_backward};
use gatemill_oracle::loss::{cross_entropy, cross_entropy_backward, head_backward, head_forward};
use gatemill_oracle::stack::{stack_backward, stack_forward};
use gatemill_oracle::{
    Activation, Cell, Dual, Head, Scalar, SplitMix64, StackInput, StackOutputGrad, StackParams, StackShape, lift,
};

use crate::grid::DUAL_BOUND;

/// Central differences leave the third derivative, and the loss its rounding over the step.
const DIFFERENCE_BOUND: f64 = 1e-6;

/// The embedding (empty where it is the readout's matrix), the stack and the readout.
struct Model<S> {
    embedding: Vec<S>,
    stack: StackParams<S>,
    head: Head<S>,
}

impl<S> Model<S> {
    fn tensors_mut(&mut self) -> Vec<(String, &mut Vec<S>)> {
        let mut all = vec![("embedding.weight".to_string(), &mut self.embedding)];
        all.extend(self.stack.tensors_mut());
        all.extend([("head.weight".into(), &mut self.head.weight), ("head.bias".into(), &mut self.head.bias)]);
        all
    }
    fn table(&self) -> &[S] {
        if self.embedding.is_empty() { &self.head.weight } else { &self.embedding }
    }
}

/// Ids and targets `[T, B]` in `0..=V`, and what surrounds them.
struct Chunk {
    shape: StackShape,
    symbols: usize,
    ids: Vec<usize>,
    targets: Vec<usize>,
    rest: StackInput<f64>,
}

impl Chunk {
    fn input<S: Scalar>(&self, model: &Model<S>) -> StackInput<S> {
        let rest = StackInput { x: Vec::new(), ..self.rest.clone() };
        StackInput { x: lookup(model.table(), &self.ids, self.symbols), ..rest.lift() }
    }
    fn loss<S: Scalar>(&self, model: &Model<S>) -> S {
        let trace = stack_forward(&self.shape, &model.stack, &self.input(model));
        cross_entropy(&head_forward(&model.head, trace.outputs()), &self.targets, self.symbols).mean_nats
    }
    fn grads(&self, model: &Model<f64>) -> Model<f64> {
        let input = self.input(model);
        let trace = stack_forward(&self.shape, &model.stack, &input);
        let logits = head_forward(&model.head, trace.outputs());
        let d_logits = cross_entropy_backward(&logits, &self.targets, self.symbols);
        let head = head_backward(&model.head, trace.outputs(), &d_logits);
        let output = StackOutputGrad { d_y: head.d_h, d_h_last: None, d_c_last: None };
        let stack = stack_backward(&self.shape, &model.stack, &input, &trace, &output);
        let d_table = lookup_backward(&stack.d_x, &self.ids, self.symbols, self.shape.inputs);
        let mut grads = Model { embedding: d_table, stack: stack.params, head: head.head };
        if model.embedding.is_empty() {
            let d_table = std::mem::take(&mut grads.embedding);
            grads.head.weight.iter_mut().zip(d_table).for_each(|(d, e)| *d += e);
        }
        grads
    }
}

/// V 9 over 21 or 14 tokens, so that every symbol occurs, or 40, so that most do not; E 5, or H where it is tied.
fn case(cell: Cell, layers: usize, tied: bool, symbols: usize) -> (Chunk, Model<f64>) {
    let (hidden, steps, lanes) = (6, 7, if layers == 2 { 3 } else { 2 });
    let inputs = if tied { hidden } else { 5 };
    let shape = StackShape { cell, layers, inputs, hidden, steps, lanes, activation: Activation::Standard };
    let random = &mut SplitMix64::new(700 + layers as u64);
    let model = Model {
        embedding: if tied { Vec::new() } else { random.symmetric(symbols * inputs, 0.9) },
        stack: StackParams::random(&shape, 0.7, random),
        head: Head::random(symbols, hidden, 0.7, random),
    };
    let mut any_order = || {
        let mut ids: Vec<usize> = (0..shape.tokens()).map(|n| n % (symbols + 1)).collect();
        random.shuffle(&mut ids);
        ids[3] = symbols;
        ids
    };
    let (ids, targets) = (any_order(), any_order());
    let x = vec![0.0; shape.tokens() * inputs];
    let mut rest = StackInput::from_zero_state(&shape, x);
    rest.h0 = random.symmetric(shape.state_len(), 0.8);
    rest.c0 = random.symmetric(shape.c_len(), 1.2);
    rest.resets = Some((0..shape.tokens()).map(|n| n == 2 * lanes).collect());
    let elements = (layers - 1) * shape.tokens() * hidden;
    rest.dropout = Some((0..elements).map(|_| if random.one_in(3) { 0.0 } else { 1.5 }).collect());
    (Chunk { shape, symbols, ids, targets, rest }, model)
}

#[test]
fn every_gradient_from_an_embedding_is_exact() {
    for cell in Cell::ALL {
        for (layers, tied, symbols) in [(1, false, 9), (2, false, 40), (1, true, 40), (2, true, 9)] {
            let (chunk, mut model) = case(cell, layers, tied, symbols);
            let mut grads = chunk.grads(&model);
            let mut dual: Model<Dual> =
                Model { embedding: lift(&model.embedding), stack: model.stack.lift(), head: model.head.lift() };
            for (k, (name, grads)) in grads.tensors_mut().into_iter().enumerate() {
                let place = format!("{cell:?} L={layers} V={symbols} tied {tied} {name}");
                let slopes: Vec<f64> = (0..grads.len())
                    .map(|e| {
                        dual.tensors_mut()[k].1[e].du = 1.0;
                        let slope = chunk.loss(&dual).du;
                        dual.tensors_mut()[k].1[e].du = 0.0;
                        slope
                    })
                    .collect();
                let worst = worst_by_max(grads, &slopes);
                assert!(worst.error <= DUAL_BOUND, "{place}: {worst:?}");
                let start = model.tensors_mut()[k].1.clone();
                let differences = central_differences(
                    |values| {
                        model.tensors_mut()[k].1.copy_from_slice(values);
                        chunk.loss(&model)
                    },
                    &start,
                    1e-5,
                );
                model.tensors_mut()[k].1.copy_from_slice(&start);
                let worst = worst_by_max(grads, &differences);
                assert!(worst.error <= DIFFERENCE_BOUND, "{place}: {worst:?}");
                // The rows of symbols that do not occur, and no others, are still.
                if name == "embedding.weight" {
                    for (s, row) in grads.chunks(chunk.shape.inputs).enumerate() {
                        let occurs = chunk.ids.contains(&s);
                        assert!(row.iter().all(|&d| (d != 0.0) == occurs), "{place}: symbol {s}");
                    }
                }
            }
        }
    }
}
