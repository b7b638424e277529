//! Complete layers answered by the oracle, as a list of named tensors; and PyTorch's goldens of them.

use crate::goldens::Golden;
use crate::{Named, Tensor};
use gatemill_oracle::Cell;
use gatemill_oracle::complete::CellParams;
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersInput, LayersOutputGrad, LayersShape, tensors, tensors_mut};
use gatemill_oracle::complete::variant::{Function, Functions, Variant};
use serde_json::Value;

/// Outputs, states and every gradient of layers, in f64.
///
/// `y [T, B, width]`, `h_n [L*D, B, P]`, `c_n [L*D, B, H]`, `d_x [T, B, I]`, `d_h0`, `d_c0`, and the gradient of each weight
/// under PyTorch's name.
pub fn layers_reference(case: &LayersCase) -> Vec<Named<f64>> {
    let trace = case.forward();
    let grads = case.backward(&trace);
    let mut out = vec![("y".to_string(), trace.outputs), ("h_n".into(), trace.h_last)];
    if case.shape.cell.has_c() {
        out.push(("c_n".into(), trace.c_last));
    }
    out.extend([("d_x".into(), grads.d_x), ("d_h0".into(), grads.d_h0)]);
    if case.shape.cell.has_c() {
        out.push(("d_c0".into(), grads.d_c0));
    }
    let weights = tensors(&case.shape, &grads.params).into_iter();
    out.extend(weights.map(|(name, tensor)| (format!("rnn.{name}"), tensor.clone())));
    out
}

/// The given half of a golden of `torch_layers/`.
pub fn layers_of_torch(golden: &Golden) -> LayersCase {
    let form: Value = serde_json::from_str(golden.metadata("golden")).unwrap_or_else(|e| panic!("golden: {e}"));
    let size = |name: &str| form[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let x = golden.tensor("x");
    let (steps, lanes, inputs) = (x.shape[0], x.shape[1], x.shape[2]);
    let cell = match form["cell"].as_str() {
        Some("rnn") => Cell::Rnn,
        Some("lstm") => Cell::Lstm,
        Some("gru") => Cell::Gru,
        other => panic!("{other:?} is no cell"),
    };
    let default = Functions::default();
    let relu = form["nonlinearity"].as_str() == Some("relu");
    let variant = Variant {
        bias: form["bias"].as_bool().unwrap_or(true),
        projection: size("proj_size"),
        activations: if relu { Functions { cell: Function::Relu, ..default } } else { default },
        ..Variant::default()
    };
    let lengths = match form["lengths"].as_array() {
        Some(all) => all.iter().map(|n| n.as_u64().expect("a length") as usize).collect(),
        None => vec![steps; lanes],
    };
    let both = form["bidirectional"].as_bool() == Some(true);
    let shape = LayersShape {
        cell,
        variant,
        inputs,
        hidden: size("H").expect("H"),
        layers: size("layers").expect("layers"),
        direction: if both { Direction::Concat } else { Direction::Forward },
        residual: false,
        steps,
        lengths,
    };
    let mut params: Vec<CellParams<f64>> =
        (0..shape.layers * shape.dirs()).map(|k| CellParams::zeros(&shape.layer(k / shape.dirs()))).collect();
    for (name, tensor) in tensors_mut(&shape, &mut params) {
        tensor.clone_from(&golden.tensor(&format!("rnn.{name}")).data);
    }
    let data = |name: &str| golden.tensor(name).data.clone();
    let of_c = |name: &str| golden.get(name).map_or(Vec::new(), |t: &Tensor| t.data.clone());
    let input = LayersInput { x: data("x"), h0: data("h0"), c0: of_c("c0"), dropout: None };
    let output_grad = LayersOutputGrad { d_y: data("d_y"), d_h_last: data("d_h_n"), d_c_last: of_c("d_c_n") };
    LayersCase { shape, params, input, output_grad }
}
