"""``accelerate``: the recurrent layers of a model run in Gatemill from here on."""

from __future__ import annotations

import warnings
from typing import TypeVar

import torch
from torch.nn import Module

from gatemill.torch._modules import GRU, LSTM, RNN

_Model = TypeVar("_Model", bound=Module)

_STANDS_FOR = {torch.nn.LSTM: LSTM, torch.nn.GRU: GRU, torch.nn.RNN: RNN}


def accelerate(model: _Model) -> _Model:
    """Lets the ``torch.nn.LSTM``, ``GRU`` and ``RNN`` layers of a model run in Gatemill; returns the model.

    In place: a layer becomes a ``gatemill.torch`` one and stays the object that it is, with the same Parameters, buffers,
    hooks, training mode and state_dict. So optimisers that were made before stay valid, and what holds the layer holds it
    still. Subclasses, and layers whose weights are not float32 on the CPU, are left as they are, with a warning.
    """
    return replace(model, 2)


def replace(model: _Model, depth: int) -> _Model:
    """``accelerate``, whose caller, whom warnings point at, is so many calls up."""
    if not isinstance(model, Module):
        raise TypeError(f"accelerate takes a torch.nn.Module, but got {type(model).__name__}")
    for name, module in model.named_modules():
        why = None
        if type(module) in _STANDS_FOR:
            why = _unfit(module)
            if why is None:
                module.__class__ = _STANDS_FOR[type(module)]
        elif isinstance(module, tuple(_STANDS_FOR)) and not isinstance(module, (LSTM, GRU, RNN)):
            why = "it is a subclass, whose own code Gatemill does not know"
        if why is not None:
            place = f"`{name}`" if name else "the model itself"
            text = f"gatemill.accelerate leaves {place} ({type(module).__name__}) to PyTorch: {why}"
            warnings.warn(text, stacklevel=depth + 1)
    return model


def _unfit(module: Module) -> str | None:
    """Why Gatemill cannot stand for a layer."""
    if "forward" in module.__dict__:
        return "its forward was replaced"
    for tensor in module.parameters(recurse=False):
        if tensor.dtype != torch.float32:
            return f"its weights are {tensor.dtype}, and Gatemill computes in float32"
        if tensor.device.type != "cpu":
            return f"its weights are on {tensor.device}, and Gatemill computes on the CPU"
    return None
