"""Options, forms of input, states, frozen weights and losses drawn at random: what no list of cases thought of together."""

import random
import warnings

import pytest
import torch
from layers import NAMES, flat, pair, states
from torch.nn.utils.rnn import pack_padded_sequence

FORMS = ["batch", "unbatched", "sorted", "unsorted", "strided"]


def options_of(rnd, name, hidden):
    """Options that torch.nn takes."""
    options = dict(
        num_layers=rnd.randint(1, 3),
        bias=rnd.random() < 0.8,
        batch_first=rnd.random() < 0.5,
        bidirectional=rnd.random() < 0.5,
    )
    if name == "LSTM" and hidden > 1 and rnd.random() < 0.3:
        options["proj_size"] = rnd.randint(1, hidden - 1)
    if name == "RNN":
        options["nonlinearity"] = rnd.choice(["tanh", "relu"])
    return options


def input_of(rnd, form, steps, batch, inputs, batch_first):
    """A leaf, and what makes a layer's input of it."""
    if form == "unbatched":
        return torch.randn(steps, inputs), lambda leaf: leaf
    if form == "strided":
        base = torch.randn(inputs, steps + 2, batch * 2).permute(1, 2, 0)[1 : steps + 1, ::2]
        return base.transpose(0, 1) if batch_first else base, lambda leaf: leaf
    leaf = torch.randn(batch, steps, inputs) if batch_first else torch.randn(steps, batch, inputs)
    if form == "batch":
        return leaf, lambda leaf: leaf
    lengths = [rnd.randint(1, steps) for _ in range(batch)]
    lengths = torch.tensor(sorted(lengths, reverse=True) if form == "sorted" else lengths)
    return leaf, lambda leaf: pack_padded_sequence(leaf, lengths, batch_first, enforce_sorted=form == "sorted")


def loss_of(outputs, kinds, generator):
    """A sum over some of the outputs, each by a way of its own to a gradient that lies otherwise."""
    total = 0.0
    for out, kind in zip(outputs, kinds):
        factor = torch.randn(out.shape, generator=generator)
        if kind == "weighed":
            total = total + (out * factor).sum()
        elif kind == "sum":
            total = total + out.sum()
        elif kind == "row":
            total = total + (out * factor.flatten()[: out.shape[-1]]).sum()
        elif kind == "rows":
            total = total + out.sum(0).mul(factor[0]).sum()
    return total


@pytest.mark.parametrize("seed", range(80))
def test_any_combination_is_pytorchs(seed):
    rnd = random.Random(seed)
    torch.manual_seed(seed)
    name, form = rnd.choice(NAMES), FORMS[seed % len(FORMS)]
    inputs, hidden, steps, batch = rnd.randint(1, 20), rnd.randint(1, 40), rnd.randint(1, 12), rnd.randint(1, 7)
    options = options_of(rnd, name, hidden)
    layers = pair(name, inputs, hidden, **options)
    x, made = input_of(rnd, form, steps, batch, inputs, options["batch_first"])
    hx = states(layers[0], batch, unbatched=form == "unbatched") if rnd.random() < 0.5 else None
    wants_x, wants_state = rnd.random() < 0.7, rnd.random() < 0.7
    frozen = [key for key, _ in layers[0].named_parameters() if rnd.random() < 0.15] if rnd.random() < 0.3 else []
    kinds = [rnd.choice(["weighed", "sum", "row", "rows", "none"]) for _ in range(3)]
    drawn = f"{name} {options} {form} {steps}x{batch} frozen {frozen} loss {kinds}"
    found = []
    for layer in layers:
        for key, parameter in layer.named_parameters():
            parameter.requires_grad_(key not in frozen)
        leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_(wants_x)
        given = hx if isinstance(hx, tuple) else () if hx is None else (hx,)
        given = [state.clone().requires_grad_(wants_state) for state in given]
        state = None if hx is None else tuple(given) if isinstance(hx, tuple) else given[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = flat(layer(made(leaf), state))
        loss = loss_of(outputs, kinds, torch.Generator().manual_seed(seed))
        if isinstance(loss, torch.Tensor) and loss.requires_grad:
            loss.backward()
        gradients = [leaf.grad, *(state.grad for state in given), *(p.grad for p in layer.parameters())]
        found.append([*(out.detach() for out in outputs), *gradients])
    for i, (theirs, ours) in enumerate(zip(*found)):
        assert (theirs is None) == (ours is None), f"{drawn}: {i}"
        if theirs is not None:
            assert theirs.shape == ours.shape, f"{drawn}: {i}"
            assert torch.allclose(ours, theirs, rtol=2e-5, atol=2e-5), f"{drawn}: {i}, {(ours - theirs).abs().max()}"
