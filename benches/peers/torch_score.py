"""Scoring in PyTorch: forward and mean cross-entropy of chunk after chunk, the state carried, no gradients kept.
Started by `cargo xtask compare`; see measure.py.

Forms: `one_hot` or `identity` input (the rows of a frozen identity); `/no_onednn` with oneDNN off.
"""
import torch, torch.nn.functional as F
import measure
from measure import VOCAB
from torch_model import Model, settle

FORMS = ["one_hot", "identity", "identity/no_onednn"]
CHUNKS = 8


def make(args, form):
    torch.backends.mkldnn.enabled = not form.endswith("/no_onednn")
    model = Model(args.cell, args.layers, args.hidden, form.startswith("identity")).eval()
    ids = torch.randint(0, VOCAB, (CHUNKS, args.seq, args.batch))
    state, chunk = None, 0

    def score():
        nonlocal state, chunk
        logits, state = model(ids[chunk % CHUNKS], state)
        y = ids[(chunk + 1) % CHUNKS]
        chunk += 1
        return F.cross_entropy(logits.reshape(-1, VOCAB), y.reshape(-1)).item()

    return score, sum(p.numel() for p in model.learned())


if __name__ == "__main__":
    args = measure.arguments(__doc__)
    settle(args.threads)
    with torch.inference_mode():
        measure.main(args, FORMS, lambda form: make(args, form), args.seq * args.batch)
