"""Generation in ONNX Runtime: one stream through a graph of one step, each symbol drawn by numpy from the softmax at
temperature 1 and fed back. Started by `cargo xtask compare`; see measure.py.
"""
import numpy as np
import measure
from onnx_model import session, zeros

AT_ONCE = 100


def make(args):
    run, states_in, outputs, parameters = session(args, loss=False)
    random = np.random.default_rng(1)
    feed = {"x": np.zeros((1, 1), np.int64), **zeros(states_in, args, 1)}

    def some():
        for _ in range(AT_ONCE):
            logits, *states = run.run(outputs, feed)
            feed.update(zip(states_in, states))
            scores = logits.ravel()
            below = np.cumsum(np.exp(scores - scores.max()))
            feed["x"][0, 0] = min(np.searchsorted(below, random.random() * below[-1]), len(scores) - 1)

    return some, parameters


if __name__ == "__main__":
    args = measure.arguments(__doc__)
    measure.main(args, ["step"], lambda form: make(args), AT_ONCE)
