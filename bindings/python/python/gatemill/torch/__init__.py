"""PyTorch's recurrent layers, run forward and backward by Gatemill: ``LSTM``, ``GRU``, ``RNN``, ``accelerate``.

    import gatemill.torch as gt
    self.rnn = gt.LSTM(64, 128, num_layers=2)       # was: nn.LSTM(64, 128, num_layers=2)

or, for a model that is there already, ``gatemill.accelerate(model)``.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "gatemill.torch needs PyTorch, which cannot be imported here; install it with `pip install torch`, "
        f"or use gatemill.LSTM, GRU and RNN on NumPy arrays ({error})"
    ) from error

from gatemill.torch import _threads
from gatemill.torch._accelerate import accelerate
from gatemill.torch._engine import Engine as _Engine
from gatemill.torch._modules import GRU, LSTM, RNN

# A pickled module holds parameters and options alone, as PyTorch's own do: `torch.load` may read it with `weights_only`.
if hasattr(_torch.serialization, "add_safe_globals"):
    _torch.serialization.add_safe_globals([GRU, LSTM, RNN, _Engine])

_threads.adopt()

__all__ = ["GRU", "LSTM", "RNN", "accelerate"]
