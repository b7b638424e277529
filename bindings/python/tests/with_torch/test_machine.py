"""The PyTorch part and the machine: threads and bits, the GIL, memory, torch.compile."""

import gc
import resource
import subprocess
import sys
import threading
import time

import pytest
import torch
from layers import B, H, I, NAMES, T, pair, run, states
from torch.nn.utils.rnn import pack_padded_sequence

import gatemill


@pytest.fixture(autouse=True)
def keep_threads():
    threads = gatemill.get_num_threads()
    yield
    gatemill.set_num_threads(threads)


@pytest.mark.parametrize("name", NAMES)
def test_the_bits_are_the_same_for_one_and_two_threads(name):
    _, ours = pair(name, I, 40, 2)
    lengths = sorted((1 + 7 * i % 20 for i in range(13)), reverse=True)
    packed = pack_padded_sequence(torch.randn(20, 13, I), lengths)
    for x in [torch.randn(T, 13, I), torch.randn(T, 1, I), packed]:
        found = []
        for threads in (1, 2, 3):
            gatemill.set_num_threads(threads)
            found.append(run(ours, x))
        for other in found[1:]:
            for key, value in found[0].items():
                assert torch.equal(value, other[key]), key


def test_the_gil_is_released_in_forward_and_in_backward():
    ours = gatemill.torch.LSTM(64, 256)
    x = torch.randn(200, 16, 64)
    loss = ours(x)[0].sum()
    loss.backward()
    counted, done = 0, threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    other = threading.Thread(target=count)
    try:
        other.start()
        begun = counted
        y, _ = ours(x)
        forward = counted
        loss = y.sum()
        before = counted
        loss.backward()
        backward = counted
    finally:
        done.set()
        sys.setswitchinterval(interval)
    other.join()
    assert forward > begun and backward > before


def test_two_threads_train_two_layers_and_share_one():
    layers = [pair("GRU", I, 24)[1] for _ in range(2)]
    shared, x = pair("LSTM", I, 24)[1], torch.randn(30, 8, I)
    alone = [run(layer, x) for layer in layers]
    exact = shared(x)[0].detach()
    wrong = []

    def work(i):
        for _ in range(15):
            found = run(layers[i], x)
            if not all(torch.equal(found[key], value) for key, value in alone[i].items()):
                wrong.append("own layer")
            with torch.no_grad():
                if not torch.equal(shared(x)[0], exact):
                    wrong.append("shared layer")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_passes_leave_no_memory_behind():
    ours = gatemill.torch.LSTM(16, 64, 2)
    x = torch.randn(50, 16, 16)

    def work(times):
        for i in range(times):
            state = states(ours, 16)
            y, last = ours(x[: 50 - i % 7], state)
            if i % 3:
                (y.sum() + last[0].sum()).backward()
            ours.zero_grad()
        del y, last
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    settled = work(60)
    # A pass keeps megabytes; kibibytes here.
    assert work(200) - settled < 40_000


def test_graphs_that_are_dropped_give_their_activations_back():
    ours = gatemill.torch.GRU(I, H)
    for _ in range(5):
        ys = [ours(torch.randn(T, B, I))[0] for _ in range(4)]
        del ys
    gc.collect()
    assert len(run(ours, torch.randn(T, B, I))) > 0
    # Four were alive at once, and no more were ever made.
    stacks = ours._engine()._stacks
    assert [stack.layers.idle_tapes for stack in stacks.values()] == [4]


def test_a_host_that_flushes_denormals_is_told_once_that_the_promise_is_off():
    program = """
import warnings, torch, gatemill.torch
assert torch.set_flush_denormal(True)
layer, x = gatemill.torch.GRU(3, 5), torch.ones(4, 2, 3)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    layer(x)
    layer(x)
    torch.set_flush_denormal(False)
    layer(x)
assert [warning.category for warning in caught] == [RuntimeWarning], caught
assert "denormal results are zeros" in str(caught[0].message) and "bit for bit" in str(caught[0].message)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# PyTorch 1 has no torch.compile.
if hasattr(torch, "compile"):

    def test_torch_compile_breaks_its_graph_at_the_layer():
        theirs, ours = pair("LSTM", I, H)
        model = torch.nn.Sequential(torch.nn.Linear(I, I), ours)
        compiled = torch.compile(model, backend="eager")
        x = torch.randn(T, B, I, requires_grad=True)
        y, _ = compiled(x)
        y.sum().backward()
        d_x, x.grad = x.grad, None
        expected, _ = model(x)
        expected.sum().backward()
        assert torch.equal(y, expected) and torch.equal(d_x, x.grad)
