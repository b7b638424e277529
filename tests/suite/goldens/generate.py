#!/usr/bin/env python3
"""Writes the PyTorch goldens: what torch computes for small networks and for the first 200 training steps.

How: `steps()` draws weights, inputs and targets from a seed, runs torch once in float64 and once in float32, and writes
everything to one .safetensors per case; `embeddings()` does the same with an embedding below; `losses()` trains each cell from a start that README.md defines by a formula
(so that it need not be stored), on a text made by the built-in generator, and writes losses.json.
Promises: same torch, numpy and machine type, same files. Tests read the files and need neither torch nor Python.

Run: python3 -m venv V && V/bin/pip install -r requirements.txt && V/bin/python generate.py [steps|embeddings|losses]
"""
import hashlib
import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
KIND = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
DTYPES = {"f64": torch.float64, "f32": torch.float32}

# name -> L, T, B, I (V for ids), H. All sizes within a case differ: no transposition survives.
ID_CASES = {"ids_2x17": (2, 7, 3, 8, 17), "ids_1x8": (1, 5, 2, 9, 8)}
DENSE_CASE = ("dense_2x9", (2, 4, 3, 5, 9))
# name -> L, T, B, V, H, E; a tied embedding is the readout's matrix, so E = H.
EMBEDDING_CASES = {"embed_2x13": (2, 6, 3, 11, 13, 5), "tied_1x7": (1, 5, 2, 9, 7, 7)}

TEXT_BYTES, TEXT_SEED = 48_000, 7
LANES, SEQ, STEPS, LR, BOUND = 8, 25, 200, 2e-3, 0.125
# layers, hidden, clip norm: norms stay near 1 here, so 5 never clips and 0.25 nearly always does.
LOSS_RUNS = [(1, 64, 5.0), (2, 32, 0.25)]


class Net(torch.nn.Module):
    """torch.nn.{RNN,LSTM,GRU} and a linear head, with Gatemill's tensor names; below, an embedding where one is asked for."""

    def __init__(self, cell, inputs, hidden, layers, vocab, embed=0, tied=False):
        super().__init__()
        if embed and not tied:
            self.embedding = torch.nn.Embedding(vocab, embed)
        self.rnn = KIND[cell](embed or inputs, hidden, layers)
        self.head = torch.nn.Linear(hidden, vocab) if vocab else None
        if tied:  # after the head, so that the one matrix goes by the head's name
            self.embedding = torch.nn.Embedding(vocab, embed)
            self.embedding.weight = self.head.weight


def cell_index(cell):
    return list(KIND).index(cell)


def draw(rng, *shape, scale=1.0):
    """Normal numbers that float32 holds exactly: both precisions start from the same values."""
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def states(cell, h0, c0):
    return (h0, c0) if cell == "lstm" else h0


def last(cell, out):
    return (out[0], out[1]) if cell == "lstm" else (out, None)


