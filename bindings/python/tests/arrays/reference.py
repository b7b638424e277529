"""The arbiter of the NumPy part: recurrent layers in plain float64, one equation a line, and gradients by differences."""

import numpy as np


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def cell(options, weights, suffix, x, h, c):
    """One step of one layer and direction: x [B, I], h [B, H or P], c [B, H] -> h, c."""
    kind, w_ih, w_hh = options["cell"], weights[f"weight_ih_{suffix}"], weights[f"weight_hh_{suffix}"]
    b_ih, b_hh = (weights.get(f"{name}_{suffix}", np.zeros(len(w_ih))) for name in ("bias_ih", "bias_hh"))
    from_x, from_h = x @ w_ih.T + b_ih, h @ w_hh.T + b_hh
    if kind == "rnn":
        a = from_x + from_h
        return (np.maximum(a, 0.0) if options.get("nonlinearity") == "relu" else np.tanh(a)), c
    if kind == "gru":
        hidden = len(w_hh) // 3
        xr, xz, xn = np.split(from_x, 3, 1)
        hr, hz, hn = np.split(from_h, 3, 1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        if options.get("reset_before"):
            hn = (r * h) @ w_hh[2 * hidden :].T + b_hh[2 * hidden :]
            n = np.tanh(xn + hn)
        else:
            n = np.tanh(xn + r * hn)
        return (1.0 - z) * n + z * h, c
    ai, af, ag, ao = np.split(from_x + from_h, 4, 1)
    peephole = weights.get(f"weight_peephole_{suffix}", np.zeros((3, ai.shape[1])))
    i = sigmoid(ai + peephole[0] * c)
    f = 1.0 - i if options.get("coupled") else sigmoid(af + peephole[1] * c)
    c = f * c + i * np.tanh(ag)
    if options.get("cell_clip"):
        c = np.clip(c, -options["cell_clip"], options["cell_clip"])
    h = sigmoid(ao + peephole[2] * c) * np.tanh(c)
    return (h @ weights[f"weight_hr_{suffix}"].T if f"weight_hr_{suffix}" in weights else h), c


def layers(options, weights, x, h_0, c_0, lengths=None):
    """x [T, B, I], h_0 and c_0 [L*D, B, ...] -> y, h_n, c_n; past a sequence's end y is zero and the state stands still."""
    steps, batch, _ = x.shape
    lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
    directions = {"forward": ("",), "reverse": ("",)}.get(options["direction"], ("", "_reverse"))
    h_n, c_n = np.array(h_0), np.array(c_0)
    for layer in range(options["layers"]):
        outs = []
        for d, ending in enumerate(directions):
            part = layer * len(directions) + d
            backward = options["direction"] == "reverse" or ending
            out = np.zeros((steps, batch, h_n.shape[2]))
            for t in reversed(range(steps)) if backward else range(steps):
                lives = (t < lengths)[:, None]
                h, c = cell(options, weights, f"l{layer}{ending}", x[t], h_n[part], c_n[part])
                h_n[part], c_n[part] = np.where(lives, h, h_n[part]), np.where(lives, c, c_n[part])
                out[t] = np.where(lives, h, 0.0)
            outs.append(out)
        y = outs[0] + outs[1] if options["direction"] == "sum" else np.concatenate(outs, 2)
        if options.get("residual") and layer > 0 and y.shape == x.shape:
            y = y + x
        x = y
    return x, h_n, c_n


def differences(loss, array, at, eps=1e-5):
    """d loss / d array[index] for each index of ``at``, by central differences."""
    found = []
    for index in at:
        kept = array[index]
        array[index] = kept + eps
        above = loss()
        array[index] = kept - eps
        below = loss()
        array[index] = kept
        found.append((above - below) / (2 * eps))
    return np.array(found)
