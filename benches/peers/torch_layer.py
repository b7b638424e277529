"""Forward and backward of a recurrent layer alone: torch.nn as it is installed beside gatemill.torch, alternating in one process.

    python benches/peers/torch_layer.py --threads 2                     C1 to C5, each cell, dense input; then packed sequences
    python benches/peers/torch_layer.py --threads 2 --only lstm/C1      one of them
    python benches/peers/torch_layer.py --threads 2 --overhead          what a call costs beside the engine, at C1 and for a step

An input takes a gradient, as between layers; a dense one also "of data", as of a first layer, whose input takes none.
Both have the same weights and input; before anything is measured their gradients are held against each other. A round is so
many calls of one, then as many of the other, every second round in reverse; a figure is the median of its calls, the ratio
the median of the rounds' ratios of medians. One JSON line for each configuration. Needs the wheel:
`maturin build --release --manifest-path bindings/python/Cargo.toml`, installed beside PyTorch.
"""
import argparse, json, statistics, sys, time

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_sequence

import gatemill
import gatemill.torch

# Layers, hidden, T, B; the input has as many columns as the characters of the grid.
GRID = {"C1": (1, 128, 50, 50), "C2": (2, 256, 64, 32), "C3": (2, 512, 100, 64), "C4": (3, 512, 100, 100), "C5": (1, 1024, 128, 64)}
INPUTS = 65
CELLS = ["lstm", "gru", "rnn"]
# Packed: lengths spread evenly from the shortest to the longest, in a fixed random order.
PACKED = {"layers": 2, "hidden": 256, "batch": 64, "shortest": 10, "longest": 400}


def layers(cell, inputs, hidden, count):
    theirs = getattr(nn, cell.upper())(inputs, hidden, count)
    ours = getattr(gatemill.torch, cell.upper())(inputs, hidden, count)
    ours.load_state_dict(theirs.state_dict())
    return {"torch": theirs, "gatemill": ours}


def work(layer, x, factor):
    """Forward, and backward from a gradient that is there already: to the weights, and to x where that takes one."""
    leaf = x if isinstance(x, torch.Tensor) else x.data

    def call():
        leaf.grad = None
        layer.zero_grad(set_to_none=True)
        y, _ = layer(x)
        (y if isinstance(y, torch.Tensor) else y.data).backward(factor)

    return call


def checked(pair, x, factor):
    """Errors: the two do not compute the same."""
    leaf = x if isinstance(x, torch.Tensor) else x.data
    found = {}
    for name, layer in pair.items():
        work(layer, x, factor)()
        found[name] = [tensor.grad.clone() for tensor in (leaf, *layer.parameters()) if tensor.requires_grad]
    for a, b in zip(*found.values()):
        apart = ((a - b).abs().max() / a.abs().max().clamp_min(1e-6)).item()
        assert apart < 1e-3, f"gradients are {apart} apart, of their largest"


def measured(calls, seconds, rounds):
    """Seconds of a call of each, by rounds: medians."""
    counts = {}
    for name, call in calls.items():
        call()
        begun = time.perf_counter()
        call()
        counts[name] = max(3, int(seconds / max(time.perf_counter() - begun, 1e-9)))
    found = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls) if turn % 2 == 0 else reversed(list(calls)):
            times = []
            for _ in range(counts[name]):
                start = time.perf_counter()
                calls[name]()
                times.append(time.perf_counter() - start)
            found[name].append(statistics.median(times))
    return found


def told(name, tokens, found, **more):
    ratios = [theirs / ours for theirs, ours in zip(found["torch"], found["gatemill"])]
    line = {f"{who}_ms": round(1e3 * statistics.median(times), 4) for who, times in found.items()}
    rates = {f"{who}_tokens_per_s": round(tokens / statistics.median(times)) for who, times in found.items()}
    spread = [round(min(ratios), 3), round(max(ratios), 3)]
    print(json.dumps({"what": name, **line, **rates, "ratio": round(statistics.median(ratios), 3), "spread": spread, **more}), flush=True)


