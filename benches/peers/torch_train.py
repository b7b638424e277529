"""Training in PyTorch: one-hot input, recurrent layers, readout, cross-entropy, backward, clip by norm 5, Adam at 0.002,
the loss read at each step, the state carried and detached. Started by `cargo xtask compare`; see measure.py.

A form is INPUT/ADAM: `one_hot` or `identity` (the rows of a frozen identity), `fused` or `foreach`.
"""
import torch, torch.nn as nn, torch.nn.functional as F
import measure
from measure import VOCAB
from torch_model import Model, detached, settle

FORMS = ["one_hot/fused", "identity/fused", "one_hot/foreach", "identity/foreach"]
CHUNKS = 8


def make(args, form):
    identity, adam = form.split("/")
    model = Model(args.cell, args.layers, args.hidden, identity == "identity")
    learned = model.learned()
    adam = torch.optim.Adam(learned, lr=2e-3, **{adam: True})
    ids = torch.randint(0, VOCAB, (CHUNKS, args.seq, args.batch))
    state, chunk = None, 0

    def step():
        nonlocal state, chunk
        x, y = ids[chunk % CHUNKS], ids[(chunk + 1) % CHUNKS]
        chunk += 1
        adam.zero_grad(set_to_none=True)
        logits, state = model(x, state if state is None else detached(state))
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), y.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 5.0)
        adam.step()
        return loss.item()

    return step, sum(p.numel() for p in learned)


def worth_it(form, probed):
    """Both inputs with the fused Adam; the other Adam only with the faster input."""
    return form.endswith("/fused") or form.split("/")[0] == max(probed, key=probed.get).split("/")[0]


if __name__ == "__main__":
    args = measure.arguments(__doc__)
    settle(args.threads)
    measure.main(args, FORMS, lambda form: make(args, form), args.seq * args.batch, worth_it)
