"""``LSTM``, ``GRU`` and ``RNN``: PyTorch's modules, with their parameters and state_dict, whose passes run in Gatemill.

They are subclasses of PyTorch's. So parameters, initialisation, names, pickles and ``isinstance`` are PyTorch's own, and so
is what they refuse: an argument that cannot be goes to PyTorch's forward, which says why.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatemill.torch._engine import Engine, Form, Pass
from gatemill.torch._function import Recurrence

#: Where a module keeps its engine.
_ENGINE = "_gatemill_engine"
_CELLS = {"LSTM": ("lstm", "tanh"), "GRU": ("gru", "tanh"), "RNN_TANH": ("rnn", "tanh"), "RNN_RELU": ("rnn", "relu")}
#: Positions at which the random numbers of a pass may begin.
_POSITIONS = 1 << 62


try:
    torch.is_autocast_enabled("cpu")
    _autocast_is_on = functools.partial(torch.is_autocast_enabled, "cpu")
except TypeError:
    # PyTorch before 2.4.
    _autocast_is_on = torch.is_autocast_cpu_enabled


def _never() -> bool:
    return False


# An older PyTorch has neither them nor what they tell of.
_is_compiling = getattr(getattr(torch, "compiler", None), "is_compiling", _never)
_is_exporting = getattr(getattr(torch, "compiler", None), "is_exporting", _never)
_is_transforming = getattr(torch._C, "_are_functorch_transforms_active", _never)


class _Layer(torch.nn.RNNBase):
    """What the three have in common."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        if torch.jit.is_tracing() or _is_exporting() or _is_transforming():
            # What is made of the model is PyTorch's: a trace, an exported program, a function of torch.func.
            return super().forward(input, hx)
        if _is_compiling():
            return _run_uncompiled(self, input, hx)
        return self._run(input, hx)

    def _run(self, input: Any, hx: Any) -> Any:
        packed = input if isinstance(input, PackedSequence) else None
        x = input if packed is None else packed.data
        if not isinstance(x, Tensor):
            return super().forward(input, hx)
        engine = self._engine()
        form = self._form(engine)
        # By the dictionary, as a module looks its parameters up in Python; of another class they may be computed.
        own = self._parameters if type(self) in _OWN else {}
        weights = tuple([own[name] if name in own else getattr(self, name) for name in form.names])
        if _autocast_is_on() or not x.is_cpu or not all([w.is_cpu and w.dtype is torch.float32 for w in weights]):
            self._refuse(x, weights)

        # What follows is PyTorch's reading of its arguments; whatever does not fit it, PyTorch refuses or computes.
        is_batched = packed is not None or x.dim() == 3
        has_cell = form.has_cell
        hs: tuple[Any, ...] = () if hx is None else tuple(hx) if has_cell and isinstance(hx, (tuple, list)) else (hx,)
        if (
            x.dtype != torch.float32
            or x.dim() != (2 if packed is not None or not is_batched else 3)
            or x.size(-1) != self.input_size
            or x.numel() == 0
            or (self.dropout >= 1 and self.training)
            or not all([isinstance(h, Tensor) and h.dtype == torch.float32 and h.device == x.device for h in hs])
        ):
            return super().forward(input, hx)
        if not is_batched:
            x = x.unsqueeze(0 if self.batch_first else 1)
            if any(h.dim() != 2 for h in hs):
                return super().forward(input, hx)
            hs = tuple(h.unsqueeze(1) for h in hs)
        batch_first = self.batch_first and packed is None
        sizes = None if packed is None else packed.batch_sizes.tolist()
        lanes = sizes[0] if sizes is not None else x.size(0 if batch_first else 1)
        if hs:
            shapes = [(form.parts, lanes, form.width), (form.parts, lanes, form.hidden)][: 2 if has_cell else 1]
            if [tuple(h.shape) for h in hs] != shapes:
                return super().forward(input, hx)
        if packed is not None and packed.sorted_indices is not None:
            hs = tuple(h.index_select(1, packed.sorted_indices) for h in hs)

        call = Pass(
            form=form,
            batch_first=batch_first,
            batch_sizes=sizes,
            # From PyTorch's generator: torch.manual_seed and a checkpoint's own state of it are kept.
            position=int(torch.randint(_POSITIONS, ())) if form.drops else 0,
            tokens=x.numel() // self.input_size,
            lanes=lanes,
        )
        h_0, c_0 = (*hs, None, None)[:2]
        inputs = (x, h_0, c_0, *weights)
        if torch.is_grad_enabled() and any([t is not None and t.requires_grad for t in inputs]):
            y, *last = Recurrence.apply(engine, call, *inputs)
        else:
            y, *last = engine.forward(call, x, h_0, c_0, weights, form.drops)[: 3 if has_cell else 2]

        if packed is not None:
            if packed.unsorted_indices is not None:
                last = [h.index_select(1, packed.unsorted_indices) for h in last]
            y = PackedSequence(y, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        elif not is_batched:
            y, last = y.squeeze(0 if self.batch_first else 1), [h.squeeze(1) for h in last]
        return y, tuple(last) if has_cell else last[0]

    def _refuse(self, x: Tensor, weights: tuple[Any, ...]) -> None:
        """Errors: what PyTorch computes and Gatemill does not."""
        name = f"gatemill.torch.{type(self).__name__}"
        for tensor in (*weights, x):
            if tensor.device.type != "cpu":
                raise RuntimeError(
                    f"{name} computes on the CPU, but has a tensor on {tensor.device}: move model and input there with "
                    f".to('cpu'), or keep torch.nn.{type(self).__name__} for {tensor.device.type}"
                )
        dtype = next((weight.dtype for weight in weights if weight.dtype != torch.float32), None)
        if dtype is not None:
            raise TypeError(
                f"{name} computes in float32, but its weights are {dtype}: call .float() on the model and its input, or keep "
                f"torch.nn.{type(self).__name__} for {dtype}"
            )
        if _autocast_is_on():
            raise RuntimeError(
                f"{name} computes in float32 and does not follow autocast: call it inside "
                "`with torch.autocast('cpu', enabled=False):` with `input.float()`, or leave autocast off"
            )

    def _form(self, engine: Engine) -> Form:
        """What the layer is made of now: its attributes may be set between two calls."""
        attributes = (
            self.mode, self.input_size, self.hidden_size, self.num_layers, self.bias, self.bidirectional,
            self.proj_size, self.dropout, self.training,
        )  # fmt: skip
        form = engine.form
        if form is None or form.attributes != attributes:
            cell, nonlinearity = _CELLS[self.mode]
            options = dict(
                cell=cell,
                inputs=self.input_size,
                hidden=self.hidden_size,
                layers=self.num_layers,
                bias=self.bias,
                direction="concat" if self.bidirectional else "forward",
                residual=False,
                dropout=self.dropout if self.training and self.num_layers > 1 else 0.0,
                seed=0,
                projection=self.proj_size or None,
                nonlinearity=nonlinearity,
                reset_before=False,
                peepholes=False,
                coupled=False,
                clip=None,
                cell_clip=None,
            )
            form = engine.form = Form(attributes, options, tuple(self._flat_weights_names))
        return form

    def _engine(self) -> Engine:
        engine = self.__dict__.get(_ENGINE)
        if engine is None:
            engine = self.__dict__.setdefault(_ENGINE, Engine())
        return engine

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """Errors: always; torch.jit.script asks, and would put what it gets into the model itself."""
        name = type(self).__name__
        raise RuntimeError(
            f"gatemill.torch.{name} cannot be scripted: trace the model (torch.jit.trace), which records torch.nn.{name}, or "
            f"script one made with torch.nn.{name}, which takes the same state_dict"
        )

    def release_memory(self) -> None:
        """Gives back the memory of past passes, which the next ones would use again."""
        self._engine().release_memory()


#: `_Layer._run` as torch.compile leaves it alone: between two of its graphs, as it does with torch.nn's layers. Made when
#: something is first compiled, as that takes PyTorch's compiler a second to load.
_uncompiled: Any = None


def _run_uncompiled(layer: _Layer, input: Any, hx: Any) -> Any:
    global _uncompiled
    if _uncompiled is None:
        _uncompiled = torch.compiler.disable(_Layer._run)
    return _uncompiled(layer, input, hx)


class LSTM(_Layer, torch.nn.LSTM):
    """``torch.nn.LSTM``, run forward and backward by Gatemill: the same arguments, parameters, state_dict and results.

    Args: ``input_size`` I, ``hidden_size`` H, ``num_layers=1`` L, ``bias=True``, ``batch_first=False``, ``dropout=0.0``,
    ``bidirectional=False``, ``proj_size=0`` P.

    Shapes: input [T, B, I], [B, T, I] where ``batch_first``, [T, I] unbatched, or a PackedSequence; ``hx`` a pair h_0
    [D*L, B, H or P], c_0 [D*L, B, H], zeros where it is left out. Returns ``output, (h_n, c_n)``: output as the input with
    D*H columns, h_n and c_n as h_0 and c_0. D is 2 where bidirectional.

    float32 on the CPU. Weights may be changed in any way, also through ``.data``: they are compared before each pass. Only
    for a short pass (under 64 tokens) of a large layer is that a sample, which sees any optimiser or initialisation, but
    perhaps not one element that is set by hand through ``.data``.
    """


class GRU(_Layer, torch.nn.GRU):
    """``torch.nn.GRU``, run forward and backward by Gatemill: the same arguments, parameters, state_dict and results.

    Args: ``input_size`` I, ``hidden_size`` H, ``num_layers=1`` L, ``bias=True``, ``batch_first=False``, ``dropout=0.0``,
    ``bidirectional=False``.

    Shapes: input [T, B, I], [B, T, I] where ``batch_first``, [T, I] unbatched, or a PackedSequence; ``hx`` is h_0
    [D*L, B, H], zeros where it is left out. Returns ``output, h_n``: output as the input with D*H columns, h_n as h_0. D is 2
    where bidirectional. Of changed weights see ``LSTM``.
    """


class RNN(_Layer, torch.nn.RNN):
    """``torch.nn.RNN``, run forward and backward by Gatemill: the same arguments, parameters, state_dict and results.

    Args: ``input_size`` I, ``hidden_size`` H, ``num_layers=1`` L, ``nonlinearity='tanh'`` or ``'relu'``, ``bias=True``,
    ``batch_first=False``, ``dropout=0.0``, ``bidirectional=False``.

    Shapes: as ``GRU``. Of changed weights see ``LSTM``.
    """


#: The classes whose weights are their parameters.
_OWN = (LSTM, GRU, RNN)
