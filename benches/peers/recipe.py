"""Recipes in PyTorch, to be compared with what Gatemill reaches by the same ones, loss by loss and second by second.

char-rnn: what `gatemill train TEXT --preset char-rnn` does. LSTM 2x128 on one-hot characters, every parameter from
U(-0.08, 0.08), the forget rows of b_ih 1; 50 lanes x 50 steps, state carried; RMSprop 0.002 with decay 0.95; from the end of
epoch 10 on the rate times 0.97 per epoch; gradients clipped by value. char-rnn sums the loss over the window where this (as
Gatemill) takes the mean, so its clip of 5 and its epsilon of 1e-8 are divided by 50 here.

lstm-2x256: `gatemill train TEXT --layers 2 --hidden 256 --batch 32 --seq 64 --dropout 0.2 --schedule constant --warmup 0
--val-frac 0.1 --epochs 9`: Adam 0.002, clip by norm 5, PyTorch's start with the forget rows of b_ih 1.

The text is cut as Gatemill cuts it: what the last part leaves is training text.

    python3 benches/peers/recipe.py char-rnn TEXT --epochs 10 --seed 1      one JSON line per epoch
"""
import argparse, json, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F

RECIPES = {
    "char-rnn": dict(lanes=50, steps=50, layers=2, hidden=128, val_frac=0.05, dropout=0.0, start=0.08, epochs=10),
    "lstm-2x256": dict(lanes=32, steps=64, layers=2, hidden=256, val_frac=0.1, dropout=0.2, start=None, epochs=9),
}
LR, DECAY_RATE, LR_DECAY, DECAY_AFTER, CLIP_NORM = 2e-3, 0.95, 0.97, 10, 5.0


class Model(nn.Module):
    def __init__(self, vocab, recipe):
        super().__init__()
        hidden = recipe["hidden"]
        self.rnn = nn.LSTM(vocab, hidden, recipe["layers"], dropout=recipe["dropout"])
        self.head, self.vocab = nn.Linear(hidden, vocab), vocab
        for name, p in self.named_parameters():
            if recipe["start"]:
                nn.init.uniform_(p, -recipe["start"], recipe["start"])
            if "bias_ih" in name:
                p.data[hidden:2 * hidden] = 1.0

    def forward(self, x, state):
        out, state = self.rnn(F.one_hot(x, self.vocab).float(), state)
        return self.head(out), state


def lanes(ids, count):
    m = (len(ids) - 1) // count
    return torch.from_numpy(np.stack([ids[b * m:b * m + m + 1] for b in range(count)], 1))  # [m + 1, B]


def epoch(model, data, steps, optimizer=None, clip=None):
    """Token mean of the loss; a last short chunk counts only where nothing is learned."""
    model.train(optimizer is not None)
    state, nats, count = None, 0.0, 0
    for t in range(0, len(data) - 1, steps):
        x, y = data[t:t + steps], data[t + 1:t + steps + 1]
        x = x[:len(y)]
        if optimizer and len(x) < steps:
            break
        with torch.set_grad_enabled(optimizer is not None):
            out, state = model(x, state)
            loss = F.cross_entropy(out.reshape(-1, model.vocab), y.reshape(-1))
        state = tuple(s.detach() for s in state)
        if optimizer:
            optimizer.zero_grad()
            loss.backward()
            clip(model.parameters())
            optimizer.step()
        nats, count = nats + loss.item() * y.numel(), count + y.numel()
    return nats / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("text")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    text = open(args.text, "rb").read().decode("utf-8")
    symbols = sorted(set(text))
    index = {s: i for i, s in enumerate(symbols)}
    ids = np.array([index[c] for c in text], dtype=np.int64)
    recipe = RECIPES[args.recipe]
    steps, by_value = recipe["steps"], args.recipe == "char-rnn"
    cut = int(len(ids) * (1 - recipe["val_frac"]))
    train, val = lanes(ids[:cut], recipe["lanes"]), lanes(ids[cut:], recipe["lanes"])
    model = Model(len(symbols), recipe)
    if by_value:
        optimizer = torch.optim.RMSprop(model.parameters(), lr=LR, alpha=DECAY_RATE, eps=1e-8 / steps)
        clip = lambda parameters: nn.utils.clip_grad_value_(parameters, 5.0 / steps)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
        clip = lambda parameters: nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
    trained = 0.0
    for n in range(1, (args.epochs or recipe["epochs"]) + 1):
        begun = time.perf_counter()
        train_nats = epoch(model, train, steps, optimizer, clip)
        trained += time.perf_counter() - begun
        if by_value and n >= DECAY_AFTER:
            for group in optimizer.param_groups:
                group["lr"] *= LR_DECAY
        line = dict(epoch=n, train_nats=train_nats, val_nats=epoch(model, val, steps), seconds=round(trained, 2))
        print(json.dumps({**line, "torch": torch.__version__, "seed": args.seed}), flush=True)


if __name__ == "__main__":
    main()
