"""What the layers refuse: as PyTorch does, with the same exception; and what PyTorch computes and Gatemill does not."""

import pytest
import torch
from layers import B, H, I, NAMES, T, pair, states
from torch.nn.utils.rnn import pack_padded_sequence

import gatemill.torch


def bad_calls(name):
    hx = lambda layer, *shape: (torch.zeros(shape), torch.zeros(shape)) if name == "LSTM" else torch.zeros(shape)
    return {
        "other columns": lambda layer: layer(torch.randn(T, B, I + 1)),
        "four dimensions": lambda layer: layer(torch.randn(T, B, I, 1)),
        "one dimension": lambda layer: layer(torch.randn(I)),
        "no steps": lambda layer: layer(torch.randn(0, B, I)),
        "whole numbers": lambda layer: layer(torch.ones(T, B, I, dtype=torch.long)),
        "float64 input": lambda layer: layer(torch.randn(T, B, I).double()),
        "no tensor": lambda layer: layer([[1.0] * I]),
        "state of another batch": lambda layer: layer(torch.randn(T, B, I), hx(layer, 1, B + 1, H)),
        "state of another layer": lambda layer: layer(torch.randn(T, B, I), hx(layer, 2, B, H)),
        "state of other units": lambda layer: layer(torch.randn(T, B, I), hx(layer, 1, B, H + 1)),
        "flat state": lambda layer: layer(torch.randn(T, B, I), hx(layer, 1, H)),
        "batched state, unbatched input": lambda layer: layer(torch.randn(T, I), hx(layer, 1, 1, H)),
        "state of the other kind": lambda layer: layer(
            torch.randn(T, B, I), torch.zeros(1, B, H) if name == "LSTM" else (torch.zeros(1, B, H), torch.zeros(1, B, H))
        ),
        "packed with another state": lambda layer: layer(
            pack_padded_sequence(torch.randn(T, B, I), [6, 4, 2, 1]), hx(layer, 1, B + 1, H)
        ),
        "packed with other columns": lambda layer: layer(pack_padded_sequence(torch.randn(T, B, I + 2), [6, 4, 2, 1])),
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", bad_calls("LSTM"))
def test_what_pytorch_refuses_is_refused_with_its_exception(name, call):
    theirs, ours = pair(name, I, H)
    call = bad_calls(name)[call]
    with pytest.raises(Exception) as expected:
        call(theirs)
    with pytest.raises(type(expected.value)) as found:
        call(ours)
    assert type(found.value) is type(expected.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("args", [(I,), (I, H, 2, True, False, 1.5), (I, -3), (I, H, 0)], ids=str)
def test_constructors_refuse_as_pytorchs(name, args):
    args = (*args[:3], "tanh", *args[3:]) if name == "RNN" and len(args) > 3 and torch.__version__ >= "2" else args
    try:
        getattr(torch.nn, name)(*args)
    except Exception as expected:
        with pytest.raises(type(expected)):
            getattr(gatemill.torch, name)(*args)
    else:
        getattr(gatemill.torch, name)(*args)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_a_type_error_that_says_what_to_do(name, dtype):
    ours = getattr(gatemill.torch, name)(I, H).to(dtype)
    with pytest.raises(TypeError, match=rf"{name}.*float32.*{dtype}.*\.float\(\).*torch.nn.{name}"):
        ours(torch.randn(T, B, I).to(dtype))
    ours.float()(torch.randn(T, B, I))


def test_other_devices_are_a_runtime_error_that_says_what_to_do():
    ours = gatemill.torch.GRU(I, H)
    with pytest.raises(RuntimeError, match=r"CPU.*meta.*\.to\('cpu'\)"):
        ours(torch.randn(T, B, I, device="meta"))
    with pytest.raises(RuntimeError, match="meta"):
        gatemill.torch.GRU(I, H, device="meta")(torch.randn(T, B, I))


def test_autocast_is_refused_with_what_to_do():
    ours = gatemill.torch.LSTM(I, H)
    x = torch.randn(T, B, I)
    y = ours(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with pytest.raises(RuntimeError, match=r"autocast\('cpu', enabled=False\)"):
            ours(x)
        with torch.autocast("cpu", enabled=False):
            assert torch.equal(ours(x)[0], y)


def test_own_options_of_the_numpy_layers_are_none_here():
    with pytest.raises(TypeError):
        gatemill.torch.LSTM(I, H, peepholes=True)
