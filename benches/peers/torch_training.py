"""A model trained with torch.nn's layers and with gatemill.torch's, from the same weights on the same symbols: do the losses agree?

    python benches/peers/torch_training.py text.txt                             C1 to C5, each cell: 200 steps without dropout
    python benches/peers/torch_training.py text.txt --only lstm/C1 --steps 50   one of them, shorter
    python benches/peers/torch_training.py text.txt --dropout 0.2 --steps 500   the mean of the last 100 losses, each with its own masks
    python benches/peers/torch_training.py text.txt --optimizer SGD --lr 0.5    plain steps along the gradient
    python benches/peers/torch_training.py text.txt --control                   torch.nn against itself from a start one rounding away, too

One-hot input, the layers of a point of the grid, a linear readout; Adam 0.002, gradient norm clipped at 5, states carried
from chunk to chunk. Adam divides a gradient by its own size, so that one of rounding alone moves its weight as far as any other. Where training is chaotic (an LSTM that leaves a plateau, an RNN whose gradients explode) rounding alone parts two runs:
`--control` shows how far PyTorch then parts from itself, each weight of its start moved to the next number in f32. One JSON line for each configuration: the largest difference between the losses of a step, and the means
of the last 100. Losses alone: nothing here is timed. Needs the wheel, as torch_layer.py does.
"""
import argparse, json

import torch
import torch.nn as nn

import gatemill.torch

# Layers, hidden, T, B.
GRID = {"C1": (1, 128, 50, 50), "C2": (2, 256, 64, 32), "C3": (2, 512, 100, 64), "C4": (3, 512, 100, 100), "C5": (1, 1024, 128, 64)}
CELLS = ["lstm", "gru", "rnn"]
NORM, SEED = 5.0, 1


class Model(nn.Module):
    def __init__(self, library, cell, vocab, hidden, layers, dropout):
        super().__init__()
        self.rnn = getattr(library, cell.upper())(vocab, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.drop, self.head, self.vocab = nn.Dropout(dropout), nn.Linear(hidden, vocab), vocab

    def forward(self, ids, state):
        y, state = self.rnn(nn.functional.one_hot(ids, self.vocab).float(), state)
        return self.head(self.drop(y)), state


def lanes(text, batch, steps):
    """Chunks of ids and targets `[T, B]`, each lane a stretch of the text; from the first again when they end."""
    symbols = sorted(set(text))
    place = {c: i for i, c in enumerate(symbols)}
    ids = torch.tensor([place[c] for c in text])
    each = (len(ids) - 1) // batch
    x = ids[: each * batch].view(batch, each).t().contiguous()
    y = ids[1 : each * batch + 1].view(batch, each).t().contiguous()

    def chunks():
        while True:
            for at in range(0, each - steps + 1, steps):
                yield x[at : at + steps], y[at : at + steps], at == 0

    return len(symbols), chunks


def losses(library, cell, point, text, args, moved=False):
    layers, hidden, seq, batch = GRID[point]
    vocab, chunks = lanes(text, batch, seq)
    torch.manual_seed(SEED)
    model = Model(library, cell, vocab, hidden, layers, args.dropout)
    if moved:
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(torch.nextafter(weight, torch.full_like(weight, torch.inf)))
    optimizer = getattr(torch.optim, args.optimizer)(model.parameters(), lr=args.lr)
    state, found = None, []
    for ids, targets, first in chunks():
        if len(found) == args.steps:
            return found
        if first:
            state = None
        logits, state = model(ids, state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), NORM)
        optimizer.step()
        found.append(loss.item())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--only", action="append", metavar="CELL/POINT")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--optimizer", choices=["Adam", "SGD"], default="Adam")
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with open(args.text, encoding="utf-8") as file:
        text = file.read()
    wanted = args.only or [f"{cell}/{point}" for point in GRID for cell in CELLS]
    for name in wanted:
        cell, point = name.split("/")
        theirs = losses(nn, cell, point, text, args)
        ours = losses(gatemill.torch, cell, point, text, args)
        last = min(100, args.steps)
        line = {
            "cell": cell, "point": point, "steps": args.steps, "dropout": args.dropout, "optimizer": args.optimizer, "lr": args.lr, "torch": torch.__version__,
            "first_nats": theirs[0], "last_nats": theirs[-1],
            "largest_difference": max(abs(a - b) for a, b in zip(theirs, ours)),
            "mean_last": {"torch": sum(theirs[-last:]) / last, "gatemill": sum(ours[-last:]) / last},
        }
        if args.control:
            other = losses(nn, cell, point, text, args, moved=True)
            line["largest_difference_from_the_next_start"] = max(abs(a - b) for a, b in zip(theirs, other))
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
