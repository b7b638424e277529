"""Threads, the GIL, forks, memory, and the host's floating-point mode."""

import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import gatemill


@pytest.fixture(autouse=True)
def keep_threads():
    threads = gatemill.get_num_threads()
    yield
    gatemill.set_num_threads(threads)


def passes(threads):
    """Outputs and gradients of layers that share out lanes, and of one that shares out units."""
    gatemill.set_num_threads(threads)
    assert gatemill.get_num_threads() == threads
    rng = np.random.default_rng(3)
    found = []
    for cls, batch, hidden in [(gatemill.LSTM, 13, 24), (gatemill.GRU, 9, 40), (gatemill.RNN, 1, 48)]:
        layer = cls(5, hidden, 2, seed=2)
        x = rng.normal(size=(6, batch, 5)).astype(np.float32)
        y, _ = layer(x)
        found += [y, layer.backward(y)[0], *layer.grads.values()]
    return found


def test_the_bits_are_the_same_for_any_number_of_threads():
    one = passes(1)
    for threads in [2, 3]:
        for a, b in zip(one, passes(threads), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", [0, -1, 10**6])
def test_threads_that_cannot_be(threads):
    with pytest.raises((ValueError, OverflowError)):
        gatemill.set_num_threads(threads)


def test_the_gil_is_released_while_a_pass_computes(rng):
    layer = gatemill.LSTM(64, 256, 2).eval()
    x = rng.normal(size=(200, 16, 64)).astype(np.float32)
    layer(x)
    counted, done = 0, threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0)

    # Python's own turns are switched off: each thread runs only when the other lets go of the GIL by itself.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    try:
        other = threading.Thread(target=count)
        before = []
        other.start()
        for _ in range(3):
            before.append(counted)
            layer(x)
        before.append(counted)
    finally:
        done.set()
        sys.setswitchinterval(interval)
    other.join()
    assert before[-1] > before[0], "the other thread stood still while passes computed"


def test_threads_that_share_a_layer_get_what_they_would_alone(rng):
    layer = gatemill.GRU(5, 24, 2).eval()
    xs = [rng.normal(size=(steps, batch, 5)).astype(np.float32) for steps, batch in [(7, 3), (9, 8), (7, 3), (2, 1)]]
    alone = [layer(x)[0] for x in xs]
    found = [[] for _ in xs]

    def run(i):
        for _ in range(20):
            found[i].append(layer(xs[i])[0])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(xs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, ys in zip(alone, found, strict=True):
        assert len(ys) == 20
        for y in ys:
            np.testing.assert_array_equal(y, expected)


def test_fault_P02_writing_an_input_during_a_pass_harms_nothing_but_its_result(rng):
    layer = gatemill.LSTM(32, 64).eval()
    x = rng.normal(size=(300, 16, 32)).astype(np.float32)
    done = threading.Event()

    def scribble():
        while not done.is_set():
            x[:] = np.random.default_rng().normal(size=x.shape)

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        for _ in range(5):
            y, (h, c) = layer(x)
            assert np.isfinite(y).all() and np.abs(y).max() <= 1
    finally:
        done.set()
        thread.join()
    np.testing.assert_array_equal(layer(x)[0], layer(x)[0])


def test_a_forked_child_computes_with_workers_of_its_own(rng):
    gatemill.set_num_threads(2)
    layer, x = gatemill.LSTM(5, 24), rng.normal(size=(6, 8, 5)).astype(np.float32)
    expected = layer(x)[0]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if np.array_equal(layer(x)[0], expected) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    np.testing.assert_array_equal(layer(x)[0], expected)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for y in pool.map(layer, [x, x, x]):
            np.testing.assert_array_equal(y[0], expected)


def test_passes_leave_no_memory_behind(rng):
    layer = gatemill.LSTM(16, 64)
    x, d_y = rng.normal(size=(50, 16, 16)).astype(np.float32), np.ones((50, 16, 64), np.float32)

    def run(times):
        for i in range(times):
            layer(x[: 50 - i % 7])
            if i % 3:
                layer.backward(d_y[: 50 - i % 7])
            layer.zero_grad()
            layer.step(x[0], layer.state(16))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    settled = run(40)
    # A pass keeps about a megabyte; kibibytes here.
    assert run(200) - settled < 20_000


def test_leaving_while_another_thread_computes_is_no_crash():
    program = """
import threading, numpy, gatemill
layer, x = gatemill.LSTM(8, 64).eval(), numpy.zeros((400, 8, 8), "f")
def run():
    while True:
        layer(x)
threading.Thread(target=run, daemon=True).start()
layer(x)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "panicked" not in done.stderr, done.stderr
