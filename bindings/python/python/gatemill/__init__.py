"""Gatemill: recurrent networks (RNN, LSTM, GRU) on CPUs, as fast as they go and with the same bits for any number of threads.

    y, (h, c) = gatemill.LSTM(64, 128)(x)                on NumPy arrays, PyTorch's arguments and shapes
    gatemill.accelerate(model)                           the recurrent layers of a PyTorch model, in place
    gatemill.torch.LSTM(64, 128)                         torch.nn.LSTM's place in a model that is yet to be written
    gatemill.CharLM.load("runs/mine").generate("The ")   a trained character model, piece by piece

All numbers are float32. PyTorch is needed by ``gatemill.torch`` and ``accelerate`` alone.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, TypeVar

from gatemill import _core
from gatemill._char_lm import CharLM, Text
from gatemill._core import State, get_num_threads, isa, set_num_threads
from gatemill._layers import GRU, LSTM, RNN

if TYPE_CHECKING:
    from torch.nn import Module

    _Model = TypeVar("_Model", bound=Module)

__version__: str = _core.__version__

__all__ = [
    "CharLM",
    "GRU",
    "LSTM",
    "RNN",
    "State",
    "Text",
    "accelerate",
    "get_num_threads",
    "isa",
    "set_num_threads",
    "torch",
]

# A child's worker threads are not those of its parent.
os.register_at_fork(after_in_child=_core.after_fork)


def accelerate(model: _Model) -> _Model:
    """Lets the ``torch.nn.LSTM``, ``GRU`` and ``RNN`` layers of a PyTorch model run in Gatemill; returns the model.

    In place: the layers stay the very objects that they are, with the same Parameters, hooks and state_dict, so optimisers
    made before stay valid. A layer that Gatemill cannot stand for (a subclass, float64, another device) is left as it is,
    with a warning.
    """
    return importlib.import_module("gatemill.torch")._accelerate.replace(model, 2)


def __getattr__(name: str) -> Any:
    # `gatemill.torch` imports PyTorch, which takes seconds: when it is first asked for.
    if name == "torch":
        return importlib.import_module("gatemill.torch")
    raise AttributeError(f"module 'gatemill' has no attribute {name!r}")
