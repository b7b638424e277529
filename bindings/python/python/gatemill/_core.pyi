"""The compiled part of Gatemill; what people use of it is in ``gatemill`` itself."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, final

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float32]
_Pair = tuple[_Array, _Array | None]

__version__: str

def set_num_threads(threads: int) -> None:
    """Sets how many threads the calls that follow share their work out to. The result is the same bit for bit."""

def get_num_threads() -> int:
    """Threads that calls share their work out to: as set, else as many as PyTorch's last pass had, else all that there are."""

def follow_num_threads(threads: int) -> None:
    """As many threads as the host computes with, unless ``set_num_threads`` asked for a number."""

def isa() -> str:
    """The instruction set that the kernels use: 'avx512', 'avx2' or 'portable'."""

def adopt_openmp(parallel: int, thread: int, threads: int) -> None:
    """Has calls run on the threads of an OpenMP runtime: the addresses of its functions, and nothing else."""

def after_fork() -> None:
    """In a child process: the next call starts its own worker threads."""

def fingerprints(arrays: Sequence[Any], every: int) -> list[int]:
    """A fingerprint of each array's numbers, or of one block of 16 in so many."""

@final
class State:
    """h of every layer, direction and lane, and c of an LSTM, between two steps: a value to copy, fork and save."""

    h: _Array
    c: _Array | None
    def __new__(cls, h: _Array, c: _Array | None = None) -> State: ...
    @property
    def batch(self) -> int: ...
    def copy(self) -> State: ...
    def __copy__(self) -> State: ...
    def __deepcopy__(self, memo: Any) -> State: ...

@final
class Lease:
    """What a forward kept for its backward."""

@final
class Stack:
    """A stack of recurrent layers on arrays that the caller gives."""

    def __new__(cls, **options: Any) -> Stack: ...
    @property
    def tensors(self) -> list[tuple[str, list[int]]]: ...
    @property
    def outputs(self) -> int: ...
    @property
    def idle_tapes(self) -> int: ...
    def tensor(self, name: str) -> _Array: ...
    def set_tensors(self, tensors: Sequence[tuple[str, Any]]) -> None: ...
    def forward(
        self,
        x: _Array,
        initial: _Pair | None,
        out: tuple[Any, ...],
        *,
        batch_first: bool,
        batch_sizes: list[int] | None = None,
        position: int | None = None,
    ) -> Lease | None: ...
    def backward(
        self,
        lease: Lease,
        d_y: _Array,
        d_last: _Pair | None,
        *,
        d_x: _Array | None,
        d_initial: tuple[Any, ...] | None,
        tensors: Sequence[tuple[str, _Array]],
        batch_first: bool,
        batch_sizes: list[int] | None = None,
    ) -> None: ...
    def state(self, lanes: int) -> State: ...
    def step(self, x: _Array, state: State, y: _Array) -> None: ...
    def release_memory(self) -> None: ...

@final
class CharLm:
    """A character model; see ``gatemill.CharLM``."""

    @staticmethod
    def load(path: str | PathLike[str]) -> CharLm: ...
    @staticmethod
    def new(characters: str, config: str) -> CharLm: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    @property
    def config(self) -> str: ...
    @property
    def symbols(self) -> list[int]: ...
    @property
    def reads_bytes(self) -> bool: ...
    @property
    def notices(self) -> list[str]: ...
    def encode(self, text: str) -> list[int]: ...
    def state(self, lanes: int) -> State: ...
    def logits(self, ids: npt.NDArray[np.uint32], state: State, out: _Array) -> None: ...
    def train_step(self, ids: npt.NDArray[np.uint32], targets: npt.NDArray[np.uint32]) -> float: ...
    def set_lr(self, lr: float) -> None: ...
    def generate(
        self,
        prime: str,
        *,
        length: int,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
        repetition_penalty: float,
        repetition_window: int,
        seed: int,
        sample: int,
    ) -> Text: ...

@final
class Text:
    """A text that is being written."""

    def next(self) -> bytes | None: ...
    @property
    def unseen(self) -> int: ...
