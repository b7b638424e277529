//! dJ/de for every element e of a run, `J = <d_y, y> + <d_h_last, h_last> + <d_c_last, c_last>`.

use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::complete::CellParams;
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{LayersGrads, LayersInput, LayersShape, layers_forward, tensors, tensors_mut};
use gatemill_oracle::dot::dot;
use gatemill_oracle::{Dual, Scalar, lift};

/// Gradients with their names: every weight, then `x`, `h0`, `c0`.
pub(crate) type Named = Vec<(String, Vec<f64>)>;

struct Run<'a, S> {
    case: &'a LayersCase,
    params: Vec<CellParams<S>>,
    input: LayersInput<S>,
}

fn all_mut<'a, S>(
    shape: &LayersShape,
    params: &'a mut [CellParams<S>],
    input: &'a mut LayersInput<S>,
) -> Vec<(String, &'a mut Vec<S>)> {
    let mut all = tensors_mut(shape, params);
    all.push(("x".to_string(), &mut input.x));
    all.push(("h0".to_string(), &mut input.h0));
    all.push(("c0".to_string(), &mut input.c0));
    all
}

impl<S: Scalar> Run<'_, S> {
    fn at(&mut self, tensor: usize, element: usize) -> &mut S {
        &mut all_mut(&self.case.shape, &mut self.params, &mut self.input).swap_remove(tensor).1[element]
    }
    /// Padding stands outside J: what is wrong there is the business of the tests of lengths.
    fn objective(&self) -> S {
        let (shape, given) = (&self.case.shape, &self.case.output_grad);
        let trace = layers_forward(shape, &self.params, &self.input);
        dot(&lift::<S>(&given.d_y), &trace.outputs)
            + dot(&lift::<S>(&given.d_h_last), &trace.h_last)
            + dot(&lift::<S>(&given.d_c_last), &trace.c_last)
    }
}

/// One derivative per element: `slope` gets the run and the place of the element.
fn every_element<S: Scalar>(case: &LayersCase, mut slope: impl FnMut(&mut Run<'_, S>, usize, usize) -> f64) -> Named {
    let params = case.params.iter().map(CellParams::lift).collect();
    let mut run = Run { case, params, input: case.input.lift() };
    let sizes: Vec<(String, usize)> =
        all_mut(&case.shape, &mut run.params, &mut run.input).into_iter().map(|(name, t)| (name, t.len())).collect();
    let mut all = Vec::new();
    for (k, (name, len)) in sizes.into_iter().enumerate() {
        all.push((name, (0..len).map(|e| slope(&mut run, k, e)).collect()));
    }
    all
}

/// By dual numbers: exact up to rounding.
pub(crate) fn dual_gradients(case: &LayersCase) -> Named {
    every_element::<Dual>(case, |run, tensor, element| {
        run.at(tensor, element).du = 1.0;
        let slope = run.objective().du;
        run.at(tensor, element).du = 0.0;
        slope
    })
}

/// By central differences.
pub(crate) fn difference_gradients(case: &LayersCase, step: f64) -> Named {
    every_element::<f64>(case, |run, tensor, element| {
        let x = *run.at(tensor, element);
        *run.at(tensor, element) = x + step;
        let high = run.objective();
        *run.at(tensor, element) = x - step;
        let low = run.objective();
        *run.at(tensor, element) = x;
        (high - low) / ((x + step) - (x - step))
    })
}

/// The hand-written gradients under the same names.
pub(crate) fn named(shape: &LayersShape, grads: &LayersGrads) -> Named {
    let mut all: Named = tensors(shape, &grads.params).into_iter().map(|(name, t)| (name, t.clone())).collect();
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
