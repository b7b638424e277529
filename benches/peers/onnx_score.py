"""Scoring in ONNX Runtime: forward and mean cross-entropy, in one graph, of chunk after chunk, the state carried.
Started by `cargo xtask compare`; see measure.py.
"""
import numpy as np
import measure
from measure import VOCAB
from onnx_model import session, zeros

CHUNKS = 8


def make(args):
    run, states_in, outputs, parameters = session(args, loss=True)
    ids = np.random.default_rng(1).integers(0, VOCAB, (CHUNKS, args.seq, args.batch))
    feed, chunk = zeros(states_in, args, args.batch), 0

    def score():
        nonlocal chunk
        feed["x"], feed["y"] = ids[chunk % CHUNKS], ids[(chunk + 1) % CHUNKS][..., None]
        chunk += 1
        loss, *states = run.run(outputs, feed)
        feed.update(zip(states_in, states))
        return float(loss)

    return score, parameters


if __name__ == "__main__":
    args = measure.arguments(__doc__)
    measure.main(args, ["sequence"], lambda form: make(args), args.seq * args.batch)
