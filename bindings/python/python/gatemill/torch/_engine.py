"""What a module keeps beside its parameters: the weights packed for the kernels, and the activations of passes.

Weights are taken over when they changed, and only then. PyTorch counts most changes (a tensor's version), but none that
is made through ``.data``, as older optimisers and initialisations do; so where the version is the same, a fingerprint of
the numbers decides: of all of them where the pass reads them often enough for that to cost nothing, else of a sample.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from gatemill import _core
from gatemill.torch import _threads

if TYPE_CHECKING:
    import numpy

#: From so many tokens on, a pass takes a hundred times what reading all weights once takes.
_TOKENS_FOR_ALL = 64
#: Weights of so many numbers are read in a few microseconds.
_FEW_WEIGHTS = 1 << 15
#: Else one block of 16 numbers in so many is read.
_SAMPLED = 64


class Form:
    """What a layer is made of, and what follows from it: read once from its attributes, not at every call."""

    __slots__ = ("attributes", "options", "names", "has_cell", "drops", "width", "hidden", "parts")

    def __init__(self, attributes: tuple[Any, ...], options: dict[str, Any], names: tuple[str, ...]) -> None:
        #: The values that it was read from.
        self.attributes = attributes
        self.options, self.names = options, names
        self.has_cell: bool = options["cell"] == "lstm"
        self.drops: bool = options["dropout"] > 0
        self.hidden: int = options["hidden"]
        #: Columns of h.
        self.width: int = options["projection"] or self.hidden
        #: L*D.
        self.parts: int = options["layers"] * (1 if options["direction"] == "forward" else 2)


class Pass(NamedTuple):
    """One call of a layer: what that is made of and how its arrays lie."""

    form: Form
    batch_first: bool
    #: Lanes of each step, falling, where the sequences are packed.
    batch_sizes: list[int] | None
    #: Dropout: where its random numbers begin.
    position: int
    tokens: int
    lanes: int


class _Weight:
    """A weight as it was taken over."""

    __slots__ = ("pointer", "version", "view", "all", "sample")

    def __init__(self) -> None:
        self.pointer = -1
        self.version: int | None = None
        self.view: numpy.ndarray | None = None
        self.all = self.sample = 0


class _Stack:
    """The layers of this form, and what their weights are."""

    __slots__ = ("form", "layers", "outputs", "weights", "content")

    def __init__(self, form: Form) -> None:
        self.form, self.layers = form, _core.Stack(**form.options)
        #: Columns of y.
        self.outputs: int = self.layers.outputs
        self.weights = [_Weight() for _ in form.names]
        #: Counts the contents that the weights had.
        self.content = 0


class Tape:
    """What one forward kept: of which layers, and with which content of their weights."""

    __slots__ = ("stack", "content", "lease")

    def __init__(self, stack: _Stack, lease: _core.Lease) -> None:
        self.stack, self.content, self.lease = stack, stack.content, lease


def numpy_of(tensor: Tensor) -> numpy.ndarray:
    """The tensor's own memory as a NumPy array."""
    return tensor.detach().numpy() if tensor.requires_grad else tensor.numpy()


def as_rows(tensor: Tensor) -> Tensor:
    """The tensor itself if its last dimension lies without gaps, else a copy that does."""
    if tensor.stride(-1) == 1 or tensor.size(-1) == 1:
        return tensor
    return tensor.contiguous()