def compare(name, pair, x, tokens, args, of_data=False):
    columns = next(iter(pair.values())).hidden_size
    data = x if isinstance(x, torch.Tensor) else x.data
    data.requires_grad_(not of_data)
    factor = torch.randn(*data.shape[:-1], columns)
    checked(pair, x, factor)
    calls = {who: work(layer, x, factor) for who, layer in pair.items()}
    told(name + ", of data" * of_data, tokens, measured(calls, args.seconds, args.rounds))


def overhead(args):
    """The engine alone on the arrays that the module hands it, beside the module's call; and a step on NumPy arrays."""
    import numpy

    for point, cell in ((point, cell) for point in ("C1", "C2", "C3") for cell in CELLS):
        count, hidden, steps, batch = GRID[point]
        ours = layers(cell, INPUTS, hidden, count)["gatemill"]
        x = torch.randn(steps, batch, INPUTS)
        plain = getattr(gatemill, cell.upper())(INPUTS, hidden, count).eval()
        plain.load_state_dict({name: p.detach().numpy() for name, p in ours.named_parameters()})
        array = x.numpy()
        y, parts = numpy.empty((steps, batch, hidden), "f"), plain._shapes(batch)
        last = (*(numpy.empty(shape, "f") for shape in parts), None)[:2]
        with torch.no_grad():
            engine = lambda: plain._stack.forward(array, None, (y, *last), batch_first=False)
            found = measured({"torch": lambda: ours(x), "gatemill": engine}, args.seconds, args.rounds)
        module, bare = (statistics.median(found[who]) for who in ("torch", "gatemill"))
        line = {"what": f"{cell} {point} forward", "module_ms": round(1e3 * module, 4), "engine_ms": round(1e3 * bare, 4)}
        print(json.dumps({**line, "beyond": round(module / bare - 1, 4)}), flush=True)
    for cell in CELLS:
        layer = getattr(gatemill, cell.upper())(64, 64).eval()
        state, one, out = layer.state(), numpy.zeros((1, 64), "f"), numpy.zeros((1, 64), "f")
        step = lambda: layer.step(one, state, out)
        times = measured({"step": step}, 0.2, args.rounds)["step"]
        print(json.dumps({"what": f"{cell} step B 1, H 64", "us": round(1e6 * statistics.median(times), 3)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each contender in a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", action="append", help="CELL/POINT, CELL/packed; may be repeated")
    parser.add_argument("--overhead", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    gatemill.set_num_threads(args.threads)
    torch.manual_seed(1)
    versions = {"torch": torch.__version__, "gatemill": gatemill.__version__, "isa": gatemill.isa(), "python": sys.version.split()[0]}
    print(json.dumps({**versions, "threads": args.threads, "rounds": args.rounds}), flush=True)
    if args.overhead:
        return overhead(args)
    wanted = lambda name: not args.only or name.lower() in [only.lower() for only in args.only]
    for point, (count, hidden, steps, batch) in GRID.items():
        for cell in CELLS:
            if wanted(f"{cell}/{point}"):
                pair, x = layers(cell, INPUTS, hidden, count), torch.randn(steps, batch, INPUTS)
                for of_data in (False, True):
                    compare(f"{cell} {point}", pair, x, steps * batch, args, of_data)
    for cell in CELLS:
        if wanted(f"{cell}/packed"):
            shortest, longest, batch = PACKED["shortest"], PACKED["longest"], PACKED["batch"]
            lengths = [shortest + (longest - shortest) * i // (batch - 1) for i in range(batch)]
            lengths = [lengths[i] for i in torch.randperm(batch).tolist()]
            x = pack_sequence([torch.randn(n, INPUTS) for n in lengths], enforce_sorted=False)
            name = f"{cell} packed {PACKED['layers']}x{PACKED['hidden']}, {batch} of {shortest} to {longest}"
            compare(name, layers(cell, INPUTS, PACKED["hidden"], PACKED["layers"]), x, sum(lengths), args)


if __name__ == "__main__":
    main()
