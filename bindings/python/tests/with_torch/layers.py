"""What the tests of the PyTorch part share: a layer of PyTorch's and ours with the same weights, and how far apart they are."""

import copy
import warnings

import torch

import gatemill.torch

# steps, batch, inputs, hidden: all different.
T, B, I, H = 6, 4, 5, 7
NAMES = ["LSTM", "GRU", "RNN"]


def pair(name, *args, **options):
    """PyTorch's layer, ours with its weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch.nn, name)(*args, **options)
        ours = getattr(gatemill.torch, name)(*args, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def flat(outputs):
    """y, h_n (, c_n) of a layer's return value."""
    y, last = outputs
    y = y.data if isinstance(y, torch.nn.utils.rnn.PackedSequence) else y
    return [y, *(last if isinstance(last, tuple) else [last])]


def run(layer, x, hx=None, weigh=True):
    """Outputs, and the gradients of a weighed sum of them to x, the states and the parameters, by name."""
    double = next(layer.parameters()).dtype == torch.float64
    cast = lambda t: t.detach().to(torch.float64 if double else t.dtype).requires_grad_(True)
    packed = isinstance(x, torch.nn.utils.rnn.PackedSequence)
    leaf = cast(x.data if packed else x)
    given = x._replace(data=leaf) if packed else leaf
    states = [] if hx is None else [cast(h) for h in (hx if isinstance(hx, tuple) else (hx,))]
    state = None if hx is None else tuple(states) if isinstance(hx, tuple) else states[0]
    layer.zero_grad()
    outputs = flat(layer(given, state))
    generator = torch.Generator().manual_seed(11)
    factors = [torch.randn(out.shape, generator=generator).to(out.dtype) for out in outputs]
    sum((out * factor).sum() for out, factor in zip(outputs, factors)).backward()
    found = {f"output {i}": out.detach() for i, out in enumerate(outputs)}
    found["d x"] = leaf.grad
    found.update({f"d state {i}": h.grad for i, h in enumerate(states)})
    found.update({f"d {name}": p.grad.clone() for name, p in layer.named_parameters()})
    return found


def agree(theirs, ours, x, hx=None):
    """Ours is as near to PyTorch's float64 as float32 allows, in every output and gradient."""
    exact, found = run(copy.deepcopy(theirs).double(), x, hx), run(ours, x, hx)
    assert exact.keys() == found.keys()
    for name, value in exact.items():
        assert found[name].dtype == torch.float32 and found[name].shape == value.shape, name
        bound = 2e-6 * max(1.0, value.abs().max().item()) * 4
        distance = (found[name].double() - value).abs().max().item() if value.numel() else 0.0
        assert distance <= bound, f"{name}: {distance} beyond {bound}"


def states(layer, batch, unbatched=False):
    """Random initial states for a layer."""
    parts = layer.num_layers * (2 if layer.bidirectional else 1)
    h = torch.randn(parts, batch, layer.proj_size or layer.hidden_size) * 0.5
    c = torch.randn(parts, batch, layer.hidden_size) * 0.5
    if unbatched:
        h, c = h[:, 0], c[:, 0]
    return (h, c) if layer.mode == "LSTM" else h