class Engine:
    """Made anew, and empty, for a copy of its module or one that comes out of a pickle."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        #: With dropout, and without.
        self._stacks: dict[bool, _Stack] = {}
        #: Of the last call.
        self.form: Form | None = None
        #: How often weights were taken over: what a test looks at.
        self.taken_over = 0

    def __deepcopy__(self, memo: object) -> Engine:
        return Engine()

    def __copy__(self) -> Engine:
        return Engine()

    def __reduce__(self) -> tuple[type[Engine], tuple[()]]:
        return Engine, ()

    def forward(
        self, call: Pass, x: Tensor, h_0: Tensor | None, c_0: Tensor | None, weights: tuple[Tensor, ...], trains: bool
    ) -> tuple[Tensor, Tensor, Tensor | None, Tape | None]:
        """y, h_n, c_n, and where it trains what ``backward`` needs.

        Shapes: x [T, B, I], [B, T, I] where batch_first, or [N, I] where packed; h_0 [L*D, B, H or P]; c_0 [L*D, B, H].
        """
        _threads.follow()
        with self._lock:
            stack, form = self._ready(call, weights), call.form
            y = x.new_empty((*x.shape[:-1], stack.outputs))
            h_n = x.new_empty((form.parts, call.lanes, form.width))
            c_n = x.new_empty((form.parts, call.lanes, form.hidden)) if form.has_cell else None
            lease = stack.layers.forward(
                numpy_of(as_rows(x)),
                _pair(h_0, c_0),
                (numpy_of(y), numpy_of(h_n), None if c_n is None else numpy_of(c_n)),
                batch_first=call.batch_first,
                batch_sizes=call.batch_sizes,
                position=call.position if trains else None,
            )
            return y, h_n, c_n, None if lease is None else Tape(stack, lease)

    def backward(
        self,
        call: Pass,
        tape: Tape | None,
        inputs: tuple[Tensor, Tensor | None, Tensor | None, tuple[Tensor, ...]],
        d_outputs: tuple[Tensor | None, Tensor | None, Tensor | None],
        wanted: tuple[bool, bool, bool, tuple[bool, ...]],
    ) -> list[Tensor | None]:
        """Gradients to x, h_0, c_0 and the weights, those that are wanted.

        A tape serves one backward, of the weights that it was made with; without one, forward runs once more.
        """
        x, h_0, c_0, weights = inputs
        d_y, d_h_n, d_c_n = d_outputs
        wants_x, wants_h, wants_c, wants_weights = wanted
        _threads.follow()
        with self._lock:
            stack, form = self._ready(call, weights, compares=False), call.form
            if tape is None or tape.stack is not stack or tape.content != stack.content:
                tape = self.forward(call, x, h_0, c_0, weights, True)[3]
                assert tape is not None
            if d_y is None:
                d_y = x.new_zeros(stack.outputs).expand((*x.shape[:-1], stack.outputs))
            if form.has_cell and (d_h_n is None) != (d_c_n is None):
                d_h_n = x.new_zeros((form.parts, call.lanes, form.width)) if d_h_n is None else d_h_n
                d_c_n = x.new_zeros((form.parts, call.lanes, form.hidden)) if d_c_n is None else d_c_n
            d_x = torch.empty_like(x, memory_format=torch.contiguous_format) if wants_x else None
            d_h_0 = d_c_0 = None
            if wants_h or wants_c:
                d_h_0 = x.new_empty((form.parts, call.lanes, form.width))
                d_c_0 = x.new_empty((form.parts, call.lanes, form.hidden)) if form.has_cell else None
            d_weights = [
                torch.empty_like(weight, memory_format=torch.contiguous_format) if wants else None
                for weight, wants in zip(weights, wants_weights)
            ]
            named = [(name, numpy_of(d)) for name, d in zip(form.names, d_weights) if d is not None]
            stack.layers.backward(
                tape.lease,
                numpy_of(as_rows(d_y)),
                _pair(d_h_n, d_c_n),
                d_x=None if d_x is None else numpy_of(d_x),
                d_initial=_pair(d_h_0, d_c_0),
                tensors=named,
                batch_first=call.batch_first,
                batch_sizes=call.batch_sizes,
            )
            return [d_x, d_h_0 if wants_h else None, d_c_0 if wants_c else None, *d_weights]

    def release_memory(self) -> None:
        """Gives the memory of past passes back."""
        with self._lock:
            for stack in self._stacks.values():
                stack.layers.release_memory()

    def _ready(self, call: Pass, weights: tuple[Tensor, ...], compares: bool = True) -> _Stack:
        """The layers with these options and weights; ``compares``: where the version tells no change, the numbers too."""
        form = call.form
        stack = self._stacks.get(form.drops)
        if stack is None or (stack.form is not form and stack.form.options != form.options):
            stack = self._stacks[form.drops] = _Stack(form)
        # One that says the same was made by a change to and fro: the next call finds its own.
        stack.form = form
        changed, same = [], []
        for i, (weight, known) in enumerate(zip(weights, stack.weights)):
            pointer, version = weight.data_ptr(), _version(weight)
            if pointer == known.pointer and version is not None and version == known.version:
                same.append(i)
                continue
            if not weight.is_contiguous():
                # Its view is of a copy, which tells nothing of the next call.
                known.view, version = numpy_of(weight.contiguous()), None
            elif pointer != known.pointer or known.version is None:
                known.view = numpy_of(weight)
            known.pointer, known.version = pointer, version
            changed.append(i)
        if same and compares:
            reads_all = call.tokens >= _TOKENS_FOR_ALL or sum(weights[i].numel() for i in same) <= _FEW_WEIGHTS
            views = [stack.weights[i].view for i in same]
            for i, mark in zip(same, _core.fingerprints(views, 1 if reads_all else _SAMPLED)):
                known = stack.weights[i]
                if mark != (known.all if reads_all else known.sample):
                    changed.append(i)
        if changed:
            views = [stack.weights[i].view for i in changed]
            stack.layers.set_tensors([(form.names[i], view) for i, view in zip(changed, views)])
            every, some = _core.fingerprints(views, 1), _core.fingerprints(views, _SAMPLED)
            for i, mark, sample in zip(changed, every, some):
                stack.weights[i].all, stack.weights[i].sample = mark, sample
            stack.content += 1
            self.taken_over += len(changed)
        return stack


def _pair(h: Tensor | None, c: Tensor | None) -> tuple[numpy.ndarray, numpy.ndarray | None] | None:
    if h is None:
        return None
    return numpy_of(h.contiguous()), None if c is None else numpy_of(c.contiguous())


def _version(tensor: Tensor) -> int | None:
    """How often the tensor was written in place; None where PyTorch does not count."""
    return None if tensor.is_inference() else tensor._version
