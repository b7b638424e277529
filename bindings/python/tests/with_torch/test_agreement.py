"""Forward and backward are those of torch.nn, for every option and every form of the input."""

import pytest
import torch
from layers import B, H, I, NAMES, T, agree, pair, states
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

OPTIONS = [
    {},
    dict(num_layers=3),
    dict(bias=False),
    dict(bidirectional=True),
    dict(num_layers=2, bidirectional=True, bias=False),
]
KINDS = [(name, options) for name in NAMES for options in OPTIONS]
KINDS += [("LSTM", dict(proj_size=3, num_layers=2)), ("LSTM", dict(proj_size=2, num_layers=2, bidirectional=True))]
KINDS += [("RNN", dict(nonlinearity="relu", num_layers=2)), ("RNN", dict(nonlinearity="relu", bidirectional=True))]
each_kind = pytest.mark.parametrize("name, options", KINDS, ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v)))


@each_kind
@pytest.mark.parametrize("has_state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["steps", "batch"])
def test_batches(name, options, has_state, batch_first):
    theirs, ours = pair(name, I, H, batch_first=batch_first, **options)
    x = torch.randn(B, T, I) if batch_first else torch.randn(T, B, I)
    agree(theirs, ours, x, states(theirs, B) if has_state else None)


@each_kind
@pytest.mark.parametrize("has_state", [False, True], ids=["zeros", "state"])
def test_unbatched(name, options, has_state):
    for batch_first in [False, True]:
        theirs, ours = pair(name, I, H, batch_first=batch_first, **options)
        agree(theirs, ours, torch.randn(T, I), states(theirs, 1, unbatched=True) if has_state else None)


@each_kind
@pytest.mark.parametrize("has_state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("lengths", [[6, 5, 5, 1], [2, 6, 1, 4], [3, 3, 3, 3]], ids=["sorted", "unsorted", "even"])
def test_packed_sequences(name, options, has_state, lengths):
    theirs, ours = pair(name, I, H, batch_first=True, **options)
    is_sorted = lengths == sorted(lengths, reverse=True)
    for enforce_sorted in {False, is_sorted}:
        x = pack_padded_sequence(torch.randn(B, T, I), torch.tensor(lengths), True, enforce_sorted=enforce_sorted)
        agree(theirs, ours, x, states(theirs, B) if has_state else None)
        y, _ = ours(x)
        expected, _ = theirs(x)
        assert isinstance(y, PackedSequence)
        for a, b in zip(y[1:], expected[1:]):
            assert a is b or torch.equal(a, b)
        assert torch.allclose(pad_packed_sequence(y)[0], pad_packed_sequence(expected)[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_packed_gradients_reach_the_sequences(name):
    theirs, ours = pair(name, I, H)
    found = []
    for layer in (theirs, ours):
        torch.manual_seed(3)
        parts = [torch.randn(n, I, requires_grad=True) for n in (2, 5, 3)]
        y, _ = layer(pack_sequence(parts, enforce_sorted=False))
        (pad_packed_sequence(y)[0] ** 2).sum().backward()
        found.append([part.grad for part in parts])
    for a, b in zip(*found):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_lie_otherwise(name):
    theirs, ours = pair(name, I, H)
    base = torch.randn(2 * T, B, 2 * I)
    for x in [
        base[::2, :, :I],
        base[:T, :, ::2],
        base[:T, :, :I].transpose(0, 1).contiguous().transpose(0, 1),
        torch.randn(1, 1, I).expand(T, B, I),
        torch.randn(I, B, T).permute(2, 1, 0),
        torch.randn(1, B, I),
        torch.randn(T, 1, I),
    ]:
        agree(theirs, ours, x)
    one = pair(name, 1, 1)
    agree(*one, torch.randn(T, B, 1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (33, 17, 19, 64), (3, 2, 70, 40)], ids=str)
def test_other_sizes(name, sizes):
    steps, batch, inputs, hidden = sizes
    theirs, ours = pair(name, inputs, hidden, 2)
    agree(theirs, ours, torch.randn(steps, batch, inputs), states(theirs, batch))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch_is_pytorchs(name):
    theirs, ours = pair(name, I, H)
    x = torch.randn(T, 0, I)
    try:
        expected = theirs(x)[0].shape
    except RuntimeError as error:
        with pytest.raises(type(error)):
            ours(x)
    else:
        assert ours(x)[0].shape == expected


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_are_pytorchs(name):
    import gatemill.torch

    torch.manual_seed(1)
    theirs = getattr(torch.nn, name)(I, H, 2, bidirectional=True)
    after = torch.rand(1)
    torch.manual_seed(1)
    ours = getattr(gatemill.torch, name)(I, H, 2, bidirectional=True)
    assert torch.equal(torch.rand(1), after)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()):
        assert torch.equal(a, b)
    assert repr(ours) == repr(theirs)
