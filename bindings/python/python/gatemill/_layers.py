"""``LSTM``, ``GRU`` and ``RNN`` on NumPy arrays: PyTorch's arguments, names and shapes, without PyTorch."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gatemill import _core
from gatemill._core import State

Array = npt.NDArray[np.float32]
#: h of a GRU or RNN; h and c of an LSTM.
Hidden = Array | tuple[Array, Array]


def _f32(name: str, array: Any) -> Array:
    """The array itself where it lies well, else a copy. Errors: it is no array of float32."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"`{name}` must be a numpy.ndarray of float32, but is {type(array).__name__}")
    if array.dtype != np.float32:
        raise TypeError(
            f"`{name}` is an array of {array.dtype}; Gatemill computes in float32: pass {name}.astype(numpy.float32)"
        )
    lies_well = array.flags.aligned and (
        array.flags.c_contiguous
        or (array.ndim > 0 and array.strides[-1] == 4 and all(stride >= 0 and stride % 4 == 0 for stride in array.strides))
    )
    return array if lies_well else np.array(array, order="C")


def _whole(name: str, array: Any, shape: tuple[int, ...]) -> Array:
    array = np.ascontiguousarray(_f32(name, array))
    if array.shape != shape:
        raise ValueError(f"`{name}` has shape {array.shape} instead of {shape}")
    return array


class _Packed:
    """Sequences of different lengths in one padded array: which of its rows are tokens, and in which order."""

    def __init__(self, lengths: Any, steps: int, batch: int) -> None:
        given = np.asarray(lengths)
        if given.shape != (batch,) or given.dtype.kind not in "iu":
            raise ValueError(f"`lengths` must be {batch} whole numbers, one for each sequence, but is {lengths!r}")
        if batch == 0 or given.min() < 1 or given.max() > steps:
            raise ValueError(f"`lengths` must be from 1 to {steps}, the steps of `x`, but are from {given.min()} to {given.max()}")
        #: Longest first; sequences of one length stay in their order.
        self.order = np.argsort(-given.astype(np.int64), kind="stable")
        self.back = np.argsort(self.order, kind="stable")
        longest = given[self.order]
        self.sizes: list[int] = [int(np.searchsorted(-longest, -t, side="left")) for t in range(int(longest[0]))]
        self.t = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self.lane = self.order[np.concatenate([np.arange(size) for size in self.sizes])]

    def rows(self, array: Array, batch_first: bool) -> Array:
        return array[self.lane, self.t] if batch_first else array[self.t, self.lane]

    def padded(self, rows: Array, like: Array, batch_first: bool) -> Array:
        out = np.zeros((*like.shape[:2], rows.shape[1]), np.float32)
        out[(self.lane, self.t) if batch_first else (self.t, self.lane)] = rows
        return out


