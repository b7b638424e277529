"""The layers in PyTorch's graph: who gets a gradient, passes that overlap, second backwards, checkpoints, changed weights."""

import pytest
import torch
from layers import B, H, I, NAMES, T, agree, flat, pair, run, states
from torch.utils.checkpoint import checkpoint


def close(a, b):
    assert torch.allclose(a, b, atol=2e-5, rtol=1e-4), (a - b).abs().max()


@pytest.mark.parametrize("name", NAMES)
def test_only_what_asks_gets_a_gradient(name):
    theirs, ours = pair(name, I, H, 2)
    for layer in (theirs, ours):
        layer.weight_hh_l0.requires_grad_(False)
        layer.bias_ih_l1.requires_grad_(False)
    x = torch.randn(T, B, I)
    for layer in (theirs, ours):
        flat(layer(x))[0].sum().backward()
        assert x.grad is None and layer.weight_hh_l0.grad is None and layer.bias_ih_l1.grad is None
    for a, b in zip(ours.parameters(), theirs.parameters()):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            close(a.grad, b.grad)
    for p in ours.parameters():
        p.requires_grad_(False)
    assert not ours(x)[0].requires_grad
    leaf = x.clone().requires_grad_(True)
    ours(leaf)[0].sum().backward()
    other = x.clone().requires_grad_(True)
    theirs(other)[0].sum().backward()
    close(leaf.grad, other.grad)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_loss_of_one_output_alone(name, part):
    theirs, ours = pair(name, I, H, 2)
    if part == 2 and name != "LSTM":
        return
    x, hx = torch.randn(T, B, I), states(theirs, B)
    for layer in (theirs, ours):
        layer.zero_grad()
        (flat(layer(x, hx))[part] ** 3).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        close(a.grad, b.grad)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_that_is_used_many_times_before_backward(name):
    theirs, ours = pair(name, H, H)
    x = torch.randn(T, B, H)
    found = []
    for layer in (theirs, ours):
        layer.zero_grad()
        leaf = x.clone().requires_grad_(True)
        y, state = leaf, None
        for _ in range(4):
            y, state = layer(y, state)
        short, _ = layer(leaf[:2], None)
        (y.sum() + (short**2).sum()).backward()
        found.append([leaf.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(*found):
        close(a, b)


def test_a_decoder_of_single_steps():
    theirs, ours = pair("GRU", I, H)
    x = torch.randn(T, B, I)
    for layer in (theirs, ours):
        h, outs = None, []
        for t in range(T):
            y, h = layer(x[t : t + 1], h)
            outs.append(y)
        (torch.cat(outs) ** 2).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        close(a.grad, b.grad)


def test_truncated_backpropagation_carries_a_detached_state():
    theirs, ours = pair("LSTM", I, H, 2)
    xs = torch.randn(3, T, B, I)
    for layer in (theirs, ours):
        state = None
        for x in xs:
            y, state = layer(x, state)
            y.pow(2).sum().backward()
            state = tuple(s.detach() for s in state)
    for a, b in zip(ours.parameters(), theirs.parameters()):
        close(a.grad, b.grad)


def test_a_second_backward_needs_retain_graph_and_then_gives_the_same_bits():
    _, ours = pair("LSTM", I, H, 2)
    x = torch.randn(T, B, I, requires_grad=True)
    loss = ours(x)[0].pow(2).sum()
    loss.backward(retain_graph=True)
    first = [x.grad.clone(), *(p.grad.clone() for p in ours.parameters())]
    x.grad = None
    ours.zero_grad()
    loss.backward()
    for a, b in zip(first, [x.grad, *(p.grad for p in ours.parameters())]):
        assert torch.equal(a, b)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_retained_with_dropout_drops_the_same():
    _, ours = pair("GRU", I, H, 3, dropout=0.5)
    x = torch.randn(T, B, I, requires_grad=True)
    y = ours(x)[0]
    (first,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    ours(x)
    (second,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_recomputes_the_same(name):
    _, ours = pair(name, I, H, 2, dropout=0.3)
    x = torch.randn(T, B, I, requires_grad=True)
    found = []
    for through in (False, True):
        torch.manual_seed(9)
        ours.zero_grad()
        call = (lambda x: checkpoint(lambda x: ours(x)[0], x, use_reentrant=True)) if through else lambda x: ours(x)[0]
        y = call(x)
        (d_x,) = torch.autograd.grad(y.pow(2).sum(), x) if not through else (None,)
        if through:
            x.grad = None
            y.pow(2).sum().backward()
            d_x = x.grad
        found.append((y, d_x))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize("name", NAMES)
def test_weights_changed_between_forward_and_backward_are_pytorchs_error(name):
    for layer in pair(name, I, H):
        loss = layer(torch.randn(T, B, I))[0].sum()
        with torch.no_grad():
            layer.weight_hh_l0.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_an_input_changed_before_backward_is_pytorchs_error():
    for layer in pair("LSTM", I, H):
        x = torch.randn(T, B, I)
        loss = layer(x)[0].sum()
        x.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_an_output_changed_before_backward_harms_nothing():
    theirs, ours = pair("GRU", I, H)
    x = torch.randn(T, B, I)
    (theirs(x)[0] + 1).pow(2).sum().backward()
    y = ours(x)[0]
    y.add_(1)
    y.pow(2).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        close(a.grad, b.grad)


def test_no_grad_and_inference_mode_keep_no_graph_and_give_the_same_bits():
    _, ours = pair("LSTM", I, H, 2)
    x = torch.randn(T, B, I)
    y = ours(x)[0]
    assert y.requires_grad
    for mode in [torch.no_grad(), torch.inference_mode()]:
        with mode:
            again = ours(x)[0]
            assert not again.requires_grad and torch.equal(again, y)
            ours(torch.randn(T, B, I))
    agree(*pair("LSTM", I, H, 2), x)


@pytest.mark.parametrize("name", NAMES)
def test_double_backward_is_refused_with_what_to_do(name):
    _, ours = pair(name, I, H)
    x = torch.randn(T, B, I, requires_grad=True)
    (d_x,) = torch.autograd.grad(ours(x)[0].pow(2).sum(), x, create_graph=True)
    (plain,) = torch.autograd.grad(ours(x)[0].pow(2).sum(), x)
    assert torch.equal(d_x, plain), "the gradient itself is right"
    with pytest.raises(RuntimeError, match=f"second derivative.*torch.nn"):
        d_x.pow(2).sum().backward()


def test_gradients_add_up_in_parameters():
    theirs, ours = pair("LSTM", I, H)
    x = torch.randn(T, B, I)
    for layer in (theirs, ours):
        for _ in range(3):
            layer(x)[0].pow(2).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        close(a.grad, b.grad)


def test_hooks_and_anomaly_detection_work():
    _, ours = pair("GRU", I, H)
    seen = []
    ours.register_forward_hook(lambda module, args, out: seen.append("forward"))
    ours.weight_ih_l0.register_hook(lambda grad: seen.append("grad") or grad * 2)
    with torch.autograd.set_detect_anomaly(True):
        y, h = ours(torch.randn(T, B, I))
        h.register_hook(lambda grad: seen.append("state"))
        (y.sum() + h.sum()).backward()
    assert sorted(seen) == ["forward", "grad", "state"]


def test_the_same_results_as_run_alone_after_other_batches():
    _, ours = pair("LSTM", I, H, 2)
    sizes = [(6, 4), (3, 4), (9, 2), (6, 4), (1, 1), (6, 4)]
    xs = {size: torch.randn(*size, I) for size in sizes}
    first = {}
    for size in sizes:
        found = run(ours, xs[size])
        for name, value in first.setdefault(size, found).items():
            assert torch.equal(found[name], value), (size, name)
