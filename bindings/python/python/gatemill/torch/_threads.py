"""Passes run on PyTorch's own OpenMP threads, where it has them: they spin on their cores for a while after each operation.

And on as many as PyTorch computes with, unless ``gatemill.set_num_threads`` asked for a number.
"""

from __future__ import annotations

import ctypes

import torch

from gatemill import _core

#: What `adopt_openmp` asks for.
_FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


def adopt() -> bool:
    """Has Gatemill run on the threads of PyTorch's OpenMP runtime; False, and nothing changes, where it has none."""
    if "parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return False
    try:
        # Found by name in what PyTorch itself is linked with: a process may have loaded other runtimes.
        library = ctypes.CDLL(torch._C.__file__)
        addresses = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS]
    except (AttributeError, OSError):
        return False
    _core.adopt_openmp(*addresses)
    return True


_followed = 0


def follow() -> None:
    """Has the passes that follow run on as many threads as PyTorch's operations now."""
    global _followed
    threads = torch.get_num_threads()
    if threads != _followed:
        _core.follow_num_threads(threads)
        _followed = threads
