//! dJ/de for every element e of a run, `J = <d_y, y> + <d_h_last, h_last> + <d_c_last, c_last>`.

use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::dot::dot;
use gatemill_oracle::stack::stack_forward;
use gatemill_oracle::{
    Dual, Scalar, StackCase, StackGrads, StackInput, StackOutputGrad, StackParams, StackShape, lift,
};

/// Gradients of a run with their names: every parameter, then `x`, `h0`, `c0`.
pub(crate) type Named = Vec<(String, Vec<f64>)>;

/// J on any scalar.
pub(crate) fn objective<S: Scalar>(
    shape: &StackShape,
    params: &StackParams<S>,
    input: &StackInput<S>,
    weights: &StackOutputGrad,
) -> S {
    let trace = stack_forward(shape, params, input);
    let mut value = dot(&lift::<S>(&weights.d_y), trace.outputs());
    if let Some(d) = &weights.d_h_last {
        value = value + dot(&lift::<S>(d), &trace.h_last);
    }
    if let Some(d) = &weights.d_c_last {
        value = value + dot(&lift::<S>(d), &trace.c_last);
    }
    value
}

/// All that J depends on, to be written.
fn tensors_mut<'a, S>(params: &'a mut StackParams<S>, input: &'a mut StackInput<S>) -> Vec<(String, &'a mut Vec<S>)> {
    let mut all = params.tensors_mut();
    all.push(("x".to_string(), &mut input.x));
    all.push(("h0".to_string(), &mut input.h0));
    all.push(("c0".to_string(), &mut input.c0));
    all
}

/// One derivative per element: `slope` gets the run and the place of the element.
fn every_element<S: Scalar>(case: &StackCase, mut slope: impl FnMut(&mut Run<S>, usize, usize) -> f64) -> Named {
    let mut run = Run { shape: case.shape, params: case.params.lift(), input: case.input.lift() };
    let sizes: Vec<(String, usize)> =
        tensors_mut(&mut run.params, &mut run.input).into_iter().map(|(name, t)| (name, t.len())).collect();
    let mut all = Vec::new();
    for (k, (name, len)) in sizes.into_iter().enumerate() {
        all.push((name, (0..len).map(|e| slope(&mut run, k, e)).collect()));
    }
    all
}

struct Run<S> {
    shape: StackShape,
    params: StackParams<S>,
    input: StackInput<S>,
}

impl<S: Scalar> Run<S> {
    fn at(&mut self, tensor: usize, element: usize) -> &mut S {
        &mut tensors_mut(&mut self.params, &mut self.input).swap_remove(tensor).1[element]
    }
    fn objective(&self, weights: &StackOutputGrad) -> S {
        objective(&self.shape, &self.params, &self.input, weights)
    }
}

/// By dual numbers: exact up to rounding.
pub(crate) fn dual_gradients(case: &StackCase) -> Named {
    every_element::<Dual>(case, |run, tensor, element| {
        run.at(tensor, element).du = 1.0;
        let slope = run.objective(&case.output_grad).du;
        run.at(tensor, element).du = 0.0;
        slope
    })
}

/// By central differences.
pub(crate) fn difference_gradients(case: &StackCase, step: f64) -> Named {
    every_element::<f64>(case, |run, tensor, element| {
        let x = *run.at(tensor, element);
        *run.at(tensor, element) = x + step;
        let high = run.objective(&case.output_grad);
        *run.at(tensor, element) = x - step;
        let low = run.objective(&case.output_grad);
        *run.at(tensor, element) = x;
        (high - low) / ((x + step) - (x - step))
    })
}

/// The hand-written gradients under the same names.
pub(crate) fn named(grads: &StackGrads) -> Named {
    let mut all: Named = grads.params.tensors().into_iter().map(|(name, t)| (name, t.clone())).collect();
    all.push(("x".to_string(), grads.d_x.clone()));
    all.push(("h0".to_string(), grads.d_h0.clone()));
    all.push(("c0".to_string(), grads.d_c0.clone()));
    all
}

/// The largest error over all tensors, each relative to its own largest element, and a line that says where.
pub(crate) fn largest_error(found: &Named, expected: &Named) -> (f64, String) {
    assert_eq!(found.len(), expected.len());
    let mut largest = (0.0, "no difference".to_string());
    for ((name, found), (expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!(name, expected_name);
        let worst = worst_by_max(found, expected);
        if worst.error > largest.0 {
            let line = format!("{name}[{}] = {}, expected {}", worst.index, worst.found, worst.expected);
            largest = (worst.error, line);
        }
    }
    largest
}
