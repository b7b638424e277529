#!/usr/bin/env python3
"""Writes updates.json: what torch.optim makes of given weights and gradients in 20 steps, for each of Gatemill's rules.

How: weights and gradients are drawn from a seed and exact in float32; every case runs in float64, clip_grad_value_ first
where it clips. `config` names the hyperparameters as Gatemill does.
Promises: same torch and numpy, same file. Tests read the file and need neither torch nor Python.

Run: python3 updates.py        (torch and numpy, on the CPU)
"""
import json
import pathlib

import numpy as np
import torch

HERE = pathlib.Path(__file__).resolve().parent
STEPS, SIZE, SEED = 20, 24, 20261126
# Weights are kept after these steps.
KEPT = (1, 2, 7, 20)
DECAY, CLIP = 0.05, 0.125

RULES = {
    "adam": (dict(optimizer="adam", lr=0.01), lambda p, d: torch.optim.Adam(p, lr=0.01, weight_decay=d)),
    "adamw": (dict(optimizer="adamw", lr=0.01), lambda p, d: torch.optim.AdamW(p, lr=0.01, weight_decay=d)),
    "rmsprop": (
        dict(optimizer="rmsprop", lr=0.01, **{"decay-rate": 0.95}),
        lambda p, d: torch.optim.RMSprop(p, lr=0.01, alpha=0.95, eps=1e-8, weight_decay=d),
    ),
    "adagrad": (
        dict(optimizer="adagrad", lr=0.05),
        lambda p, d: torch.optim.Adagrad(p, lr=0.05, eps=1e-8, weight_decay=d),
    ),
    "momentum": (
        dict(optimizer="sgd", lr=0.1, momentum=0.9),
        lambda p, d: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=d),
    ),
    "sgd": (dict(optimizer="sgd", lr=0.1, momentum=0.0), lambda p, d: torch.optim.SGD(p, lr=0.1, weight_decay=d)),
}


def draw(rng, *shape):
    """Multiples of 2^-12 below 2: exact in float32, and short in decimal."""
    return rng.integers(-(2**13) + 1, 2**13, shape) * 2.0**-12


def run(rule, start, gradients, decay, clip):
    """The weights after the steps that are kept."""
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimiser = rule([weights], decay)
    kept = {}
    for step, gradient in enumerate(gradients, 1):
        weights.grad = torch.tensor(gradient, dtype=torch.float64)
        if clip:
            torch.nn.utils.clip_grad_value_([weights], clip)
        optimiser.step()
        if step in KEPT:
            kept[str(step)] = [float(f"{x:.12g}") for x in weights.tolist()]
    return kept


def main():
    rng = np.random.default_rng(SEED)
    start = draw(rng, SIZE)
    # By step and element the sizes fall from 2 to 2^-17: the epsilons and the limit count for some and not for others.
    sizes = 2.0 ** -((np.arange(STEPS)[:, None] * 5 + np.arange(SIZE)) % 18)
    gradients = draw(rng, STEPS, SIZE) * sizes
    assert (gradients == gradients.astype(np.float32)).all() and (start == start.astype(np.float32)).all()
    cases = []
    for name, (config, rule) in RULES.items():
        for decay, clip in [(0.0, 0.0), (DECAY, 0.0), (0.0, CLIP), (DECAY, CLIP)]:
            given = {**config, "weight-decay": decay, "clip-norm": 0.0, "clip-value": clip}
            case = dict(name=name + (" decay" if decay else "") + (" clip" if clip else ""), config=given)
            cases.append({**case, "weights": run(rule, start, gradients, decay, clip)})
    out = dict(torch=torch.__version__, start=start.tolist(), gradients=gradients.tolist(), cases=cases)
    # A line per case.
    text = json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"')
    (HERE / "updates.json").write_text(text + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    main()
