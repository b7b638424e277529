//! ONNX's node tests, samples of ONNX Runtime, and a grid of what its operators can say.

use gatemill_oracle::complete::case::LayersCase;
use gatemill_oracle::{narrow, widen};
use gatemill_suite::{OnnxCase, Setting, crew, layers_run, tiers};

/// All node tests that onnx 1.23.2 has of recurrent operators.
const NODE_TESTS: [&str; 18] = [
    "test_gru_batchwise",
    "test_gru_bidirectional",
    "test_gru_defaults",
    "test_gru_reverse",
    "test_gru_seq_length",
    "test_gru_with_initial_bias",
    "test_lstm_batchwise",
    "test_lstm_bidirectional",
    "test_lstm_defaults",
    "test_lstm_reverse",
    "test_lstm_with_initial_bias",
    "test_lstm_with_peepholes",
    "test_rnn_seq_length",
    "test_simple_rnn_batchwise",
    "test_simple_rnn_bidirectional",
    "test_simple_rnn_defaults",
    "test_simple_rnn_reverse",
    "test_simple_rnn_with_initial_bias",
];

const SAMPLES: [&str; 5] =
    ["gru_forward_plain", "gru_lbr1_forward", "lstm_bidirectional_plain", "lstm_forward_plain", "rnn_forward_plain"];

fn all() -> Vec<OnnxCase> {
    let json = |folder: &'static str| move |name: &&str| OnnxCase::json(&format!("{folder}/{name}"));
    let mut all: Vec<OnnxCase> = NODE_TESTS.iter().map(json("onnx_node_tests")).collect();
    all.extend(SAMPLES.iter().map(json("onnxruntime_samples")));
    ["rnn", "lstm", "gru"].into_iter().for_each(|op| all.extend(OnnxCase::grid(op)));
    assert_eq!(all.len(), 18 + 5 + 26 + 45 + 58);
    all
}

/// What layers gave, as ONNX Runtime has it for a lane without a step: its last state is zero there, not the first.
fn as_onnxruntime(name: &str, mut found: Vec<f64>, layers: &LayersCase) -> Vec<f64> {
    let lanes = layers.shape.lanes();
    let width = if name == "c_n" { layers.shape.layer(0).c_width() } else { layers.shape.layer(0).outputs() };
    for (k, row) in found.chunks_exact_mut(width).enumerate() {
        if name != "y" && layers.shape.lengths[k % lanes] == 0 {
            let first = if name == "c_n" { &layers.input.c0 } else { &layers.input.h0 };
            assert_eq!(
                narrow(row),
                narrow(&first[k * width..(k + 1) * width]),
                "a lane without a step keeps its state"
            );
            row.fill(0.0);
        }
    }
    found
}

/// The worst `|found - want| / (atol + rtol * |want|)`: at most 1 where they agree.
fn worst(found: &[f64], want: &[f64], rtol: f64, atol: f64) -> f64 {
    assert_eq!(found.len(), want.len());
    let errors = found.iter().zip(want).map(|(f, w)| (f - w).abs() / (atol + rtol * w.abs()));
    errors.fold(0.0, |worst, e| if e > worst || e.is_nan() { e } else { worst })
}

/// rtol, atol: the node tests' own; some f32 roundings against ONNX Runtime; f64's for the specification.
///
/// Saturated cases have ten times more: what goes into a gate is 20 to 60 there, which f32 holds to 2e-6, and a gate
/// that happens to be in its steep part hands that on from step to step.
fn tolerance(case: &OnnxCase, kind: &str) -> (f64, f64) {
    match kind {
        "outputs" => (1e-3, 1e-7),
        "outputs_onnxruntime_f32" if case.name.ends_with("saturated") => (1e-4, 1e-5),
        "outputs_onnxruntime_f32" => (1e-5, 1e-6),
        "outputs_spec_f64" => (1e-12, 1e-12),
        other => panic!("{other}"),
    }
}

#[test]
fn the_oracle_gives_their_numbers() {
    let mut closest = 0.0_f64;
    for case in all() {
        let layers = case.layers();
        let trace = layers.forward();
        let found = [("y", &trace.outputs), ("h_n", &trace.h_last), ("c_n", &trace.c_last)];
        for kind in case.kinds() {
            let (rtol, atol) = tolerance(&case, kind);
            for (name, want) in case.outputs(kind) {
                let found = found.iter().find(|(ours, _)| *ours == name).expect("an output of layers").1;
                let found = as_onnxruntime(&name, found.clone(), &layers);
                let error = worst(&found, &want, rtol, atol);
                closest = closest.max(error);
                assert!(error <= 1.0, "{} {kind}: {name} is {error:.2} of the tolerance away", case.name);
            }
        }
    }
    println!("{closest:.2} of the tolerances");
}

/// Every tier, one and two threads in turn: within the files' tolerances of their numbers, and near the oracle.
#[test]
fn the_engine_gives_their_numbers() {
    let crews = [crew(1), crew(2)];
    let mut closest = (0.0, String::new());
    for (k, case) in all().into_iter().enumerate() {
        let layers = case.layers();
        for (tier, kernels) in tiers().into_iter().enumerate() {
            let found = layers_run(&layers, Setting::new(kernels, &crews[(k + tier) % 2]));
            for kind in case.kinds() {
                // Against ONNX Runtime, and against the specification in f64, two systems round in f32.
                let (rtol, atol) = match kind {
                    "outputs" => tolerance(&case, kind),
                    _ => tolerance(&case, "outputs_onnxruntime_f32"),
                };
                let both = if kind == "outputs" { 1.0 } else { 2.0 };
                for (name, want) in case.outputs(kind) {
                    let (_, found) = found.iter().find(|(ours, _)| *ours == name).expect("an output of layers");
                    let error = worst(&as_onnxruntime(&name, widen(found), &layers), &want, both * rtol, both * atol);
                    let place =
                        format!("{} {kind} {name} on {}: {error:.2} of the tolerance", case.name, kernels.name());
                    assert!(error <= 1.0, "{place}");
                    if error > closest.0 {
                        closest = (error, place);
                    }
                }
            }
        }
    }
    println!("{}", closest.1);
}