def one_case(cell, name, sizes, dense, embed=0, tied=False):
    """One forward and backward pass in both precisions; returns the tensors of the file."""
    layers, steps, lanes, inputs, hidden = sizes
    rng = np.random.default_rng([20261123, cell_index(cell), layers, hidden])
    net = Net(cell, inputs, hidden, layers, 0 if dense else inputs, embed, tied)
    # Large enough that gates leave their linear range, small enough that nothing saturates.
    weights = {k: draw(rng, *p.shape, scale=0.35) for k, p in net.named_parameters()}
    tensors = dict(weights)
    tensors["h0"] = draw(rng, layers, lanes, hidden, scale=0.5)
    if cell == "lstm":
        tensors["c0"] = draw(rng, layers, lanes, hidden, scale=0.8)
    if dense:
        tensors["x"] = draw(rng, steps, lanes, inputs)
        tensors["d_top"] = draw(rng, steps, lanes, hidden)
        tensors["d_h_n"] = draw(rng, layers, lanes, hidden)
        if cell == "lstm":
            tensors["d_c_n"] = draw(rng, layers, lanes, hidden)
    else:
        tensors["ids"] = rng.integers(0, inputs, (steps, lanes)).astype(np.uint32)
        tensors["targets"] = rng.integers(0, inputs, (steps, lanes)).astype(np.uint32)

    for tag, dtype in DTYPES.items():
        net = Net(cell, inputs, hidden, layers, 0 if dense else inputs, embed, tied).to(dtype)
        assert not tied or net.embedding.weight is net.head.weight
        net.load_state_dict({k: torch.from_numpy(v).to(dtype) for k, v in weights.items()}, strict=not tied)
        leaf = {k: torch.from_numpy(tensors[k]).to(dtype).requires_grad_() for k in ("h0", "c0", "x") if k in tensors}
        given = {k: torch.from_numpy(tensors[k]).to(dtype) for k in ("d_top", "d_h_n", "d_c_n") if k in tensors}
        if dense:
            x = leaf["x"]
        elif embed:
            x = net.embedding(torch.from_numpy(tensors["ids"].astype(np.int64)))
        else:
            x = F.one_hot(torch.from_numpy(tensors["ids"].astype(np.int64)), inputs).to(dtype)
        top, state = net.rnn(x, states(cell, leaf["h0"], leaf.get("c0")))
        h_n, c_n = last(cell, state)
        if dense:
            objective = (top * given["d_top"]).sum() + (h_n * given["d_h_n"]).sum()
            if cell == "lstm":
                objective = objective + (c_n * given["d_c_n"]).sum()
        else:
            logits = net.head(top)
            targets = torch.from_numpy(tensors["targets"].astype(np.int64))
            objective = F.cross_entropy(logits.reshape(-1, inputs), targets.reshape(-1))
            tensors[f"{tag}.logits"] = logits.detach().numpy()
        objective.backward()
        tensors[f"{tag}.top"] = top.detach().numpy()
        tensors[f"{tag}.h_n"] = h_n.detach().numpy()
        if c_n is not None:
            tensors[f"{tag}.c_n"] = c_n.detach().numpy()
        tensors[f"{tag}.objective"] = objective.detach().numpy().reshape(1)
        if tag == "f32" and hidden > 16:
            continue  # the float64 gradients are the arbiter; the float32 twin of the small cases shows what torch itself loses
        for k, p in list(net.named_parameters()) + list(leaf.items()):
            tensors[f"{tag}.grad.{k}"] = p.grad.numpy()
    return {k: np.ascontiguousarray(v) for k, v in tensors.items()}


def steps():
    for cell in KIND:
        cases = [(n, s, False) for n, s in ID_CASES.items()] + [(*DENSE_CASE, True)]
        for name, sizes, dense in cases:
            layers, t, b, i, hidden = sizes
            golden = json.dumps(dict(torch=torch.__version__, cell=cell, layers=layers, T=t, B=b, I=i, H=hidden))
            path = HERE / f"{cell}_{name}.safetensors"
            # One key: the writer orders several at random.
            save_file(one_case(cell, name, sizes, dense), path, metadata={"golden": golden})
            path.chmod(0o644)
            print(path.name, path.stat().st_size)


def embeddings():
    for cell in KIND:
        for name, (layers, t, b, v, hidden, embed) in EMBEDDING_CASES.items():
            golden = json.dumps(dict(torch=torch.__version__, cell=cell, layers=layers, T=t, B=b, V=v, H=hidden, E=embed))
            path = HERE / f"{cell}_{name}.safetensors"
            tensors = one_case(cell, name, (layers, t, b, v, hidden), False, embed, name.startswith("tied"))
            save_file(tensors, path, metadata={"golden": golden})
            path.chmod(0o644)
            print(path.name, path.stat().st_size)


def start_value(tensor, element):
    """README.md "The start": splitmix64 of a counter, top 24 bits, to [-1, 1), times BOUND; exact in float32."""
    mask = (1 << 64) - 1
    z = (((tensor + 1) << 32) + element) * 0x9E3779B97F4A7C15 & mask
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    z ^= z >> 31
    return ((z >> 40) * 2.0**-23 - 1.0) * BOUND


