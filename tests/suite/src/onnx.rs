//! ONNX's RNN, LSTM and GRU nodes with their tensors, turned into complete layers in PyTorch's order, and back.
//!
//! ONNX has `W [D, G*H, I]`, `R [D, G*H, H]`, `B [D, 2*G*H]` (both biases, one after the other), `P [D, 3*H]`; its
//! blocks are i, o, f, c for the LSTM, z, r, h for the GRU, i, o, f for the peepholes. `layout` 1 puts the batch first,
//! in `X`, in the states and in what comes out. Attributes that a node leaves out have the operator's defaults.
//!
//! The cases lie under `goldens/`: node tests and samples as JSON, the grid of ONNX Runtime as safetensors.

use crate::goldens::{Golden, Tensor, read};
use gatemill_oracle::Cell;
use gatemill_oracle::complete::CellParams;
use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::complete::layers::{Direction, LayersInput, LayersOutputGrad, LayersShape};
use gatemill_oracle::complete::variant::{Function, Functions, Variant};
use serde_json::Value;

/// A node with its tensors.
#[derive(Debug)]
pub struct OnnxCase {
    /// What it is called.
    pub name: String,
    cell: Cell,
    attributes: Value,
    inputs: Vec<(String, Tensor)>,
    outputs: Vec<(String, Vec<(String, Tensor)>)>,
}

/// What a node's outputs are called here, in this order.
const OUTPUTS: [(&str, &str); 3] = [("y", "Y"), ("h_n", "Y_h"), ("c_n", "Y_c")];

fn cell_of(op: &str) -> Cell {
    match op {
        "RNN" => Cell::Rnn,
        "LSTM" => Cell::Lstm,
        "GRU" => Cell::Gru,
        other => panic!("ONNX's recurrent operators are RNN, LSTM and GRU, not {other}"),
    }
}

impl OnnxCase {
    /// Reads `goldens/<path>.json`. Panics where it is missing or of another form.
    pub fn json(path: &str) -> Self {
        let file: Value =
            serde_json::from_slice(&read(&format!("{path}.json"))).unwrap_or_else(|e| panic!("{path}: {e}"));
        let section = |name: &str| -> Vec<(String, Tensor)> {
            let all = file[name].as_object().unwrap_or_else(|| panic!("{path}: no `{name}`"));
            all.iter().filter_map(|(name, value)| Some((name.clone(), tensor(value)?))).collect()
        };
        let kinds = ["outputs", "outputs_onnxruntime_f32", "outputs_spec_f64"];
        let outputs = kinds.into_iter().filter(|kind| file.get(kind).is_some());
        Self {
            name: path.to_string(),
            cell: cell_of(file["op_type"].as_str().unwrap_or_default()),
            attributes: file["attributes_effective"].clone(),
            inputs: section("inputs"),
            outputs: outputs.map(|kind| (kind.to_string(), section(kind))).collect(),
        }
    }

    /// The cases of `goldens/onnxruntime_grid/<op>.safetensors`. Panics where the file is missing or of another form.
    pub fn grid(op: &str) -> Vec<Self> {
        let file = format!("onnxruntime_grid/{op}.safetensors");
        let golden = Golden::read(&file);
        let index: Value = serde_json::from_str(golden.metadata("cases")).unwrap_or_else(|e| panic!("{file}: {e}"));
        let cell = cell_of(index["op_type"].as_str().unwrap_or_default());
        let cases = index["cases"].as_array().unwrap_or_else(|| panic!("{file}: no `cases`"));
        let case = |case: &Value| {
            let name = case["name"].as_str().unwrap_or_else(|| panic!("{file}: a case without a name"));
            let prefix = format!("{name}/");
            let all = golden.names(&prefix).into_iter();
            let tensors = all.map(|key| (key.to_string(), golden.tensor(&format!("{prefix}{key}")).clone()));
            let (outputs, inputs) = tensors.partition(|(key, _)| key.starts_with('Y'));
            let outputs = vec![("outputs_onnxruntime_f32".to_string(), outputs)];
            let name = format!("{op} {name}");
            Self { name, cell, attributes: case["attributes"].clone(), inputs, outputs }
        };
        cases.iter().map(case).collect()
    }

