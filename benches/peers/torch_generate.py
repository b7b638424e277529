"""Generation in PyTorch: one stream, each symbol drawn from the softmax at temperature 1 and fed back, no gradients kept.
Started by `cargo xtask compare`; see measure.py.

Forms: `module` (nn.LSTM and its like, one symbol a call), `module/no_onednn` (the same with oneDNN off: at one lane oneDNN
packs all weights anew at each call), `cells` (nn.LSTMCell and its like in a loop over the layers).
"""
import torch, torch.nn.functional as F
import measure
from measure import VOCAB
from torch_model import CELLS, Model, settle

FORMS = ["module", "module/no_onednn", "cells"]
AT_ONCE = 50


def draw(logits):
    return torch.multinomial(F.softmax(logits.reshape(1, VOCAB), -1), 1)


def modules(model):
    state, symbol = None, torch.zeros(1, 1, dtype=torch.long)

    def some():
        nonlocal state, symbol
        for _ in range(AT_ONCE):
            logits, state = model(symbol, state)
            symbol = draw(logits)
        symbol.item()

    return some


def cells(model, args):
    layers = [CELLS[args.cell](VOCAB if at == 0 else args.hidden, args.hidden) for at in range(args.layers)]
    for at, layer in enumerate(layers):
        for name, p in layer.named_parameters():
            p.data.copy_(getattr(model.rnn, f"{name}_l{at}"))
    states, symbol = [None] * args.layers, torch.zeros(1, 1, dtype=torch.long)

    def some():
        nonlocal symbol
        for _ in range(AT_ONCE):
            x = model.rows(symbol[0])
            for at, layer in enumerate(layers):
                states[at] = layer(x, states[at])
                x = states[at][0] if args.cell == "lstm" else states[at]
            symbol = draw(model.head(x))
        symbol.item()

    return some


def make(args, form):
    torch.backends.mkldnn.enabled = form != "module/no_onednn"
    model = Model(args.cell, args.layers, args.hidden, identity=True).eval()
    return cells(model, args) if form == "cells" else modules(model), sum(p.numel() for p in model.learned())


if __name__ == "__main__":
    args = measure.arguments(__doc__)
    settle(args.threads)
    with torch.inference_mode():
        measure.main(args, FORMS, lambda form: make(args, form), AT_ONCE)
