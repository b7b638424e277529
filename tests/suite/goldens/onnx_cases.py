#!/usr/bin/env python3
"""Writes onnxruntime_grid/: what ONNX Runtime computes for RNN, LSTM and GRU over the forms that their operators have.

How: per operator a list of cases, each a node with random weights and inputs (drawn from the case's name); ONNX Runtime
runs it, and everything goes into one .safetensors per operator, tensors as `<case>/X`, `<case>/W`, .., `<case>/Y`, the
attributes of all cases as JSON in its metadata. Layouts, gate orders and names are the operators' own.
Promises: same onnxruntime, numpy and machine type, same files. Tests read the files and need no Python.

Run: python3 -m venv V && V/bin/pip install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 safetensors==0.8.0
     V/bin/python onnx_cases.py
"""
import json
import pathlib
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
INPUTS = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
OUTPUTS = ["Y", "Y_h", "Y_c"]
DIRS = {"forward": 1, "reverse": 1, "bidirectional": 2}
# T, B, I, H: all different, and different from the number of directions.
SIZES = (7, 3, 4, 5)


def draw(rng, *shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def case(op, name, direction="forward", sizes=SIZES, bias=True, lens=None, initial=False, peepholes=False, scale=0.5, **attributes):
    """One node with its inputs, computed."""
    steps, lanes, inputs, hidden = sizes
    rng = np.random.default_rng([20261126, zlib.crc32(f"{op} {name}".encode())])
    dirs, gates = DIRS[direction], GATES[op]
    given = {"X": draw(rng, steps, lanes, inputs)}
    given["W"] = draw(rng, dirs, gates * hidden, inputs, scale=scale)
    given["R"] = draw(rng, dirs, gates * hidden, hidden, scale=scale)
    if bias:
        given["B"] = draw(rng, dirs, 2 * gates * hidden, scale=scale)
    if lens:
        given["sequence_lens"] = np.array(lens, dtype=np.int32)
    if initial:
        given["initial_h"] = draw(rng, dirs, lanes, hidden, scale=0.5)
        if op == "LSTM":
            given["initial_c"] = draw(rng, dirs, lanes, hidden, scale=0.8)
    if peepholes:
        given["P"] = draw(rng, dirs, 3 * hidden, scale=0.8)
    attributes = dict(hidden_size=hidden, direction=direction, **attributes)
    return dict(name=name, op_type=op, attributes=attributes, inputs=given, outputs=run(op, given, attributes))


def run(op, given, attributes):
    names = INPUTS if op == "LSTM" else INPUTS[:6]
    outputs = OUTPUTS if op == "LSTM" else OUTPUTS[:2]
    node = helper.make_node(op, [n if n in given else "" for n in names], outputs, **attributes)
    kind = {"sequence_lens": TensorProto.INT32}
    infos = [helper.make_tensor_value_info(n, kind.get(n, TensorProto.FLOAT), given[n].shape) for n in given]
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    graph = helper.make_graph([node], op, infos, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(None, given)))


def activations(op):
    """Each of ONNX's functions in each place; numbers that are no default."""
    numbers = {
        "Affine": (0.7, 0.2), "LeakyRelu": (0.15, None), "ThresholdedRelu": (0.3, None), "ScaledTanh": (1.3, 0.6),
        "HardSigmoid": (0.3, 0.45), "Elu": (0.8, None),
    }
    names = [*numbers, "Relu", "Tanh", "Sigmoid", "Softsign", "Softplus"]
    for k, one in enumerate(names):
        bounded = ["Sigmoid", "HardSigmoid", "ScaledTanh", "Softsign"][k % 4]
        sets = {"RNN": [[one]], "GRU": [["Sigmoid", one], [bounded, "Tanh"]], "LSTM": [["Sigmoid", one, "Tanh"], [bounded, "Tanh", one]]}
        for place, functions in enumerate(sets[op][: 1 if op == "RNN" else 2]):
            if place == 1 and op == "GRU" and k not in (1, 2, 3):
                continue  # each gate function once
            used = [numbers[f] for f in functions if f in numbers]
            extra = {"activations": functions}
            if used:
                extra["activation_alpha"] = [a for a, _ in used]
            if any(b is not None for _, b in used):
                extra["activation_beta"] = [b for _, b in used if b is not None]
            yield f"activations_{'_'.join(f.lower() for f in functions)}", extra