    fn input(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|(key, _)| key == name).map(|(_, tensor)| tensor)
    }

    /// An attribute; null where the node has none.
    pub fn attribute(&self, name: &str) -> &Value {
        &self.attributes[name]
    }

    fn flag(&self, name: &str) -> bool {
        self.attribute(name).as_u64().unwrap_or(0) != 0
    }

    fn direction(&self) -> Direction {
        match self.attribute("direction").as_str().unwrap_or("forward") {
            "forward" => Direction::Forward,
            "reverse" => Direction::Reverse,
            "bidirectional" => Direction::Concat,
            other => panic!("{}: direction {other}", self.name),
        }
    }

    fn variant(&self) -> Variant {
        Variant {
            bias: self.input("B").is_some(),
            reset_before: self.cell == Cell::Gru && !self.flag("linear_before_reset"),
            peepholes: self.input("P").is_some(),
            coupled: self.flag("input_forget"),
            clip: self.attribute("clip").as_f64(),
            activations: self.functions(),
            ..Variant::default()
        }
    }

    /// The functions of both directions, which must be the same: a layer has one set.
    fn functions(&self) -> Functions {
        let Some(names) = self.attribute("activations").as_array().filter(|names| !names.is_empty()) else {
            return Functions::default();
        };
        // alpha and beta are handed out in order to those functions that take one.
        let numbers = |name: &str| {
            let all = self.attribute(name).as_array().cloned().unwrap_or_default();
            all.into_iter().map(|x| x.as_f64().expect("a number")).collect::<Vec<_>>().into_iter()
        };
        let (mut alphas, mut betas) = (numbers("activation_alpha"), numbers("activation_beta"));
        let all: Vec<Function> =
            names.iter().map(|name| function(name.as_str().unwrap_or_default(), &mut alphas, &mut betas)).collect();
        let sets: Vec<&[Function]> = all.chunks(all.len() / self.direction().runs().len()).collect();
        assert!(sets.windows(2).all(|pair| pair[0] == pair[1]), "{}: directions of different functions", self.name);
        let default = Functions::default();
        match *sets[0] {
            [cell] => Functions { cell, ..default },
            [gates, cell] => Functions { gates, cell, ..default },
            [gates, cell, hidden] => Functions { gates, cell, hidden },
            _ => panic!("{}: {} activations", self.name, all.len()),
        }
    }

    /// The node as layers: one, in PyTorch's order. No gradient comes in.
    pub fn layers(&self) -> LayersCase {
        let get = |name: &str| self.input(name).unwrap_or_else(|| panic!("{}: no {name}", self.name));
        let batch_first = self.flag("layout");
        let x = time_major(get("X"), batch_first);
        let (w, r) = (get("W"), get("R"));
        let (steps, lanes, inputs, hidden) = (x.shape[0], x.shape[1], x.shape[2], r.shape[2]);
        let (gates, peepholes): (&[usize], &[usize]) = match self.cell {
            Cell::Rnn => (&[0], &[]),
            Cell::Lstm => (&[0, 2, 3, 1], &[0, 2, 1]),
            Cell::Gru => (&[1, 0, 2], &[]),
        };
        let lengths = match self.input("sequence_lens") {
            Some(lens) => lens.data.iter().map(|&n| n as usize).collect(),
            None => vec![steps; lanes],
        };
        let shape = LayersShape {
            cell: self.cell,
            variant: self.variant(),
            inputs,
            hidden,
            layers: 1,
            direction: self.direction(),
            residual: false,
            steps,
            lengths,
        };
        let dirs = shape.dirs();
        assert_eq!((w.shape[0], r.shape[0]), (dirs, dirs), "{}: directions", self.name);
        let part = |tensor: &Tensor, d: usize| -> Vec<f64> {
            let each = tensor.data.len() / dirs;
            tensor.data[d * each..(d + 1) * each].to_vec()
        };
        let params = (0..dirs).map(|d| {
            let mut run = CellParams::zeros(&shape.layer(0));
            run.weight_ih = reordered(&part(w, d), gates);
            run.weight_hh = reordered(&part(r, d), gates);
            if let Some(b) = self.input("B") {
                let b = part(b, d);
                let (b_w, b_r) = b.split_at(b.len() / 2);
                (run.bias_ih, run.bias_hh) = (reordered(b_w, gates), reordered(b_r, gates));
            }
            if let Some(p) = self.input("P") {
                run.weight_peephole = reordered(&part(p, d), peepholes);
            }
            run
        });
        let params = params.collect();
        let state = |name: &str, len: usize| match self.input(name) {
            Some(state) => time_major(state, batch_first).data,
            None => vec![0.0; len],
        };
        let input = LayersInput {
            h0: state("initial_h", shape.h_len()),
            c0: state("initial_c", shape.c_len()),
            x: x.data,
            dropout: None,
        };
        let output_grad = LayersOutputGrad {
            d_y: vec![0.0; shape.tokens() * shape.width()],
            d_h_last: vec![0.0; shape.h_len()],
            d_c_last: vec![0.0; shape.c_len()],
        };
        LayersCase { shape, params, input, output_grad }
    }

    /// Which outputs there are: `outputs` (ONNX's own numbers), `outputs_onnxruntime_f32`, `outputs_spec_f64`.
    pub fn kinds(&self) -> Vec<&str> {
        self.outputs.iter().map(|(kind, _)| kind.as_str()).collect()
    }

    /// The outputs of this kind as layers give them: `y [T, B, D*H]`, `h_n [D, B, H]`, `c_n [D, B, H]`.
    pub fn outputs(&self, kind: &str) -> Vec<(String, Vec<f64>)> {
        let batch_first = self.flag("layout");
        let all = &self.outputs.iter().find(|(name, _)| name == kind).unwrap_or_else(|| panic!("no {kind}")).1;
        let mut out = Vec::new();
        for (ours, theirs) in OUTPUTS {
            let Some((_, tensor)) = all.iter().find(|(name, _)| name == theirs) else { continue };
            let data = match (ours, batch_first) {
                ("y", true) => time_major(tensor, true).data,
                ("y", false) => {
                    let [steps, dirs, lanes, hidden] = tensor.shape[..] else { panic!("{}: Y", self.name) };
                    let at = |t: usize, b: usize, d: usize| ((t * dirs + d) * lanes + b) * hidden;
                    let rows = (0..steps * lanes * dirs).map(|n| at(n / dirs / lanes, n / dirs % lanes, n % dirs));
                    rows.flat_map(|from| tensor.data[from..from + hidden].to_vec()).collect()
                }
                _ => time_major(tensor, batch_first).data,
            };
            out.push((ours.to_string(), data));
        }
        assert!(!out.is_empty(), "{}: nothing to compare", self.name);
        out
    }
}

