"""An independent model of a task in PyTorch: `classify` and `tag` by nn.LSTM, nn.GRU or nn.RNN over packed batches.

    python torch_tasks.py classify TRAIN.tsv VAL.tsv --cell lstm --hidden 64 --batch 32 --steps 600 --lr 0.005

One example a line: INPUT, a tab, OUTPUT (a class; of tag a character for each character of the input). The recipe is that of
`gatemill train --task` with the same flags: Adam, a linear warm-up of 100 steps and half a cosine to 0, the norm clipped, the
mean loss over the targets of a batch, the best validation loss of those after each `--eval-every` steps. Weights begin as
torch.nn has them, with `--forget-bias` added to the LSTM's. Prints one JSON object.
"""
import argparse
import json
import math
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence


def examples(path):
    lines = open(path, encoding="utf-8").read().split("\n")
    return [line.split("\t") for line in lines if line]


class Model(nn.Module):
    def __init__(self, args, symbols, classes):
        super().__init__()
        layer = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[args.cell]
        self.symbols, self.task, self.hidden = symbols, args.task, args.hidden
        self.embedding = nn.Embedding(symbols, args.embed) if args.embed else None
        self.rnn = layer(args.embed or symbols, args.hidden, args.layers, bidirectional=args.bidirectional)
        self.head = nn.Linear(args.hidden * (2 if args.bidirectional else 1), classes)
        if args.cell == "lstm":
            for name, p in self.rnn.named_parameters():
                if name.startswith("bias_ih"):
                    p.data[args.hidden : 2 * args.hidden] += args.forget_bias

    def rows(self, x):
        return self.embedding(x) if self.embedding else F.one_hot(x, self.symbols).float()

    def forward(self, inputs):
        packed = pack_sequence([self.rows(x) for x in inputs], enforce_sorted=False)
        y, state = self.rnn(packed)
        if self.task == "classify":
            h = state[0] if isinstance(state, tuple) else state
            directions = 2 if self.rnn.bidirectional else 1
            return self.head(torch.cat(list(h[-directions:]), dim=1))
        y, lengths = pad_packed_sequence(y, batch_first=True)
        return self.head(torch.cat([row[:n] for row, n in zip(y, lengths)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["classify", "tag"])
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--bidirectional", action="store_true")
    sizes = [("layers", 1), ("hidden", 64), ("embed", 16), ("batch", 32), ("steps", 600), ("seed", 1), ("threads", 1)]
    for name, default in sizes:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--eval-every", type=int, default=100)
    for name, default in [("lr", 0.005), ("clip-norm", 1.0), ("forget-bias", 1.0)]:
        parser.add_argument(f"--{name}", type=float, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    order = random.Random(args.seed)

    train, val = examples(args.train), examples(args.val)
    symbols = {c: i for i, c in enumerate(sorted({c for text, _ in train for c in text}))}
    names = [list(out) if args.task == "tag" else [out] for _, out in train]
    classes = {c: i for i, c in enumerate(sorted({c for out in names for c in out}))}
    unseen = len(symbols)

    def numbers(pair):
        text, out = pair
        out = list(out) if args.task == "tag" else [out]
        return torch.tensor([symbols.get(c, unseen) for c in text]), torch.tensor([classes[c] for c in out])

    train, val = [numbers(pair) for pair in train], [numbers(pair) for pair in val]
    model = Model(args, len(symbols) + 1, len(classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    warmup = min(100, args.steps // 2)

    def rate(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(args.steps - warmup, 1)))

    def score(pairs):
        nats = hits = targets = 0
        with torch.inference_mode():
            for i in range(0, len(pairs), 100):
                inputs, outputs = zip(*pairs[i : i + 100])
                logits, want = model(inputs), torch.cat(outputs)
                nats += F.cross_entropy(logits, want, reduction="sum").item()
                hits += (logits.argmax(1) == want).sum().item()
                targets += len(want)
        return nats / targets, hits / targets

    begun, left, best = time.perf_counter(), [], (math.inf, 0.0)
    for step in range(args.steps):
        if not left:
            left = list(range(len(train)))
            order.shuffle(left)
        batch, left = left[: args.batch], left[args.batch :]
        inputs, outputs = zip(*(train[i] for i in batch))
        for group in optimizer.param_groups:
            group["lr"] = args.lr * rate(step)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), torch.cat(outputs)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip_norm)
        optimizer.step()
        if (step + 1) % args.eval_every == 0 or step + 1 == args.steps:
            best = min(best, score(val))
    seconds = time.perf_counter() - begun
    found = {"val_nats": best[0], "accuracy": best[1], "seconds": seconds}
    print(json.dumps({"task": args.task, "cell": args.cell, "seed": args.seed, **found}))


if __name__ == "__main__":
    main()
