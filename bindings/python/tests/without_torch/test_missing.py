"""Where there is no PyTorch: the package imports, and what needs PyTorch says so."""

import importlib.util

import numpy as np
import pytest

import gatemill


def test_this_environment_lacks_pytorch():
    assert importlib.util.find_spec("torch") is None


def test_layers_run():
    y, h = gatemill.GRU(3, 5)(np.ones((4, 2, 3), np.float32))
    assert y.shape == (4, 2, 5) and np.array_equal(h[0], y[-1])


def test_what_needs_pytorch_says_so():
    for ask in [lambda: gatemill.torch, lambda: gatemill.accelerate(None), lambda: importlib.import_module("gatemill.torch")]:
        with pytest.raises(ImportError, match="pip install torch"):
            ask()
