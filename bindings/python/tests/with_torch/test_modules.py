"""The layers as modules: state_dict, copies, pickles, modes, and ``accelerate``."""

import copy
import io
import pickle
import warnings

import pytest
import torch
from layers import B, H, I, NAMES, T, agree, pair, run, states
from torch import nn

import gatemill
import gatemill.torch


@pytest.mark.parametrize("name", NAMES)
def test_state_dicts_go_both_ways(name):
    theirs, ours = pair(name, I, H, 2, bidirectional=True)
    with torch.no_grad():
        for p in ours.parameters():
            p.normal_()
    theirs.load_state_dict(ours.state_dict())
    buffer = io.BytesIO()
    torch.save(ours.state_dict(), buffer)
    buffer.seek(0)
    other = getattr(gatemill.torch, name)(I, H, 2, bidirectional=True)
    other.load_state_dict(torch.load(buffer))
    x = torch.randn(T, B, I)
    assert torch.equal(other(x)[0], ours(x)[0])
    assert torch.allclose(theirs(x)[0], ours(x)[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_pickles_are_layers_of_their_own(name):
    _, ours = pair(name, I, H, 2, batch_first=True)
    x = torch.randn(B, T, I)
    y = ours(x)[0]
    saved = io.BytesIO()
    torch.save(ours, saved)
    saved.seek(0)
    options = {} if torch.__version__ < "1.14" else dict(weights_only=False)
    for other in [copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), torch.load(saved, **options)]:
        assert type(other) is type(ours) and torch.equal(other(x)[0], y)
        with torch.no_grad():
            for p in other.parameters():
                p.zero_()
        assert not torch.equal(other(x)[0], y) and torch.equal(ours(x)[0], y)
    # In the middle of a graph, too.
    loss = ours(x)[0].sum()
    copy.deepcopy(ours)(x)
    loss.backward()


def test_dropout_is_between_layers_and_of_training_alone():
    torch.manual_seed(1)
    ours = gatemill.torch.LSTM(I, 64, 2, dropout=0.4)
    plain = gatemill.torch.LSTM(I, 64, 2)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(40, 8, I)
    exact = plain(x)[0]
    assert not torch.equal(ours(x)[0], ours(x)[0])
    assert torch.equal(ours.eval()(x)[0], exact)
    torch.manual_seed(3)
    a = ours.train()(x)[0]
    torch.manual_seed(3)
    assert torch.equal(ours(x)[0], a)
    with torch.no_grad():
        torch.manual_seed(3)
        assert torch.equal(ours(x)[0], a)
    # The first layer's outputs are dropped with probability 0.4 and scaled: their mean over many passes is what it was.
    theirs = nn.LSTM(I, 64, 2, dropout=0.4)
    theirs.load_state_dict(ours.state_dict())
    mean = lambda layer: torch.stack([layer(x)[0].detach() for _ in range(60)]).mean(0)
    assert (mean(ours) - mean(theirs)).abs().max() < 0.05
    # The gradient is that of the same masks: a step along it changes the loss as it says.
    torch.manual_seed(3)
    leaf = x.clone().requires_grad_(True)
    loss = ours(leaf)[0].pow(2).sum()
    loss.backward()
    moved = []
    for sign in (1, -1):
        torch.manual_seed(3)
        with torch.no_grad():
            moved.append(ours(x + sign * 1e-3 * leaf.grad.sign())[0].double().pow(2).sum().item())
    assert (moved[0] - moved[1]) / 2e-3 == pytest.approx(leaf.grad.abs().sum().item(), rel=0.02)


def test_dropout_of_everything_and_of_a_single_layer_are_pytorchs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = pair("GRU", I, H, 2, dropout=1.0)
        agree(*pair("LSTM", I, H, 1, dropout=0.5), torch.randn(T, B, I))
    x = torch.randn(T, B, I)
    assert torch.allclose(theirs(x)[0], ours(x)[0], atol=1e-6)


class Model(nn.Module):
    """As others write it: an embedding, layers of all kinds in containers, a shared one, a readout."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, I)
        self.encoder = nn.ModuleDict({"fine": nn.LSTM(I, H, 2, bidirectional=True), "coarse": nn.GRU(2 * H, H)})
        self.top = nn.Sequential(nn.Identity(), nn.ModuleList([nn.RNN(H, H, nonlinearity="relu")]))
        self.again = self.encoder["coarse"]
        self.head = nn.Linear(H, 11)

    def forward(self, ids):
        y, _ = self.encoder["fine"](self.embed(ids))
        y, _ = self.again(y)
        y, _ = self.top[1][0](y)
        return self.head(y)


def test_accelerate_replaces_in_place_and_optimisers_stay_valid():
    torch.manual_seed(2)
    theirs, ours = Model(), Model()
    ours.load_state_dict(theirs.state_dict())
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.02) for model in (theirs, ours)]
    parameters, fine = list(ours.parameters()), ours.encoder["fine"]
    seen = []
    fine.register_forward_hook(lambda *_: seen.append(1))
    assert gatemill.accelerate(ours) is ours
    assert ours.encoder["fine"] is fine and type(fine) is gatemill.torch.LSTM and isinstance(fine, nn.LSTM)
    assert type(ours.again) is gatemill.torch.GRU and ours.again is ours.encoder["coarse"]
    assert type(ours.top[1][0]) is gatemill.torch.RNN and type(ours.head) is nn.Linear
    assert all(a is b for a, b in zip(parameters, ours.parameters(), strict=True))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    gatemill.accelerate(ours)
    ids = torch.randint(0, 11, (9, B))
    for _ in range(30):
        losses = []
        for model, optimizer in zip((theirs, ours), optimizers):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(ids[:-1]).reshape(-1, 11), ids[1:].reshape(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert losses[0] < 1.5 and len(seen) == 30
    again = pickle.loads(pickle.dumps(ours))
    assert torch.equal(again(ids), ours(ids))


def test_accelerate_of_a_layer_itself_and_of_one_that_has_run():
    layer = nn.LSTM(I, H)
    x = torch.randn(T, B, I)
    y = layer(x)[0]
    assert gatemill.accelerate(layer) is layer and type(layer) is gatemill.torch.LSTM
    assert torch.allclose(layer(x)[0], y, atol=1e-6)
    with pytest.raises(TypeError, match="Module"):
        gatemill.accelerate(lambda x: x)


def test_accelerate_leaves_what_it_cannot_stand_for_with_a_warning():
    class Mine(nn.LSTM):
        pass

    model = nn.ModuleDict({"mine": Mine(I, H), "wide": nn.GRU(I, H).double(), "plain": nn.RNN(I, H), "patched": nn.RNN(I, H)})
    model["patched"].forward = lambda x: x
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gatemill.accelerate(model)
    said = sorted(str(warning.message) for warning in caught)
    assert len(said) == 3 and all(warning.filename == __file__ for warning in caught)
    assert "`wide` (GRU)" in said[2] and "float64" in said[2]
    assert "`mine` (Mine)" in said[0] and "subclass" in said[0]
    assert "`patched` (RNN)" in said[1] and "replaced" in said[1]
    assert type(model["mine"]) is Mine and type(model["wide"]) is nn.GRU and type(model["plain"]) is gatemill.torch.RNN
    y, _ = model["wide"](torch.randn(T, B, I).double())
    assert y.dtype == torch.float64


def test_options_may_be_changed_on_the_module():
    _, ours = pair("GRU", I, H, 2)
    x = torch.randn(T, B, I)
    y = ours(x)[0]
    ours.batch_first = True
    assert torch.equal(ours(x.transpose(0, 1))[0].transpose(0, 1), y)
    ours.dropout = 0.5
    assert not torch.equal(ours(x.transpose(0, 1))[0].transpose(0, 1), y)


def test_memory_of_passes_is_given_back_on_request():
    _, ours = pair("LSTM", I, H)
    x = torch.randn(T, B, I)
    first = run(ours, x, states(ours, B))
    ours.release_memory()
    for name, value in run(ours, x, None).items():
        assert name in first
    second = run(ours, x)
    ours.release_memory()
    for name, value in run(ours, x).items():
        assert torch.equal(value, second[name])
