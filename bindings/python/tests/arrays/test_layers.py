"""The layers on NumPy arrays against plain float64: outputs, states, and every kind of gradient."""

import numpy as np
import pytest
import reference

import gatemill

# steps, batch, inputs, hidden: all different.
T, B, I, H = 5, 3, 4, 6
LSTM, GRU, RNN = gatemill.LSTM, gatemill.GRU, gatemill.RNN
KINDS = [
    (LSTM, {}),
    (GRU, {}),
    (RNN, {}),
    (LSTM, dict(num_layers=3)),
    (GRU, dict(num_layers=2, bias=False)),
    (LSTM, dict(bias=False)),
    (RNN, dict(nonlinearity="relu", num_layers=2)),
    (LSTM, dict(num_layers=2, bidirectional=True)),
    (GRU, dict(num_layers=2, bidirectional=True)),
    (RNN, dict(bidirectional=True, direction="sum")),
    (GRU, dict(direction="reverse")),
    (LSTM, dict(proj_size=2)),
    (LSTM, dict(proj_size=2, num_layers=2, bidirectional=True)),
    (GRU, dict(reset_before=True)),
    (LSTM, dict(peepholes=True, num_layers=2)),
    (LSTM, dict(coupled=True)),
    (LSTM, dict(cell_clip=0.2)),
    (LSTM, dict(num_layers=3, residual=True)),
]


def described(kind):
    cls, options = kind
    return "-".join([cls.__name__, *(f"{name}={value}" for name, value in options.items())])


class Case:
    """A layer, inputs for it, and the same in float64."""

    def __init__(self, kind, rng, lengths=None):
        cls, options = kind
        self.layer = cls(I, H, **options, seed=3)
        self.lengths = lengths
        self.x = rng.normal(size=(T, B, I)).astype(np.float32)
        shapes = self.layer._shapes(B)
        self.state = [rng.normal(size=shape).astype(np.float32) * 0.5 for shape in shapes]
        self.is_lstm = cls is LSTM
        self.weights = {name: w.astype(np.float64) for name, w in self.layer.state_dict().items()}
        self.x64, self.state64 = self.x.astype(np.float64), [s.astype(np.float64) for s in self.state]

    def hx(self):
        return tuple(self.state) if self.is_lstm else self.state[0]

    def run(self):
        y, last = self.layer(self.x, self.hx(), lengths=self.lengths)
        return [y, *(last if self.is_lstm else [last])]

    def run64(self):
        c_0 = self.state64[1] if self.is_lstm else np.zeros((len(self.state64[0]), B, H))
        out = reference.layers(self.layer._options, self.weights, self.x64, self.state64[0], c_0, self.lengths)
        return out if self.is_lstm else out[:2]


@pytest.mark.parametrize("kind", KINDS, ids=described)
@pytest.mark.parametrize("lengths", [None, [2, 5, 3]], ids=["even", "lengths"])
def test_outputs_and_final_states(kind, lengths, rng):
    case = Case(kind, rng, lengths)
    for ours, theirs in zip(case.run(), case.run64(), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS, ids=described)
@pytest.mark.parametrize("lengths", [None, [2, 5, 3]], ids=["even", "lengths"])
def test_gradients(kind, lengths, rng):
    case = Case(kind, rng, lengths)
    factors = [rng.normal(size=part.shape).astype(np.float32) for part in case.run()]

    def loss():
        return sum(float((part * factor).sum()) for part, factor in zip(case.run64(), factors))

    d_y, *d_last = factors
    d_x, d_first = case.layer.backward(d_y, tuple(d_last) if case.is_lstm else d_last[0])
    d_first = list(d_first) if case.is_lstm else [d_first]
    pairs = [("x", case.x64, d_x), *((f"state {i}", s, d) for i, (s, d) in enumerate(zip(case.state64, d_first)))]
    pairs += [(name, weight, case.layer.grads[name]) for name, weight in case.weights.items()]
    for name, array, found in pairs:
        assert found.shape == array.shape, name
        flat = rng.permutation(array.size)[:12]
        at = [np.unravel_index(i, array.shape) for i in flat]
        expected = reference.differences(loss, array, at)
        np.testing.assert_allclose([found[index] for index in at], expected, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("cls", [LSTM, GRU, RNN])
def test_batch_first_and_unbatched_are_the_same_numbers(cls, rng):
    layer, swapped = cls(I, H, 2, seed=1), cls(I, H, 2, batch_first=True, seed=1)
    x = rng.normal(size=(T, B, I)).astype(np.float32)
    y, last = layer(x)
    y_swapped, last_swapped = swapped(np.ascontiguousarray(x.swapaxes(0, 1)))
    np.testing.assert_array_equal(y_swapped.swapaxes(0, 1), y)
    # A transposed view is read where it lies.
    np.testing.assert_array_equal(swapped(x.swapaxes(0, 1))[0], y_swapped)
    first = (lambda h: h[0]) if cls is LSTM else (lambda h: h)
    np.testing.assert_array_equal(first(last_swapped), first(last))
    y_one, last_one = layer(x[:, 1])
    assert y_one.shape == (T, H) and first(last_one).shape == (2, H)
    np.testing.assert_array_equal(y_one, layer(np.ascontiguousarray(x[:, 1:2]))[0][:, 0])
    d_x, _ = layer.backward(np.ones((T, 1, H), np.float32))
    layer(x[:, 1])
    np.testing.assert_array_equal(layer.backward(np.ones((T, H), np.float32))[0], d_x[:, 0])


@pytest.mark.parametrize("kind", [(LSTM, {}), (GRU, {}), (RNN, {}), (LSTM, dict(num_layers=2, proj_size=2)), (GRU, dict(reset_before=True))], ids=described)
def test_steps_give_the_bits_of_a_sequence(kind, rng):
    cls, options = kind
    layer = cls(I, H, **options, seed=5).eval()
    x = rng.normal(size=(T, B, I)).astype(np.float32)
    y, last = layer(x)
    state, out = layer.state(B), np.empty((B, y.shape[2]), np.float32)
    for t in range(T):
        assert layer.step(x[t], state, out) is out
        np.testing.assert_array_equal(out, y[t])
    h, c = last if cls is LSTM else (last, None)
    np.testing.assert_array_equal(state.h, h)
    if c is not None:
        np.testing.assert_array_equal(state.c, c)
    assert np.array_equal(layer.step(x[0, 0], layer.state()), y[0, 0])


def test_gradients_add_up_until_they_are_zeroed(rng):
    layer, x = LSTM(I, H), rng.normal(size=(T, B, I)).astype(np.float32)
    d_y = np.ones((T, B, H), np.float32)
    layer(x)
    layer.backward(d_y)
    once = {name: grad.copy() for name, grad in layer.grads.items()}
    layer(x)
    layer.backward(d_y)
    for name, grad in layer.grads.items():
        np.testing.assert_array_equal(grad, 2 * once[name])
    layer.zero_grad()
    assert layer.grads == {}
    with pytest.raises(RuntimeError, match="call forward first"):
        layer.backward(d_y)


def test_dropout_is_of_training_alone_and_of_the_seed(rng):
    x = rng.normal(size=(T, B, I)).astype(np.float32)
    a, b = (LSTM(I, H, 2, dropout=0.5, seed=9) for _ in range(2))
    first, second = a(x)[0], a(x)[0]
    assert not np.array_equal(first, second), "each pass drops others"
    np.testing.assert_array_equal(b(x)[0], first)
    plain = LSTM(I, H, 2, seed=9)(x)[0]
    np.testing.assert_array_equal(a.eval()(x)[0], plain)
    assert not np.array_equal(first, plain)
