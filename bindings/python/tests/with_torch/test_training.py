"""Models that are trained with torch.nn and with gatemill.torch from the same start: the same losses."""

import pytest
import torch
from layers import NAMES
from torch import nn

import gatemill


def losses(name, ours, dense, steps, dropout=0.0, layers=1):
    torch.manual_seed(3)
    rnn, head = getattr(nn, name)(16, 32, layers, dropout=dropout), nn.Linear(32, 16)
    model = nn.ModuleList([rnn, head])
    if ours:
        gatemill.accelerate(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(4)
    found, state = [], None
    # Something that can be learned: each symbol is three after the one before, with noise.
    text = (torch.arange(0, 3 * 20 * (steps + 1), 3)[:, None] + torch.randint(0, 2, (20 * (steps + 1), 8), generator=generator)) % 16
    table = torch.randn(16, 16, generator=generator) if dense else torch.eye(16)
    for step in range(steps):
        ids = text[20 * step : 20 * step + 21]
        y, state = rnn(table[ids[:-1]], state)
        state = tuple(s.detach() for s in state) if name == "LSTM" else state.detach()
        loss = nn.functional.cross_entropy(head(y).reshape(-1, 16), ids[1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dense", [False, True], ids=["one-hot", "dense"])
def test_200_steps_have_pytorchs_losses(name, dense):
    theirs, ours = (losses(name, is_ours, dense, 200) for is_ours in (False, True))
    assert max(abs(a - b) for a, b in zip(theirs, ours, strict=True)) < 1e-3
    assert ours[-1] < ours[0] / 2


@pytest.mark.parametrize("name", NAMES)
def test_with_dropout_the_mean_loss_is_pytorchs(name):
    theirs, ours = (losses(name, is_ours, True, 300, dropout=0.2, layers=2) for is_ours in (False, True))
    assert abs(sum(theirs[-100:]) - sum(ours[-100:])) / 100 < 0.03