def grid(op):
    resets = [dict(linear_before_reset=0), dict(linear_before_reset=1)] if op == "GRU" else [{}]
    all_cases = []
    for form in resets:
        tag = f"lbr{form['linear_before_reset']}_" if form else ""

        def add(name, **what):
            all_cases.append(case(op, tag + name, **what, **form))

        add("forward_initial", initial=True)
        add("forward_lens_no_bias", lens=[4, 7, 1], bias=False)
        add("reverse_lens_initial", direction="reverse", lens=[7, 2, 5], initial=True)
        add("reverse_no_bias", direction="reverse", bias=False)
        add("bidirectional_lens_initial", direction="bidirectional", lens=[3, 7, 5], initial=True)
        add("bidirectional_lens_no_bias", direction="bidirectional", lens=[7, 7, 2], bias=False)
        add("sixty_steps_33_units", sizes=(60, 2, 9, 33), scale=0.25, initial=True)
        add("one_unit", direction="bidirectional", sizes=(9, 4, 3, 1), lens=[9, 5, 8, 1], initial=True)
        add("one_lane", direction="bidirectional", sizes=(6, 1, 4, 7), initial=True)
        add("one_step", direction="bidirectional", sizes=(1, 3, 4, 6), initial=True)
        add("saturated", scale=6.0, initial=True)
        add("clip", clip=0.6, initial=True)
        add("clip_bidirectional_lens", clip=0.8, direction="bidirectional", lens=[5, 3, 7], initial=True)
        add("bidirectional_a_lane_without_steps", direction="bidirectional", lens=[5, 0, 7], initial=True)
        for name, extra in activations(op):
            add(name, initial=True, **extra)
        # The numbers of both directions, one behind the other, for those functions that have any.
        both = {"RNN": ["LeakyRelu"], "GRU": ["HardSigmoid", "ScaledTanh"], "LSTM": ["HardSigmoid", "Softsign", "ScaledTanh"]}[op]
        betas = {"GRU": [0.45, 0.6] * 2, "LSTM": [0.45, 0.6] * 2}.get(op)
        alphas = [0.15] * 2 if op == "RNN" else [0.3, 1.3] * 2
        extra = dict(activations=both * 2, activation_alpha=alphas) | (dict(activation_beta=betas) if betas else {})
        add("activations_bidirectional", direction="bidirectional", lens=[6, 7, 3], **extra)
    if op == "LSTM":
        def lstm(name, **what):
            all_cases.append(case(op, name, initial=True, **what))

        lstm("peepholes", peepholes=True)
        lstm("peepholes_bidirectional_lens", peepholes=True, direction="bidirectional", lens=[2, 7, 6])
        lstm("peepholes_reverse_no_bias", peepholes=True, direction="reverse", bias=False)
        lstm("peepholes_clip", peepholes=True, clip=0.7)
        lstm("input_forget", input_forget=1)
        lstm("input_forget_bidirectional_lens", input_forget=1, direction="bidirectional", lens=[7, 4, 1])
        lstm("input_forget_peepholes_clip", input_forget=1, peepholes=True, clip=0.9)
        lstm("peepholes_sixty_steps", peepholes=True, sizes=(60, 2, 5, 17), scale=0.3)
    return all_cases


def main():
    folder = HERE / "onnxruntime_grid"
    folder.mkdir(exist_ok=True)
    for op in GATES:
        tensors, index = {}, []
        for one in grid(op):
            index.append(dict(name=one["name"], attributes=one["attributes"]))
            for part in ("inputs", "outputs"):
                for name, value in one[part].items():
                    key = f"{one['name']}/{name}"
                    assert key not in tensors and np.isfinite(value).all(), key
                    tensors[key] = np.ascontiguousarray(value)
        made = dict(op_type=op, onnx=onnx.__version__, onnxruntime=onnxruntime.__version__, cases=index)
        path = folder / f"{op.lower()}.safetensors"
        save_file(tensors, path, metadata={"cases": json.dumps(made)})
        path.chmod(0o644)
        print(path.name, len(index), "cases", path.stat().st_size)


if __name__ == "__main__":
    main()