class _Layer:
    """What the three have in common."""

    _cell = ""
    _has_cell = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        seed: int | None = None,
        residual: bool = False,
        direction: str | None = None,
        clip: float | None = None,
        **more: Any,
    ) -> None:
        for name, value in [("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)]:
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
            raise ValueError("dropout should be a number in range [0, 1) representing the probability of an element being zeroed")
        if direction is None:
            direction = "concat" if bidirectional else "forward"
        elif bidirectional and direction not in ("concat", "sum"):
            raise ValueError(f"bidirectional is True, but direction is {direction!r}: leave one of them out")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bool(bias), bool(batch_first), float(dropout)
        self.bidirectional = direction in ("concat", "sum")
        self.proj_size = more.get("projection") or 0
        #: Forward keeps what backward needs, and layers drop; see ``train`` and ``eval``.
        self.training = True
        #: Gradients by name, as ``backward`` leaves them; ``zero_grad`` empties them.
        self.grads: dict[str, Array] = {}
        self._position = 0
        self._options = dict(
            cell=self._cell,
            inputs=input_size,
            hidden=hidden_size,
            layers=num_layers,
            bias=self.bias,
            direction=direction,
            residual=bool(residual),
            dropout=self.dropout,
            seed=random.getrandbits(64) if seed is None else seed,
            projection=more.pop("projection", None),
            nonlinearity=more.pop("nonlinearity", "tanh"),
            reset_before=more.pop("reset_before", False),
            peepholes=more.pop("peepholes", False),
            coupled=more.pop("coupled", False),
            clip=clip,
            cell_clip=more.pop("cell_clip", None),
        )
        if more:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(sorted(more))}")
        self._stack = _core.Stack(**self._options)
        self._last: tuple[Any, ...] | None = None

    # Passes

    def __call__(self, x: Array, hx: Any = None, *, lengths: Sequence[int] | npt.NDArray[Any] | None = None) -> Any:
        """``forward``."""
        return self.forward(x, hx, lengths=lengths)

    def forward(self, x: Array, hx: Any = None, *, lengths: Sequence[int] | npt.NDArray[Any] | None = None) -> Any:
        """Runs the layers over ``x`` from the state ``hx``, zeros where it is left out.

        Shapes: x [T, B, I], [B, T, I] where ``batch_first``, or [T, I] unbatched; hx h_0 [L*D, B, H or P], for an LSTM a pair
        of it and c_0 [L*D, B, H]; unbatched without B. Returns ``y, h_n``, for an LSTM ``y, (h_n, c_n)``: y as x with D*H
        columns, the states as hx.

        lengths: of each sequence, in any order, where they differ: [B], from 1 to T. Padding costs nothing and is not read;
        y is zero past a sequence's end, and its final state is the one at its own end.

        While ``training`` is set, what ``backward`` needs is kept until the next forward, and layers drop. Raises TypeError for
        other numbers than float32, ValueError for other shapes. An x with gaps between the numbers of a row is copied.
        """
        x = _f32("x", x)
        if x.ndim not in (2, 3):
            raise ValueError(f"`x` must have 2 or 3 dimensions, but has {x.ndim}")
        is_batched = x.ndim == 3
        batch_axis = 0 if self.batch_first else 1
        if not is_batched:
            if lengths is not None:
                raise ValueError("`lengths` is for a batch: cut an unbatched `x` to its length")
            x = np.expand_dims(x, batch_axis)
        batch, steps = x.shape[batch_axis], x.shape[1 - batch_axis]
        packed = None if lengths is None else _Packed(lengths, steps, batch)
        initial = self._read("hx", ("h_0", "c_0"), hx, batch, is_batched, packed)
        rows = x if packed is None else packed.rows(x, self.batch_first)
        y = np.empty((*rows.shape[:-1], self._stack.outputs), np.float32)
        last = [np.empty(shape, np.float32) for shape in self._shapes(batch)]
        position = None
        if self.training:
            position, self._position = self._position, self._position + steps
        layout: dict[str, Any] = dict(
            batch_first=self.batch_first and packed is None,
            batch_sizes=None if packed is None else packed.sizes,
        )
        self._last = None
        lease = self._stack.forward(rows, initial, (y, *last, None)[:3], position=position, **layout)
        if lease is not None:
            self._last = lease, x, packed, layout, is_batched
        y = y if packed is None else packed.padded(y, x, self.batch_first)
        return y if is_batched else y.squeeze(batch_axis), self._told(last, is_batched, packed)

    def backward(self, d_y: Array | None, d_hx: Any = None) -> Any:
        """The gradients of the last ``forward``, once: ``d_x, d_h_0``, for an LSTM ``d_x, (d_h_0, d_c_0)``.

        d_y is the gradient to y, d_hx that to the final states, each None where it is zero; shapes as ``forward``'s. Gradients
        to the weights are added to ``grads``.
        """
        if self._last is None:
            raise RuntimeError("nothing to go backward from: each forward in training serves one backward; call forward first")
        lease, x, packed, layout, is_batched = self._last
        batch_axis = 0 if self.batch_first else 1
        shape = (*x.shape[:2], self._stack.outputs)
        if d_y is None:
            d_y = np.zeros(shape, np.float32)
        else:
            d_y = _f32("d_y", d_y)
            d_y = d_y if is_batched else np.expand_dims(d_y, batch_axis)
            if d_y.shape != shape:
                raise ValueError(f"`d_y` has shape {d_y.shape} instead of {shape}")
        batch = x.shape[batch_axis]
        d_last = self._read("d_hx", ("d_h_n", "d_c_n"), d_hx, batch, is_batched, packed)
        rows = d_y if packed is None else packed.rows(d_y, self.batch_first)
        d_x = np.empty((*rows.shape[:-1], self.input_size), np.float32)
        first = [np.empty(shape, np.float32) for shape in self._shapes(batch)]
        grads = {name: np.empty(shape, np.float32) for name, shape in self._stack.tensors}
        self._last = None
        self._stack.backward(
            lease, rows, d_last, d_x=d_x, d_initial=(*first, None)[:2], tensors=list(grads.items()), **layout
        )
        for name, grad in grads.items():
            self.grads[name] = self.grads[name] + grad if name in self.grads else grad
        d_x = d_x if packed is None else packed.padded(d_x, x, self.batch_first)
        return d_x if is_batched else d_x.squeeze(batch_axis), self._told(first, is_batched, packed)

    def state(self, batch: int = 1) -> State:
        """The zero state of so many sequences, for ``step``: a value to read, write, copy, and save."""
        return self._stack.state(batch)

    def step(self, x: Array, state: State, out: Array | None = None) -> Array:
        """One step: reads ``x`` and ``state``, writes the outputs to ``out`` and the state after it to ``state``; returns ``out``.

        Shapes: x [B, I] and out [B, D*H], for one sequence also [I] and [D*H]. Nothing drops and nothing is kept for backward.
        Given ``out``, nothing is allocated. Layers that run backward through time take no steps.
        """
        if out is None:
            out = np.empty((*np.shape(x)[:-1], self._stack.outputs), np.float32)
        self._stack.step(x, state, out)
        return out

    # Weights

    def state_dict(self) -> dict[str, Array]:
        """A copy of every weight, by PyTorch's names: ``weight_ih_l0`` [G*H, I], ``weight_hh_l0`` [G*H, H], ``bias_ih_l0`` ..."""
        return {name: self._stack.tensor(name) for name, _ in self._stack.tensors}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Sets the weights, each to the float32 array of its name; what ``torch.nn.LSTM.state_dict`` gives fits as it is.

        Raises KeyError for names that are missing or not known (unless not ``strict``) and ValueError for shapes, in one
        message all of them; the weights are then as they were.
        """
        shapes = {name: tuple(shape) for name, shape in self._stack.tensors}
        missing, unknown = sorted(shapes.keys() - state_dict.keys()), sorted(state_dict.keys() - shapes.keys())
        if strict and (missing or unknown):
            raise KeyError(f"missing: {', '.join(missing) or 'none'}; not known: {', '.join(unknown) or 'none'}")
        arrays = {name: np.asarray(array) for name, array in state_dict.items() if name in shapes}
        wrong = [f"{name} is {array.shape}, not {shapes[name]}" for name, array in arrays.items() if array.shape != shapes[name]]
        if wrong:
            raise ValueError("; ".join(wrong))
        self._stack.set_tensors([(name, np.ascontiguousarray(_f32(name, array))) for name, array in arrays.items()])

    def zero_grad(self) -> None:
        """Empties ``grads``."""
        self.grads = {}

    def train(self, mode: bool = True) -> Any:
        """Forward keeps what backward needs, and layers drop; returns the layer."""
        self.training = bool(mode)
        return self

    def eval(self) -> Any:
        """Forward keeps nothing, and nothing drops; returns the layer."""
        return self.train(False)

    def release_memory(self) -> None:
        """Gives back the memory of past passes, which the next ones would use again."""
        self._last = None
        self._stack.release_memory()

    # Copies and pickles: options, weights and gradients, but no pass.

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_stack"], state["_last"]
        state["_weights"] = self.state_dict()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = state.pop("_weights")
        self.__dict__.update(state)
        self._stack, self._last = _core.Stack(**self._options), None
        self._stack.set_tensors(list(weights.items()))

    def __repr__(self) -> str:
        plain = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0}
        parts = [f"{self.input_size}, {self.hidden_size}"]
        parts += [f"{name}={getattr(self, name)}" for name, usual in plain.items() if getattr(self, name) != usual]
        own = {"residual": False, "reset_before": False, "peepholes": False, "coupled": False, "clip": None, "cell_clip": None}
        parts += [f"{name}={self._options[name]}" for name, usual in own.items() if self._options[name] != usual]
        return f"{type(self).__name__}({', '.join(parts)})"

    # Arguments

    def _shapes(self, batch: int) -> list[tuple[int, int, int]]:
        parts = self.num_layers * (2 if self.bidirectional else 1)
        shapes = [(parts, batch, self.proj_size or self.hidden_size), (parts, batch, self.hidden_size)]
        return shapes if self._has_cell else shapes[:1]

    def _read(
        self, what: str, names: tuple[str, str], hx: Any, batch: int, is_batched: bool, packed: _Packed | None
    ) -> tuple[Array, Array | None] | None:
        if hx is None:
            return None
        if self._has_cell and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise TypeError(f"`{what}` of an LSTM is a pair ({names[0]}, {names[1]})")
        given = tuple(hx) if self._has_cell else (hx,)
        arrays: list[Array | None] = []
        for name, array, shape in zip(names, given, self._shapes(batch)):
            if array is None and what == "d_hx":
                array = np.zeros(shape if is_batched else (shape[0], shape[2]), np.float32)
            array = _whole(name, array, shape if is_batched else (shape[0], shape[2])).reshape(shape)
            arrays.append(array if packed is None else np.ascontiguousarray(array[:, packed.order]))
        h, c = (*arrays, None)[:2]
        assert h is not None
        return h, c

    def _told(self, parts: list[Array], is_batched: bool, packed: _Packed | None) -> Any:
        if packed is not None:
            parts = [np.ascontiguousarray(part[:, packed.back]) for part in parts]
        if not is_batched:
            parts = [part[:, 0] for part in parts]
        return tuple(parts) if self._has_cell else parts[0]


class LSTM(_Layer):
    """Long short-term memory, as ``torch.nn.LSTM`` computes it, on NumPy arrays.

    i, f, o = sigmoid(W_ih x + b_ih + W_hh h + b_hh), g = tanh(the same), c' = f*c + i*g, h' = o*tanh(c').

    Args: input_size I, hidden_size H, num_layers L, bias, batch_first, dropout between layers, bidirectional, proj_size P.
    By name alone: seed of the initial weights U(-1/sqrt(H), 1/sqrt(H)) and of dropout (drawn where it is left out); residual:
    h + x goes up from the second layer on where the widths agree; direction 'forward', 'reverse', 'concat', 'sum'; peepholes:
    p_i*c and p_f*c enter the gates i and f, p_o*c' enters o (tensor ``weight_peephole_l0`` [3, H]); coupled: f = 1 - i; clip
    bounds what enters the gates, cell_clip bounds c'.

    Use: ``y, (h_n, c_n) = lstm(x, (h_0, c_0))``; see ``forward``, ``backward``, ``step``, ``state_dict``.
    """

    _cell = "lstm"
    _has_cell = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        seed: int | None = None,
        residual: bool = False,
        direction: str | None = None,
        peepholes: bool = False,
        coupled: bool = False,
        clip: float | None = None,
        cell_clip: float | None = None,
    ) -> None:
        if isinstance(proj_size, bool) or not isinstance(proj_size, int):
            raise TypeError(f"proj_size should be of type int, got: {type(proj_size).__name__}")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            seed=seed,
            residual=residual,
            direction=direction,
            clip=clip,
            projection=proj_size or None,
            peepholes=peepholes,
            coupled=coupled,
            cell_clip=cell_clip,
        )


class GRU(_Layer):
    """Gated recurrent unit, as ``torch.nn.GRU`` computes it, on NumPy arrays.

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_in x + b_in + r*(W_hn h + b_hn)), h' = (1-z)*n + z*h.

    Args: input_size I, hidden_size H, num_layers L, bias, batch_first, dropout between layers, bidirectional. By name alone:
    reset_before: n = tanh(W_in x + b_in + W_hn (r*h) + b_hn), a different function with the same weights; seed, residual,
    direction and clip as of ``LSTM``.

    Use: ``y, h_n = gru(x, h_0)``; see ``forward``, ``backward``, ``step``, ``state_dict``.
    """

    _cell = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        seed: int | None = None,
        residual: bool = False,
        direction: str | None = None,
        reset_before: bool = False,
        clip: float | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            seed=seed,
            residual=residual,
            direction=direction,
            clip=clip,
            reset_before=reset_before,
        )


class RNN(_Layer):
    """Elman's network, as ``torch.nn.RNN`` computes it, on NumPy arrays: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Args: input_size I, hidden_size H, num_layers L, nonlinearity 'tanh' or 'relu', bias, batch_first, dropout between layers,
    bidirectional. By name alone: seed, residual, direction and clip as of ``LSTM``.

    Use: ``y, h_n = rnn(x, h_0)``; see ``forward``, ``backward``, ``step``, ``state_dict``.
    """

    _cell = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        seed: int | None = None,
        residual: bool = False,
        direction: str | None = None,
        clip: float | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            seed=seed,
            residual=residual,
            direction=direction,
            clip=clip,
            nonlinearity=nonlinearity,
        )
