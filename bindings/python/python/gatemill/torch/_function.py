"""One forward pass of a layer as a node of PyTorch's graph, whose backward runs in Gatemill."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gatemill.torch._engine import Engine, Pass


class Recurrence(torch.autograd.Function):
    """``y, h_n (, c_n) = layer(x, h_0, c_0, *weights)``.

    Kept for backward are the activations, in Gatemill's own memory, and references to the inputs: PyTorch itself sees
    to it that nobody writes to them meanwhile. A second backward (``retain_graph=True``) runs forward once more.
    """

    @staticmethod
    def forward(
        ctx: Any, engine: Engine, call: Pass, x: Tensor, h_0: Tensor | None, c_0: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        y, h_n, c_n, ctx.tape = engine.forward(call, x, h_0, c_0, weights, True)
        ctx.engine, ctx.call = engine, call
        ctx.save_for_backward(x, h_0, c_0, *weights)
        ctx.set_materialize_grads(False)
        return (y, h_n) if c_n is None else (y, h_n, c_n)

    @staticmethod
    def backward(ctx: Any, d_y: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None = None) -> tuple[Any, ...]:
        x, h_0, c_0, *weights = ctx.saved_tensors
        tape, ctx.tape = ctx.tape, None
        wants = ctx.needs_input_grad[2:]
        inputs = (x, h_0, c_0, tuple(weights))
        wanted = (wants[0], wants[1], wants[2], tuple(wants[3:]))
        is_differentiated = torch.is_grad_enabled()
        with torch.no_grad():
            gradients = ctx.engine.backward(ctx.call, tape, inputs, (d_y, d_h_n, d_c_n), wanted)
        if is_differentiated:
            # create_graph=True: the gradients are right; what is refused is to differentiate them.
            gradients = _refusing(gradients, (d_y, d_h_n, d_c_n, *ctx.saved_tensors))
        return None, None, *gradients


class _Gradient(torch.autograd.Function):
    """A gradient that cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *causes: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Any, ...]:
        raise RuntimeError(
            "Gatemill's recurrent layers have no second derivative: differentiate a gradient (create_graph=True) through "
            "torch.nn.LSTM, GRU or RNN, which take the same state_dict, with torch.backends.mkldnn.flags(enabled=False)"
        )


def _refusing(gradients: list[Tensor | None], causes: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    given = [cause for cause in causes if cause is not None]
    return [None if gradient is None else _Gradient.apply(gradient, *given) for gradient in gradients]