def start_weights(net):
    """The start of every run, and its weights_sha256 (float32 bytes in the order of the parameters)."""
    digest, weights = hashlib.sha256(), {}
    for tensor, (name, p) in enumerate(net.named_parameters()):
        flat = np.array([start_value(tensor, e) for e in range(p.numel())], dtype=np.float64)
        assert (flat == flat.astype(np.float32)).all(), "the start must be exact in float32"
        digest.update(flat.astype("<f4").tobytes())
        weights[name] = torch.from_numpy(flat.reshape(p.shape))
    return weights, digest.hexdigest()


def builtin_text():
    command = ["cargo", "run", "--quiet", "--package", "gatemill-cli", "--", "corpus", "--builtin"]
    command += ["--bytes", str(TEXT_BYTES), "--seed", str(TEXT_SEED)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout


def train(cell, layers, hidden, clip_norm, vocab, lanes, dtype):
    """The first STEPS steps: loss of each chunk before its update, and the gradient's norm before clipping."""
    net = Net(cell, vocab, hidden, layers, vocab).to(dtype)
    weights, digest = start_weights(net)
    net.load_state_dict({k: v.to(dtype) for k, v in weights.items()})
    optimiser = torch.optim.Adam(net.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-8)
    state, found, norms = None, [], []
    for step in range(STEPS):
        x = lanes[step * SEQ : (step + 1) * SEQ]
        y = lanes[step * SEQ + 1 : (step + 1) * SEQ + 1]
        if state is not None:
            state = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
        top, state = net.rnn(F.one_hot(x, vocab).to(dtype), state)
        loss = F.cross_entropy(net.head(top).reshape(-1, vocab), y.reshape(-1))
        optimiser.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), clip_norm).item())
        optimiser.step()
        found.append(loss.item())
    return digest, found, norms


def losses():
    text = builtin_text()
    symbols = sorted(set(text.decode("utf-8")))
    index = {s: i for i, s in enumerate(symbols)}
    ids = np.array([index[s] for s in text.decode("utf-8")], dtype=np.int64)
    length = (len(ids) - 1) // LANES
    assert length >= STEPS * SEQ, "the text must last for one epoch of STEPS chunks"
    lanes = torch.from_numpy(np.stack([ids[b * length : b * length + length + 1] for b in range(LANES)], 1))
    runs = []
    for cell in KIND:
        for layers, hidden, clip_norm in LOSS_RUNS:
            run = dict(cell=cell, layers=layers, hidden=hidden, clip_norm=clip_norm)
            for tag, dtype in DTYPES.items():
                run["start_weights_sha256"], found, norms = train(
                    cell, layers, hidden, clip_norm, len(symbols), lanes, dtype
                )
                run[f"{tag}_train_nats"] = [float(f"{v:.9g}") for v in found]
                if tag == "f64":
                    run["f64_grad_norm"] = [float(f"{v:.6g}") for v in norms]
            gap = max(abs(a - b) for a, b in zip(run["f64_train_nats"], run["f32_train_nats"]))
            print(cell, layers, hidden, "first", run["f64_train_nats"][0], "last", run["f64_train_nats"][-1], "f32-f64", gap)
            assert math.isfinite(gap)
            runs.append(run)
    out = dict(
        torch=torch.__version__,
        text=dict(bytes=len(text), seed=TEXT_SEED, sha256=hashlib.sha256(text).hexdigest(), symbols=len(symbols)),
        batch=LANES, seq=SEQ, steps=STEPS, lr=LR, beta1=0.9, beta2=0.999, eps=1e-8, start_bound=BOUND,
        runs=runs,
    )
    (HERE / "losses.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    wanted = sys.argv[1:] or ["steps", "embeddings", "losses"]
    for what in wanted:
        {"steps": steps, "embeddings": embeddings, "losses": losses}[what]()
