"""States and layers as values: copies, forks, pickles."""

import copy
import pickle

import numpy as np
import pytest

import gatemill


def test_a_state_is_a_value_to_read_write_copy_and_fork(rng):
    lstm = gatemill.LSTM(4, 6, seed=1)
    x = rng.normal(size=(2, 4)).astype(np.float32)
    state = lstm.state(2)
    lstm.step(x, state)
    fork, saved = state.copy(), pickle.loads(pickle.dumps(state))
    assert fork == state == saved == copy.deepcopy(state) and state.batch == 2
    y = lstm.step(x, state)
    assert fork != state
    np.testing.assert_array_equal(lstm.step(x, fork), y)
    np.testing.assert_array_equal(lstm.step(x, saved), y)
    assert fork == state
    # h and c are copies; assigning writes.
    state.h[...] = 7
    assert fork == state
    state.h = np.full((1, 2, 6), 0.5, np.float32)
    state.c = fork.c
    assert (state.h == 0.5).all() and fork != state
    assert gatemill.State(state.h, state.c) == state
    with pytest.raises(ValueError, match=r"\[1, 2, 6\]"):
        state.h = np.zeros((1, 3, 6), np.float32)
    gru = gatemill.GRU(4, 6).state()
    assert gru.c is None
    with pytest.raises(TypeError):
        gru.c = gru.h


def test_copies_and_pickles_of_a_layer_are_layers_of_their_own(rng):
    layer = gatemill.GRU(4, 6, 2, batch_first=True, dropout=0.25, seed=4).eval()
    x = rng.normal(size=(3, 5, 4)).astype(np.float32)
    y = layer(x)[0]
    for other in [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]:
        assert repr(other) == repr(layer) == "GRU(4, 6, num_layers=2, batch_first=True, dropout=0.25)"
        np.testing.assert_array_equal(other(x)[0], y)
        other.load_state_dict({name: 0 * weight for name, weight in other.state_dict().items()})
        assert not np.array_equal(other(x)[0], y)
    np.testing.assert_array_equal(layer(x)[0], y)


def test_weights_that_are_set_are_used_by_the_next_pass(rng):
    layer, x = gatemill.RNN(4, 6), rng.normal(size=(5, 3, 4)).astype(np.float32)
    before = layer(x)[0]
    weights = layer.state_dict()
    weights["bias_ih_l0"] += 0.5
    layer.load_state_dict(weights)
    assert not np.array_equal(layer(x)[0], before)
    weights["bias_ih_l0"] -= 0.5
    other = gatemill.RNN(4, 6)
    other.load_state_dict(weights)
    np.testing.assert_allclose(other(x)[0], before, atol=1e-6)