/// A tensor of a file; None where it is null.
fn tensor(value: &Value) -> Option<Tensor> {
    let data = value.get("data")?.as_array().expect("data is a list");
    let data = data.iter().map(|x| x.as_f64().expect("a number")).collect();
    let shape = value["shape"].as_array().expect("shape is a list");
    let shape = shape.iter().map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok()).expect("a size")).collect();
    Some(Tensor { shape, data })
}

/// The first two dimensions exchanged where the batch comes first.
fn time_major(tensor: &Tensor, batch_first: bool) -> Tensor {
    if !batch_first {
        return tensor.clone();
    }
    let (outer, inner) = (tensor.shape[0], tensor.shape[1]);
    let width: usize = tensor.shape[2..].iter().product();
    let rows = (0..inner * outer).map(|n| (n % outer * inner + n / outer) * width);
    let data = rows.flat_map(|from| tensor.data[from..from + width].to_vec()).collect();
    let mut shape = tensor.shape.clone();
    shape.swap(0, 1);
    Tensor { shape, data }
}

/// Blocks of `[G*H, ...]` in the order given: block g is ONNX's block `order[g]`.
fn reordered(data: &[f64], order: &[usize]) -> Vec<f64> {
    let block = data.len() / order.len();
    order.iter().flat_map(|&g| data[g * block..(g + 1) * block].to_vec()).collect()
}

/// ONNX's function of this name with its numbers, or the operator's defaults.
fn function(name: &str, alphas: &mut impl Iterator<Item = f64>, betas: &mut impl Iterator<Item = f64>) -> Function {
    let mut alpha = |default: f64| alphas.next().unwrap_or(default);
    let mut beta = |default: f64| betas.next().unwrap_or(default);
    match name.to_ascii_lowercase().as_str() {
        "sigmoid" => Function::Sigmoid,
        "tanh" => Function::Tanh,
        "relu" => Function::Relu,
        "affine" => Function::Affine { alpha: alpha(1.0), beta: beta(0.0) },
        "leakyrelu" => Function::LeakyRelu { alpha: alpha(0.01) },
        "thresholdedrelu" => Function::ThresholdedRelu { alpha: alpha(1.0) },
        "scaledtanh" => Function::ScaledTanh { alpha: alpha(1.0), beta: beta(1.0) },
        "hardsigmoid" => Function::HardSigmoid { alpha: alpha(0.2), beta: beta(0.5) },
        "elu" => Function::Elu { alpha: alpha(1.0) },
        "softsign" => Function::Softsign,
        "softplus" => Function::Softplus,
        other => panic!("ONNX has no activation `{other}`"),
    }
}
