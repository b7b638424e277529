#!/usr/bin/env python3
"""Writes torch_layers/: torch.nn.RNN, LSTM and GRU in the forms that the character model does not need, with gradients.

How: per case a module with random weights, input, states and output gradients, run once in float64 and once in float32;
one .safetensors per case. Lengths go through pack_padded_sequence(enforce_sorted=False), so lanes lie in any order.
Promises: same torch, numpy and machine type, same files. Tests read the files and need neither torch nor Python.

Run: python3 -m venv V && V/bin/pip install -r requirements.txt && V/bin/python torch_layers.py
"""
import json
import pathlib
import zlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

HERE = pathlib.Path(__file__).resolve().parent
KIND = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
DTYPES = {"f64": torch.float64, "f32": torch.float32}
# T, B, I, H: all different, as P and L are from them.
SIZES = (6, 3, 5, 8)
LENGTHS = [4, 6, 1]


def cases():
    for cell in KIND:
        yield cell, "bidirectional", dict(layers=2, bidirectional=True)
        yield cell, "packed", dict(layers=2, bidirectional=True, lengths=LENGTHS)
        yield cell, "packed_forward", dict(layers=2, lengths=LENGTHS)
        yield cell, "no_bias", dict(layers=4, bias=False)
        yield cell, "dropout_zero", dict(layers=2, dropout=0.0, bidirectional=True)
    yield "rnn", "relu", dict(layers=4, nonlinearity="relu")
    yield "rnn", "relu_packed", dict(layers=2, nonlinearity="relu", bidirectional=True, lengths=LENGTHS)
    yield "lstm", "proj", dict(layers=4, proj_size=7)
    yield "lstm", "proj_packed", dict(layers=2, proj_size=7, bidirectional=True, lengths=LENGTHS)
    yield "lstm", "proj_no_bias", dict(layers=1, proj_size=2, bias=False, bidirectional=True)


def draw(rng, *shape, scale=1.0):
    """Normal numbers that float32 holds exactly: both precisions start from the same values."""
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def one_case(cell, name, form):
    form = dict(form)
    layers, lengths = form.pop("layers"), form.pop("lengths", None)
    steps, lanes, inputs, hidden = SIZES
    make = lambda: KIND[cell](inputs, hidden, layers, **form)
    runs = layers * (2 if form.get("bidirectional") else 1)
    h_width = form.get("proj_size") or hidden
    width = h_width * (2 if form.get("bidirectional") else 1)
    rng = np.random.default_rng([20261126, zlib.crc32(f"{cell} {name}".encode())])
    weights = {k: draw(rng, *p.shape, scale=0.35) for k, p in make().named_parameters()}
    tensors = {f"rnn.{k}": v for k, v in weights.items()}
    tensors["x"] = draw(rng, steps, lanes, inputs)
    tensors["h0"], tensors["d_h_n"] = draw(rng, runs, lanes, h_width, scale=0.5), draw(rng, runs, lanes, h_width)
    tensors["d_y"] = draw(rng, steps, lanes, width)
    if cell == "lstm":
        tensors["c0"], tensors["d_c_n"] = draw(rng, runs, lanes, hidden, scale=0.8), draw(rng, runs, lanes, hidden)
    for tag, dtype in DTYPES.items():
        net = make().to(dtype)
        net.load_state_dict({k: torch.from_numpy(v).to(dtype) for k, v in weights.items()})
        leaf = {k: torch.from_numpy(tensors[k]).to(dtype).requires_grad_() for k in ("x", "h0", "c0") if k in tensors}
        given = {k: torch.from_numpy(tensors[k]).to(dtype) for k in ("d_y", "d_h_n", "d_c_n") if k in tensors}
        x = leaf["x"] if lengths is None else pack_padded_sequence(leaf["x"], lengths, enforce_sorted=False)
        y, state = net(x, (leaf["h0"], leaf["c0"]) if cell == "lstm" else leaf["h0"])
        if lengths is not None:
            y, _ = pad_packed_sequence(y, total_length=steps)
        found = {"y": y, "h_n": state[0] if cell == "lstm" else state}
        if cell == "lstm":
            found["c_n"] = state[1]
        objective = sum((found[k] * given[f"d_{k}"]).sum() for k in found)
        objective.backward()
        tensors |= {f"{tag}.{k}": v.detach().numpy() for k, v in found.items()}
        if tag == "f64":
            grads = {f"rnn.{k}": p.grad for k, p in net.named_parameters()} | {k: v.grad for k, v in leaf.items()}
            tensors |= {f"f64.grad.{k}": v.numpy() for k, v in grads.items()}
    golden = dict(torch=torch.__version__, cell=cell, layers=layers, lengths=lengths, H=hidden, **form)
    return {k: np.ascontiguousarray(v) for k, v in tensors.items()}, golden


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder = HERE / "torch_layers"
    folder.mkdir(exist_ok=True)
    for cell, name, form in cases():
        tensors, golden = one_case(cell, name, form)
        path = folder / f"{cell}_{name}.safetensors"
        save_file(tensors, path, metadata={"golden": json.dumps(golden)})
        path.chmod(0o644)
        print(path.name, path.stat().st_size)
