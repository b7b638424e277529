"""Passes on PyTorch's own threads: as parallel regions of its OpenMP runtime, where it has one."""

import os
import subprocess
import sys

import pytest
import torch
from layers import B, I, T, pair, run

import gatemill
from gatemill import _core
from gatemill.torch import _threads

HAS_OPENMP = "parallel backend: OpenMP" in torch.__config__.parallel_info()


@pytest.fixture(autouse=True)
def keep_threads():
    threads = gatemill.get_num_threads()
    yield
    gatemill.set_num_threads(threads)
    _threads.adopt()


def threads_of_this_process():
    with open("/proc/self/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("Threads:")))


@pytest.mark.skipif(not HAS_OPENMP, reason="this PyTorch has no OpenMP")
def test_no_thread_is_started_beside_pytorchs_and_the_bits_are_those_of_gatemills_own():
    assert _threads.adopt()
    gatemill.set_num_threads(2)
    _, ours = pair("LSTM", I, 40, 2)
    x = torch.randn(T, 2 * B, I)
    # PyTorch has started its own by now.
    torch.set_num_threads(2)
    torch.randn(1 << 20).add(1)
    before = threads_of_this_process()
    on_teams = run(ours, x)
    assert threads_of_this_process() == before
    _core.adopt_openmp(0, 0, 0)
    on_own = run(ours, x)
    assert threads_of_this_process() > before
    for key, value in on_teams.items():
        assert torch.equal(value, on_own[key]), key


def test_a_team_that_is_smaller_than_asked_for_leaves_the_work_to_the_caller():
    code = """
import torch, gatemill, gatemill.torch
gatemill.set_num_threads(3)
torch.manual_seed(1)
layer = gatemill.torch.GRU(5, 40, 2)
y, _ = layer(torch.randn(9, 17, 5))
y.sum().backward()
print(y.detach().numpy().tobytes().hex()[:4000], layer.weight_hh_l0.grad.numpy().tobytes().hex()[:4000])
"""

    def said(**environment):
        ran = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert said(OMP_THREAD_LIMIT="2") == said(OMP_DYNAMIC="true") == said()


def test_as_many_threads_as_pytorchs_unless_a_number_was_asked_for():
    code = """
import torch, gatemill, gatemill.torch
layer, x = gatemill.torch.GRU(5, 40, 2), torch.randn(9, 17, 5)
torch.set_num_threads(3)
y, _ = layer(x)
print(gatemill.get_num_threads())
torch.set_num_threads(1)
y.sum().backward()
print(gatemill.get_num_threads())
gatemill.set_num_threads(2)
torch.set_num_threads(3)
layer(x)
print(gatemill.get_num_threads())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout.split()) == (0, ["3", "1", "2"]), ran.stderr


def test_a_forked_child_computes_on_threads_of_gatemills_own():
    gatemill.set_num_threads(2)
    _, ours = pair("RNN", I, 40, 1)
    x = torch.randn(T, 2 * B, I)
    expected = ours(x)[0].detach().numpy().tobytes()
    pid = os.fork()
    if pid == 0:
        same = ours(x)[0].detach().numpy().tobytes() == expected
        os._exit(0 if same and threads_of_this_process() > 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
