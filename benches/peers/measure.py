"""What the Python peers share: the flags of a worker, the rule of warm-up, and the line that it prints.

A worker is one process that measures one configuration and prints one JSON object; `cargo xtask compare` starts it,
alternates it with the others, and makes the record. `--probe` measures each form that the peer offers for a moment, and
names the fastest; `--form` measures that one.
"""
import argparse, json, statistics, time

VOCAB = 65
WARM_UP_S, WARM_UP_TIMES, LEAST_TIMES = 0.5, 2, 5
PROBE_S, PROBE_TIMES = 0.5, 3


def arguments(doc):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", choices=["lstm", "gru", "rnn"], required=True)
    for name in ["layers", "hidden", "seq", "batch"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--form")
    return parser.parse_args()


def rates(work, tokens, seconds, least, warm_up):
    """Tokens per second of each call of `work`, and what its very first call returned. Warm-up is left out."""
    begun = time.perf_counter()
    first = work()
    times = 1
    while times < WARM_UP_TIMES or time.perf_counter() - begun < warm_up:
        work()
        times += 1
    found, begun = [], time.perf_counter()
    while len(found) < least or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        work()
        found.append(tokens / (time.perf_counter() - start))
    return found, first


def main(args, forms, make, tokens, narrow=None):
    """`make(form)` gives (work, parameters); `narrow(form, rates so far)`: whether that form is worth a probe."""
    if args.probe:
        probed = {}
        for form in forms:
            if narrow is None or narrow(form, probed):
                probed[form] = statistics.median(rates(make(form)[0], tokens, PROBE_S, PROBE_TIMES, 0.0)[0])
        tell(form=max(probed, key=probed.get), probed={form: round(rate) for form, rate in probed.items()})
        return
    work, parameters = make(args.form or forms[0])
    found, first = rates(work, tokens, args.seconds, LEAST_TIMES, WARM_UP_S)
    tell(rates=[round(rate, 1) for rate in found], first_loss=first, parameters=parameters)


def tell(**line):
    print(json.dumps(line), flush=True)
