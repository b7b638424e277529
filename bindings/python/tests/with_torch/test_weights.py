"""Weights are taken over when they changed, and only then, however they were changed."""

import pytest
import torch
from layers import B, H, I, T, agree, pair

import gatemill.torch


def engine(layer):
    return layer._engine()


def same(theirs, ours, x):
    with torch.no_grad():
        assert torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-5)


@pytest.fixture
def layers():
    return pair("LSTM", I, H, 2)


def test_unchanged_weights_are_taken_over_once(layers):
    _, ours = layers
    x = torch.randn(T, B, I)
    ours(x)
    count = engine(ours).taken_over
    assert count == 8
    for batch in (1, 3, 40):
        ours(torch.randn(T, batch, I))[0].sum().backward()
    with torch.no_grad():
        ours(x)
    ours.eval()(x)
    assert engine(ours).taken_over == count


def test_one_changed_weight_is_taken_over_alone(layers):
    theirs, ours = layers
    x = torch.randn(T, B, I)
    ours(x)
    for layer in layers:
        with torch.no_grad():
            layer.bias_hh_l1.add_(0.3)
    same(theirs, ours, x)
    assert engine(ours).taken_over == 9


CHANGES = {
    "in place": lambda p: p.add_(0.1),
    "data in place": lambda p: p.data.add_(0.1),
    "data replaced": lambda p: setattr(p, "data", p.data + 0.1),
    "through numpy": lambda p: p.detach().numpy().__iadd__(0.1),
    "a view of data": lambda p: p.data.view(-1)[:: p.numel() - 1].add_(0.5),
    "transposed storage": lambda p: setattr(p, "data", (p.data + 0.1).t().contiguous().t() if p.dim() == 2 else p.data + 0.1),
    "copied": lambda p: p.data.copy_(torch.full_like(p, 0.05)),
}


@pytest.mark.parametrize("how", CHANGES)
def test_every_way_to_change_weights_is_seen(layers, how):
    theirs, ours = layers
    x = torch.randn(16, 5, I)
    same(theirs, ours, x)
    for _ in range(3):
        for layer in layers:
            with torch.no_grad():
                for p in layer.parameters():
                    CHANGES[how](p)
        same(theirs, ours, x)
        same(theirs, ours, x[:1, :1])


def test_short_passes_of_large_layers_see_whole_rewrites_through_data():
    theirs, ours = pair("GRU", 130, 120)
    x = torch.randn(1, 1, 130)
    same(theirs, ours, x)
    for layer in (theirs, ours):
        for p in layer.parameters():
            p.data.mul_(0.5)
    same(theirs, ours, x)


def test_long_passes_of_large_layers_see_one_element_that_is_set_through_data():
    theirs, ours = pair("GRU", 130, 120)
    x = torch.randn(20, 4, 130)
    same(theirs, ours, x)
    # First and last of a weight, and on both sides of where one worker's piece ends and another's begins.
    for place in [0, (1 << 14) - 1, 1 << 14, 360 * 130 - 1]:
        before = ours(x)[0]
        for layer in (theirs, ours):
            layer.weight_ih_l0.data.view(-1)[place] += 3.0
        same(theirs, ours, x)
        assert not torch.equal(ours(x)[0], before)


def test_parameters_that_are_replaced(layers):
    theirs, ours = layers
    x = torch.randn(T, B, I)
    same(theirs, ours, x)
    new = torch.randn(4 * H, I) * 0.2
    for layer in layers:
        layer.weight_ih_l0 = torch.nn.Parameter(new.clone())
    same(theirs, ours, x)
    agree(theirs, ours, x)


def test_weights_of_tied_layers_and_passes_with_other_weights_before_backward():
    """As WeightDrop does it: another tensor for each pass, and both passes go backward."""
    theirs, ours = pair("LSTM", I, H)
    x = torch.randn(T, B, I)
    grads = []
    for layer in (theirs, ours):
        raw = layer.weight_hh_l0.detach().clone().requires_grad_(True)
        del layer._parameters["weight_hh_l0"]
        loss = 0
        for factor in (0.5, 2.0):
            layer.weight_hh_l0 = raw * factor
            if hasattr(layer, "_flat_weights"):
                layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]
            loss = loss + layer(x)[0].pow(2).sum()
        loss.backward()
        grads.append(raw.grad)
    assert torch.allclose(*grads, atol=1e-4, rtol=1e-4)


def test_weight_norm():
    theirs, ours = (torch.nn.utils.weight_norm(layer, "weight_hh_l0") for layer in pair("GRU", I, H))
    x = torch.randn(T, B, I)
    for layer in (theirs, ours):
        layer(x)[0].pow(2).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        assert torch.allclose(a.grad, b.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_optimisers_are_followed(optimizer):
    torch.manual_seed(1)
    layers = pair("GRU", I, H)
    steps = [getattr(torch.optim, optimizer)(layer.parameters(), lr=0.01) for layer in layers]
    x = torch.randn(16, 5, I)
    for _ in range(5):
        losses = []
        for layer, step in zip(layers, steps):
            step.zero_grad()
            loss = layer(x)[0].pow(2).mean()
            loss.backward()
            step.step()
            losses.append(loss.item())
        assert abs(losses[0] - losses[1]) < 1e-5


def test_a_word_model_that_updates_through_data():
    layers = pair("RNN", I, H)
    x = torch.randn(16, 5, I)
    for _ in range(5):
        losses = []
        for layer in layers:
            layer.zero_grad()
            loss = layer(x)[0].pow(2).mean()
            loss.backward()
            for p in layer.parameters():
                p.data.add_(p.grad, alpha=-0.5)
            losses.append(loss.item())
        assert abs(losses[0] - losses[1]) < 1e-5


def test_functional_call():
    try:
        from torch.func import functional_call
    except ImportError:
        from torch.nn.utils.stateless import functional_call
    ours = gatemill.torch.LSTM(I, H)
    x = torch.randn(T, B, I)
    before = ours(x)[0]
    doubled = {name: p * 2 for name, p in ours.named_parameters()}
    called = functional_call(ours, doubled, (x,))[0]
    assert not torch.equal(called, before) and torch.equal(ours(x)[0], before)
    with torch.no_grad():
        for p in ours.parameters():
            p.mul_(2)
    assert torch.equal(ours(x)[0], called)
