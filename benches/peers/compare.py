"""Gatemill and PyTorch on the same training work, alternating: tokens per second of whole steps, medians.

Gatemill runs as a user runs it (`gatemill train --json` on a text of random symbols); PyTorch does the same work: one-hot
input, recurrent layers, readout, cross-entropy, backward, clip by norm 5, Adam, state carried. Needs torch and numpy.

    python3 benches/peers/compare.py target/release/gatemill --rounds 3 --out benches/record/FILE.json
"""
import argparse, json, os, platform, random, statistics, subprocess, sys, tempfile, time

GRID = {"C1": (1, 128, 50, 50, 150), "C2": (2, 256, 64, 32, 30), "C3": (2, 512, 100, 64, 6), "C4": (3, 512, 100, 100, 4),
        "C5": (1, 1024, 128, 64, 4)}
SYMBOLS = "".join(chr(c) for c in range(48, 48 + 65))


def torch_worker(cell, layers, hidden, steps, lanes, count, threads):
    import torch, torch.nn as nn, torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    vocab = len(SYMBOLS)
    rnn = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](vocab, hidden, layers)
    head = nn.Linear(hidden, vocab)
    params = list(rnn.parameters()) + list(head.parameters())
    adam = torch.optim.Adam(params, lr=2e-3, fused=True)
    ids = torch.randint(0, vocab, (8, steps, lanes))
    state, seconds = None, []
    for i in range(count + 2):
        begun = time.perf_counter()
        x, y = ids[i % 8], ids[(i + 1) % 8]
        if state is not None:
            state = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
        adam.zero_grad(set_to_none=True)
        out, state = rnn(F.one_hot(x, vocab).float(), state)
        loss = F.cross_entropy(head(out).reshape(-1, vocab), y.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(params, 5.0)
        adam.step()
        loss.item()
        seconds.append(time.perf_counter() - begun)
    print(json.dumps([steps * lanes / s for s in seconds[2:]]))


def torch_rate(args, threads, tuned):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    if tuned:
        env["GLIBC_TUNABLES"] = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184"
    command = [sys.executable, __file__, "--torch-worker", json.dumps([*args, threads])]
    return json.loads(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)


def gatemill_rate(binary, text, args, threads, folder):
    cell, layers, hidden, steps, lanes, count = args
    command = [binary, "train", text, "--cell", cell, "--layers", layers, "--hidden", hidden, "--seq", steps, "--batch", lanes,
               "--steps", count + 2, "--val-frac", 0, "--schedule", "constant", "--threads", threads, "--json", "--out", folder]
    done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    rates = [e["tokens_per_s"] for e in events if e["event"] == "step"]
    return rates[2:] if len(rates) > 2 else rates


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?")
    parser.add_argument("--cells", default="lstm,gru,rnn")
    parser.add_argument("--grid", default=",".join(GRID))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out")
    parser.add_argument("--torch-worker")
    options = parser.parse_args()
    if options.torch_worker:
        return torch_worker(*json.loads(options.torch_worker))
    import torch
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        text = os.path.join(scratch, "random.txt")
        random.seed(1)
        with open(text, "w") as f:
            f.write(SYMBOLS + "".join(random.choices(SYMBOLS, k=2_000_000)))
        for point in options.grid.split(","):
            for cell in options.cells.split(","):
                args = (cell, *GRID[point])
                rates = {"gatemill": [], "pytorch": [], "pytorch tuned": []}
                for round in range(options.rounds):
                    folder = os.path.join(scratch, f"{point}-{cell}-{round}")
                    rates["gatemill"] += gatemill_rate(options.binary, text, args, options.threads, folder)
                    rates["pytorch"] += torch_rate(args, options.threads, False)
                    rates["pytorch tuned"] += torch_rate(args, options.threads, True)
                row = {"point": point, "cell": cell, "threads": options.threads}
                for name, r in rates.items():
                    row[name] = {"min": round_(min(r)), "median": round_(statistics.median(r)), "max": round_(max(r))}
                rows.append(row)
                mine = row["gatemill"]["median"]
                print(f"{point} {cell}: gatemill {mine}, pytorch {row['pytorch']['median']} "
                      f"(x{mine / row['pytorch']['median']:.2f}), tuned {row['pytorch tuned']['median']} "
                      f"(x{mine / row['pytorch tuned']['median']:.2f}) tokens/s", flush=True)
    record = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "torch": torch.__version__,
              "command": " ".join(["python3", "benches/peers/compare.py", *sys.argv[1:]]), "rows": rows}
    if options.out:
        with open(options.out, "w") as f:
            json.dump(record, f, indent=1)
            f.write("\n")


def round_(x):
    return int(round(x))


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.processor())
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


if __name__ == "__main__":
    main()
