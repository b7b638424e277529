"""What is no argument: the exception's type, and that its text says what to do. (P01)"""

import numpy as np
import pytest

import gatemill


@pytest.fixture
def lstm():
    return gatemill.LSTM(4, 6, seed=1)


def test_fault_P01_other_types_are_a_type_error_that_names_the_need(lstm):
    good = np.zeros((5, 3, 4), np.float32)
    for wrong, said in [
        (good.astype(np.float64), r"float64.*astype\(numpy.float32\)"),
        (good.astype(np.int32), "int32.*astype"),
        (good.astype(">f4"), "float32.*astype"),
        (good.tolist(), "numpy.ndarray of float32, but is list"),
        (None, "but is NoneType"),
    ]:
        with pytest.raises(TypeError, match=said):
            lstm(wrong)


def test_fault_P01_other_shapes_are_a_value_error_that_says_both(lstm):
    for shape in [(), (4,), (5, 3, 5), (5, 3, 4, 1), (0, 3, 4), (5, 0, 4)]:
        with pytest.raises(ValueError):
            lstm(np.zeros(shape, np.float32))
    x = np.zeros((5, 3, 4), np.float32)
    with pytest.raises(ValueError, match=r"h_0.*\(1, 2, 6\) instead of \(1, 3, 6\)"):
        lstm(x, (np.zeros((1, 2, 6), np.float32), np.zeros((1, 3, 6), np.float32)))
    with pytest.raises(TypeError, match="pair"):
        lstm(x, np.zeros((1, 3, 6), np.float32))
    lstm(x)
    with pytest.raises(ValueError, match="d_y"):
        lstm.backward(np.zeros((5, 3, 4), np.float32))


def test_fault_P01_arrays_that_lie_otherwise_are_read_as_what_they_are(lstm, rng):
    x = rng.normal(size=(5, 3, 4)).astype(np.float32)
    expected = lstm(x)[0]
    unaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    unaligned[...] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    padded = np.zeros((10, 3, 7), np.float32)
    padded[::2, :, :4] = x
    spread = np.zeros((5, 3, 8), np.float32)
    spread[..., ::2] = x
    for other in [np.asfortranarray(x), x[::-1].copy()[::-1], unaligned, read_only, padded[::2, :, :4], spread[..., ::2]]:
        np.testing.assert_array_equal(lstm(other)[0], expected)


def test_fault_P01_outputs_of_step_must_be_fit_to_be_written(lstm):
    x, state = np.zeros((2, 4), np.float32), lstm.state(2)
    read_only = np.zeros((2, 6), np.float32)
    read_only.flags.writeable = False
    for out, said in [
        (read_only, "read-only"),
        (np.zeros((6, 2), np.float32).T, "C-contiguous"),
        (np.zeros((2, 5), np.float32), "6"),
        (np.zeros((3, 6), np.float32), "y"),
    ]:
        with pytest.raises(ValueError, match=said):
            lstm.step(x, state, out)
    both = np.zeros((2, 4), np.float32)
    square = gatemill.RNN(4, 4)
    with pytest.raises(ValueError, match="in use|both an input and an output"):
        square.step(both, square.state(2), both)
    with pytest.raises(ValueError):
        lstm.step(x, lstm.state(3), np.zeros((2, 6), np.float32))
    with pytest.raises(TypeError):
        lstm.step(x, None, np.zeros((2, 6), np.float32))


@pytest.mark.parametrize("lengths", [[5, 3], [5, 3, 0], [6, 3, 2], [1.5, 2.0, 3.0], [[5], [3], [2]]])
def test_lengths_that_cannot_be(lstm, lengths):
    with pytest.raises(ValueError, match="lengths"):
        lstm(np.zeros((5, 3, 4), np.float32), lengths=lengths)


@pytest.mark.parametrize(
    "options, error",
    [
        (dict(input_size=0, hidden_size=6), ValueError),
        (dict(input_size=4, hidden_size=2.5), TypeError),
        (dict(input_size=4, hidden_size=6, num_layers=0), ValueError),
        (dict(input_size=4, hidden_size=6, num_layers=True), TypeError),
        (dict(input_size=4, hidden_size=6, dropout=1.5), ValueError),
        (dict(input_size=4, hidden_size=6, proj_size=6), ValueError),
        (dict(input_size=4, hidden_size=6, proj_size=-1), ValueError),
        (dict(input_size=4, hidden_size=6, clip=-1.0), ValueError),
        (dict(input_size=4, hidden_size=6, direction="sideways"), ValueError),
        (dict(input_size=4, hidden_size=6, bidirectional=True, direction="forward"), ValueError),
        (dict(input_size=4, hidden_size=6, reset_before=True), TypeError),
    ],
)
def test_options_that_cannot_be(options, error):
    with pytest.raises(error):
        gatemill.LSTM(**options)


def test_an_unknown_nonlinearity():
    with pytest.raises(ValueError, match="nonlinearity"):
        gatemill.RNN(4, 6, nonlinearity="sine")


def test_a_state_dict_that_does_not_fit_says_all_that_is_wrong_and_changes_nothing(lstm):
    before = lstm.state_dict()
    other = dict(before)
    del other["bias_hh_l0"]
    other["bias_hh_l1"] = before["bias_hh_l0"]
    with pytest.raises(KeyError, match="bias_hh_l0.*bias_hh_l1"):
        lstm.load_state_dict(other)
    with pytest.raises(ValueError, match=r"weight_ih_l0.*bias_ih_l0|bias_ih_l0.*weight_ih_l0"):
        lstm.load_state_dict(before | {"weight_ih_l0": before["weight_hh_l0"], "bias_ih_l0": before["bias_ih_l0"][:3]})
    with pytest.raises(TypeError, match="float64"):
        lstm.load_state_dict({name: weight.astype(np.float64) for name, weight in before.items()})
    for name, weight in lstm.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])
    lstm.load_state_dict({"bias_ih_l0": before["bias_ih_l0"] + 1}, strict=False)
    assert not np.array_equal(lstm.state_dict()["bias_ih_l0"], before["bias_ih_l0"])


def test_initial_weights_are_within_pytorchs_bounds_and_of_the_seed():
    a, b, c = (gatemill.GRU(4, 16, seed=seed).state_dict() for seed in [5, 5, 6])
    for name in a:
        assert np.abs(a[name]).max() <= 0.25 and np.abs(a[name]).max() > 0.2
        np.testing.assert_array_equal(a[name], b[name])
        assert not np.array_equal(a[name], c[name])
