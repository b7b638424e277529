"""char-rnn's recipe in PyTorch: what `gatemill train TEXT --preset char-rnn` is to be compared with.

LSTM 2x128 on one-hot characters, every parameter from U(-0.08, 0.08), the forget rows of b_ih 1; 50 lanes x 50 steps, state
carried; RMSprop 0.002 with decay 0.95; from the end of epoch 10 on the rate times 0.97 per epoch; gradients clipped by
value. char-rnn sums the loss over the window where this (as Gatemill) takes the mean, so its clip of 5 and its epsilon of
1e-8 are divided by 50 here. The text is cut as Gatemill cuts it: the first 95 % are training text.

    python3 benches/peers/char_rnn_recipe.py TEXT --epochs 10 --seed 1      one JSON line per epoch
"""
import argparse, json, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F

LANES, STEPS, LAYERS, HIDDEN, VAL_FRAC = 50, 50, 2, 128, 0.05
LR, DECAY_RATE, LR_DECAY, DECAY_AFTER, CLIP, EPS = 2e-3, 0.95, 0.97, 10, 5.0 / STEPS, 1e-8 / STEPS


class Model(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.rnn, self.head, self.vocab = nn.LSTM(vocab, HIDDEN, LAYERS), nn.Linear(HIDDEN, vocab), vocab
        for name, p in self.named_parameters():
            nn.init.uniform_(p, -0.08, 0.08)
            if "bias_ih" in name:
                p.data[HIDDEN:2 * HIDDEN] = 1.0

    def forward(self, x, state):
        out, state = self.rnn(F.one_hot(x, self.vocab).float(), state)
        return self.head(out), state


def lanes(ids):
    m = (len(ids) - 1) // LANES
    return torch.from_numpy(np.stack([ids[b * m:b * m + m + 1] for b in range(LANES)], 1))  # [m + 1, B]


def epoch(model, data, optimizer=None):
    """Token mean of the loss; a last short chunk counts only where nothing is learned."""
    state, nats, count = None, 0.0, 0
    for t in range(0, len(data) - 1, STEPS):
        x, y = data[t:t + STEPS], data[t + 1:t + STEPS + 1]
        x = x[:len(y)]
        if optimizer and len(x) < STEPS:
            break
        with torch.set_grad_enabled(optimizer is not None):
            out, state = model(x, state)
            loss = F.cross_entropy(out.reshape(-1, model.vocab), y.reshape(-1))
        state = tuple(s.detach() for s in state)
        if optimizer:
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), CLIP)
            optimizer.step()
        nats, count = nats + loss.item() * y.numel(), count + y.numel()
    return nats / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    text = open(args.text, "rb").read().decode("utf-8")
    symbols = sorted(set(text))
    index = {s: i for i, s in enumerate(symbols)}
    ids = np.array([index[c] for c in text], dtype=np.int64)
    cut = int(len(ids) * (1 - VAL_FRAC))
    train, val = lanes(ids[:cut]), lanes(ids[cut:])
    model = Model(len(symbols))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=LR, alpha=DECAY_RATE, eps=EPS)
    for n in range(1, args.epochs + 1):
        begun = time.perf_counter()
        train_nats = epoch(model, train, optimizer)
        seconds = time.perf_counter() - begun
        if n >= DECAY_AFTER:
            for group in optimizer.param_groups:
                group["lr"] *= LR_DECAY
        line = dict(epoch=n, train_nats=train_nats, val_nats=epoch(model, val), seconds=round(seconds, 2))
        print(json.dumps({**line, "torch": torch.__version__, "seed": args.seed}), flush=True)


if __name__ == "__main__":
    main()
