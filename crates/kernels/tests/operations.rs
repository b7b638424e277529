//! Operations on a workspace, one at a time: derived weights, weight gradients and the readout against plain loops; what
//! they leave alone; softmax at the ends of its range (N06).

mod place;

use gatemill_kernels::{
    Arrays, BufId, Cell, Columns, Input, Isa, Kernels, LANES, LayerShape, Layout, Op, Order, Panels, Part, Pass,
    ReadoutOp, Space, Sums, Tokens, WeightTile, Weights, Workspace,
};
use gatemill_oracle::SplitMix64;
use gatemill_oracle::loss::{log_softmax, softmax};
use place::{Guarded, reals, tiers};

const CANARY: f32 = 4321.0;

/// `W_ih[s] + (b_ih + b_hh)` of every symbol, unit and gate, and the biases alone for a symbol never seen.
#[test]
fn start_rows_are_weights_and_biases() {
    for kernels in tiers() {
        for (cell, hidden, symbols) in [
            (Cell::Rnn, 1, true),
            (Cell::Rnn, 77, true),
            (Cell::Rnn, 150, false),
            (Cell::Lstm, 16, true),
            (Cell::Lstm, 37, false),
            (Cell::Gru, 5, true),
            (Cell::Gru, 37, true),
            (Cell::Gru, 33, false),
        ] {
            let input = if symbols { Input::Symbols(11) } else { Input::Dense(11) };
            let layout = Layout::new(&[LayerShape::new(cell, input, hidden)], None);
            let l = &layout.layers()[0];
            let params = reals(layout.params(), 1.0, &mut SplitMix64::new(hidden as u64));
            let (panels, slots) = (l.shape.panels(), l.shape.slots());
            let bias = |h: bool, gate: usize, unit: usize| {
                params[l.bias.start + panels.at(2, usize::from(h), l.shape.column(h, gate, unit))]
            };
            for p in 0..slots.count() {
                let width = slots.width(p) * LANES;
                let mut out = Guarded::ending(width * l.shape.start_rows());
                out.fill(CANARY);
                // All rows at once, or in two pieces.
                let (a, b) = out.split_at_mut(width * (p % 2) * (l.shape.start_rows() / 2));
                kernels.start_rows(l, &params, None, (p, 0), a);
                kernels.start_rows(l, &params, None, (p, a.len() / width), b);
                assert!(out.iter().all(|&x| x != CANARY), "{cell:?}: an element was left out");
                for s in 0..l.shape.start_rows() {
                    for unit in 0..hidden {
                        for gate in 0..cell.gates() {
                            let column = l.shape.column(false, gate, unit);
                            // A GRU's slots are its three x gates and n_h.
                            let (vector, rest) = (column / LANES, column % LANES);
                            let vector = if cell == Cell::Gru { vector / 3 * 4 + vector % 3 } else { vector };
                            if vector < slots.first(p) || vector >= slots.first(p) + slots.width(p) {
                                continue;
                            }
                            let found = out[s * width + (vector - slots.first(p)) * LANES + rest];
                            let both = if (cell, gate) == (Cell::Gru, 2) {
                                bias(false, gate, unit)
                            } else {
                                bias(false, gate, unit) + bias(true, gate, unit)
                            };
                            let seen = symbols && s + 1 < l.shape.start_rows();
                            let want = if seen {
                                params[l.w_ih.start + panels.at(l.shape.k_x(), s, column)] + both
                            } else {
                                both
                            };
                            assert_eq!(found, want, "{cell:?} H {hidden} row {s} gate {gate} unit {unit}");
                            if (cell, gate) == (Cell::Gru, 2) {
                                let n_h = out[s * width + 3 * LANES + unit % LANES];
                                assert_eq!(n_h, bias(true, 2, unit), "b_hn of unit {unit}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn transposed_panels_are_the_matrix_the_other_way_round() {
    for kernels in tiers() {
        for (vectors, per_panel, k) in [(4, 4, 4), (12, 4, 40), (6, 3, 36), (5, 3, 20), (1, 1, 1), (9, 3, 130_usize)] {
            let (from, to) = (Panels::fixed(vectors, per_panel), Panels::even(k.div_ceil(LANES)));
            let data = reals(from.floats(k), 1.0, &mut SplitMix64::new(k as u64));
            for q in 0..to.count() {
                for first in (0..vectors * LANES).step_by(3 * LANES) {
                    let (width, rows) = (to.width(q) * LANES, (vectors * LANES - first).min(3 * LANES));
                    let mut out = Guarded::ending(rows * width);
                    out.fill(CANARY);
                    kernels.transpose(&data, from, k, (to, q), first, &mut out);
                    for c in 0..rows {
                        for i in 0..width {
                            let row = to.first(q) * LANES + i;
                            let want = if row < k { data[from.at(k, row, first + c)] } else { 0.0 };
                            assert_eq!(out[c * width + i], want, "column {} row {row}", first + c);
                        }
                    }
                }
            }
        }
    }
}

/// A workspace with random rows of a, and random d rows in panels and in plain rows.
struct Field {
    ws: Workspace,
    a: BufId,
    panels: Panels,
    panelled: BufId,
    plain: BufId,
    ids: Vec<u32>,
}

const A: usize = 21;
const V: usize = 5;

fn field(steps: usize, lanes: usize) -> Field {
    let mut tokens = Tokens::rectangular(steps, lanes);
    tokens.reset(steps / 2, lanes - 1);
    let panels = Panels::even(7);
    let mut ws = Workspace::new(tokens);
    let random = &mut SplitMix64::new((steps * lanes) as u64);
    let mut add = |space, columns| {
        let id = ws.add(space, columns).unwrap();
        let values = reals(ws.buf(id).len(), 1.0, random);
        ws.buf_mut(id).copy_from_slice(&values);
        id
    };
    let a = add(Space::Rows, Columns::RowMajor(A));
    let panelled = add(Space::Tokens, Columns::Panels(panels));
    let plain = add(Space::Tokens, Columns::RowMajor(70));
    let ids = random.ids(steps * lanes, V + 1).into_iter().map(|id| id as u32).collect();
    Field { ws, a, panels, panelled, plain, ids }
}

impl Field {
    /// d of `token`, column `c` of the tile.
    fn d(&self, tile: &WeightTile, token: usize, c: usize) -> f32 {
        let vector =
            if tile.d == self.panelled { self.panels.first(tile.panel) } else { 0 } + tile.first_vector + c / LANES;
        self.ws.vector(tile.d, vector, token)[c % LANES]
    }
    fn tiles(&self) -> Vec<WeightTile> {
        let mut all = Vec::new();
        for panel in 0..self.panels.count() {
            for first_vector in 0..self.panels.width(panel) {
                for vectors in 1..=self.panels.width(panel) - first_vector {
                    all.push(WeightTile { d: self.panelled, panel, panels: 1, first_vector, vectors });
                }
            }
        }
        all.extend((1..=4).map(|vectors| WeightTile {
            d: self.plain,
            panel: 0,
            panels: 1,
            first_vector: 4 - vectors,
            vectors,
        }));
        all
    }
}

/// One order for every sum: tokens of the part ascending, fused; the portable tier as close as its blocks allow.
fn close(kernels: &Kernels, found: f32, want: f32) -> bool {
    if kernels.isa() == Isa::Portable { (found - want).abs() < 1e-4 } else { found.to_bits() == want.to_bits() }
}

#[test]
fn weight_gradients_are_sums_over_tokens_in_order() {
    for kernels in tiers() {
        for (steps, lanes) in [(1, 1), (3, 2), (5, 4), (41, 7)] {
            let f = field(steps, lanes);
            let parts = [0..lanes, 0..lanes.div_ceil(2), lanes / 2..lanes];
            for (i, tile) in f.tiles().into_iter().enumerate() {
                let part = Part { steps: steps - i % 2 * (steps / 2), lanes: parts[i % 3].clone() };
                let tokens: Vec<usize> =
                    (0..part.steps).flat_map(|t| part.lanes.clone().map(move |lane| t * lanes + lane)).collect();
                let width = tile.vectors * LANES;
                for (column, rows, previous) in [(0, 21, true), (3, 1, false), (2, 17, true), (4, 8, false)] {
                    let mut out = Guarded::ending(rows * width + 1);
                    out.fill(CANARY);
                    let (canary, out) = out.split_first_mut().unwrap();
                    kernels.weight_grad(
                        &f.ws,
                        &tile,
                        (f.a, column, previous.then_some(Order::Ascending)),
                        &part,
                        out,
                        Sums::default(),
                    );
                    assert_eq!(*canary, CANARY);
                    for r in 0..rows {
                        for c in 0..width {
                            let a_row = |n: usize| {
                                if previous {
                                    f.ws.tokens().prev_rows(Order::Ascending)[n] as usize
                                } else {
                                    f.ws.tokens().row(n)
                                }
                            };
                            let a = |n: usize| f.ws.row(f.a, a_row(n), A)[column + r];
                            let want = tokens.iter().fold(0.0_f32, |sum, &n| a(n).mul_add(f.d(&tile, n, c), sum));
                            let found = out[r * width + c];
                            assert!(
                                close(&kernels, found, want),
                                "{kernels:?} {tile:?} {part:?} [{r}][{c}]: {found} {want}"
                            );
                        }
                    }
                }
                let canaries = || std::iter::repeat(CANARY);
                let mut symbols = Guarded::ending(V * width).with(canaries());
                let mut along = Guarded::ending(V * width).with(canaries());
                let mut bias = Guarded::starting(2 * width, 0).with(canaries());
                kernels.symbol_grad(&f.ws, &tile, &f.ids, &part, &mut symbols);
                let vectors = tile.first_vector..tile.first_vector + tile.vectors;
                let sums =
                    Sums { symbols: Some((vectors.clone(), &f.ids, &mut along)), all: Some((vectors, &mut bias)) };
                kernels.weight_grad(&f.ws, &tile, (f.a, 0, None), &part, &mut vec![0.0; width], sums);
                assert_eq!(along[..], symbols[..], "{kernels:?} symbols taken along {tile:?} {part:?}");
                assert_eq!(bias[width..], vec![0.0; width], "{kernels:?} behind the sums {tile:?}");
                for c in 0..width {
                    let sum = |of: &dyn Fn(usize) -> bool| {
                        tokens.iter().filter(|&&n| of(n)).fold(0.0_f32, |sum, &n| sum + f.d(&tile, n, c))
                    };
                    assert_eq!(bias[c], sum(&|_| true), "{kernels:?} bias {tile:?} {part:?}");
                    for s in 0..V {
                        assert_eq!(
                            symbols[s * width + c],
                            sum(&|n| f.ids[n] as usize == s),
                            "{kernels:?} symbol {s} {tile:?}"
                        );
                    }
                }
            }
        }
    }
}

/// A readout over T = 3 steps of B lanes, its logits given by the bias alone.
struct ReadoutOf {
    layout: Layout,
    ws: Workspace,
    op: ReadoutOp,
}

const STEPS: usize = 3;

fn readout(vocab: usize, lanes: usize) -> ReadoutOf {
    let layout = Layout::new(&[LayerShape::new(Cell::Rnn, Input::Symbols(3), 5)], Some(vocab));
    let mut ws = Workspace::new(Tokens::rectangular(STEPS, lanes));
    let h = ws.add(Space::Rows, Columns::RowMajor(5)).unwrap();
    let logits = ws.add(Space::Tokens, Columns::RowMajor(vocab)).unwrap();
    let nats = ws.add(Space::Tokens, Columns::Scalar).unwrap();
    ReadoutOf { layout, ws, op: ReadoutOp { t: 1, h, logits, nats } }
}

impl ReadoutOf {
    /// Nats and d_logits of each lane at step 1, for these logits; everything else must stay as it was.
    fn run(&mut self, kernels: Kernels, logits: &[f32], targets: &[u32], scale: f32) -> Vec<(f32, Vec<f32>)> {
        let Self { layout, ws, op } = self;
        let head = layout.head().unwrap().clone();
        let mut params = vec![0.0; layout.params()];
        params[head.b.start..head.b.start + head.vocab].copy_from_slice(logits);
        let (start, transposed) = (vec![0.0; layout.start()], vec![0.0; layout.transposed()]);
        ws.buf_mut(op.logits).fill(CANARY);
        ws.buf_mut(op.nats).fill(CANARY);
        let lanes = ws.tokens().lanes();
        let all: Vec<u32> = targets.iter().cycle().take(STEPS * lanes).copied().collect();
        let weights = Weights::new(layout, &params, &start, &transposed);
        let pass = Pass {
            weights,
            ids: &[],
            targets: &all,
            scale,
            dropout: None,
            output_dropout: None,
            arrays: Arrays::default(),
        };
        kernels.run(&Op::Readout(*op), &pass, &mut ws.share());
        let stride = ws.buf(op.logits).len() / (STEPS * lanes);
        let padded = head.vocab.next_multiple_of(LANES);
        for n in 0..STEPS * lanes {
            let row = ws.row(op.logits, n, stride);
            let at_work = n / lanes == 1;
            assert!(at_work || row.iter().all(|&x| x == CANARY), "token {n} is of another step");
            assert!(row[padded..].iter().all(|&x| x == CANARY), "token {n}: beyond the padded vocabulary");
            // Where the loss is a number; where it is not, the step is given up before anything reads the padding.
            let defined = at_work && ws.row(op.nats, n, 1)[0].is_finite();
            let padding = &row[head.vocab..padded];
            assert!(!defined || padding.iter().all(|&x| x == 0.0), "token {n}: padding is {padding:?}");
            assert!(at_work != (ws.row(op.nats, n, 1)[0] == CANARY));
        }
        (lanes..2 * lanes).map(|n| (ws.row(op.nats, n, 1)[0], ws.row(op.logits, n, head.vocab).to_vec())).collect()
    }
}

#[test]
fn softmax_and_loss_at_every_size() {
    for kernels in tiers() {
        let mut worst: f64 = 0.0;
        for vocab in (1..=70).chain([127, 128, 129, 300]) {
            let lanes = 1 + vocab % 7;
            let mut readout = readout(vocab, lanes);
            let random = &mut SplitMix64::new(vocab as u64);
            let logits: Vec<f32> = random.symmetric(vocab, 12.0).into_iter().map(|x| x as f32).collect();
            let wide = gatemill_oracle::widen(&logits);
            let (p, ln_p) = (softmax(&wide), log_softmax(&wide));
            let targets: Vec<u32> = (0..lanes).map(|_| random.below(vocab + 1) as u32).collect();
            for (lane, (nats, d_logits)) in readout.run(kernels, &logits, &targets, 0.25).into_iter().enumerate() {
                let target = targets[lane] as usize;
                let want = if target < vocab { -ln_p[target] } else { 0.0 };
                worst = worst.max((f64::from(nats) - want).abs() / want.abs().max(1.0));
                for v in 0..vocab {
                    let hit = if v == target { 1.0 } else { 0.0 };
                    let want = if target < vocab { (p[v] - hit) * 0.25 } else { 0.0 };
                    worst = worst.max((f64::from(d_logits[v]) - want).abs() / 0.25);
                }
            }
        }
        println!("{kernels:?}: loss and gradient within {worst:.2e}");
        assert!(worst > 0.0 && worst < 1e-6, "{kernels:?}: {worst}");
    }
}

#[test]
fn fault_n06_extreme_logits() {
    for kernels in tiers() {
        for vocab in [2, 16, 17, 65] {
            let lanes = 2;
            let mut readout = readout(vocab, lanes);
            let mut of = |logits: &[f32]| readout.run(kernels, logits, &[0, 1], 0.5);
            let ln_v = libm::log(vocab as f64) as f32;
            // All equal, however large: ln V, and the same share for each.
            for level in [0.0, 1e38, -1e38, f32::MAX, f32::MIN, 1e-40] {
                for (lane, (nats, d)) in of(&vec![level; vocab]).into_iter().enumerate() {
                    assert!((nats - ln_v).abs() < 1e-6 * ln_v.max(1.0), "{kernels:?} all {level:e}: {nats}");
                    for (v, d) in d.into_iter().enumerate() {
                        let want = (1.0 / vocab as f32 - if v == lane { 1.0 } else { 0.0 }) * 0.5;
                        assert!((d - want).abs() < 1e-7, "{kernels:?} all {level:e}: d[{v}] {d}");
                    }
                }
            }
            // One far above the rest: certain, and certainly wrong.
            for (top, rest) in [(1e38, -1e38), (f32::MAX, 0.0), (200.0, 0.0), (0.0, f32::NEG_INFINITY)] {
                let mut logits = vec![rest; vocab];
                logits[0] = top;
                let [(right, d_right), (wrong, d_wrong)] = of(&logits).try_into().unwrap();
                assert!(right == 0.0 && d_right.iter().all(|&d| d == 0.0), "{kernels:?} {top:e}: {right} {d_right:?}");
                assert!(f64::from(wrong) == f64::from(top) - f64::from(rest), "{kernels:?} {top:e} {rest:e}: {wrong}");
                assert!(d_wrong[0] == 0.5 && d_wrong[1] == -0.5 && d_wrong[2..].iter().all(|&d| d == 0.0));
            }
            // Nothing that a softmax is defined for: the loss says so, and is not a plausible number.
            let mut poisoned = vec![0.5; vocab];
            poisoned[vocab - 1] = f32::NAN;
            for logits in [vec![f32::NEG_INFINITY; vocab], vec![f32::INFINITY; vocab], vec![f32::NAN; vocab], poisoned]
            {
                for (nats, _) in of(&logits) {
                    assert!(
                        !nats.is_finite(),
                        "{kernels:?}: {nats} nats of logits {:e} ... {:e}",
                        logits[0],
                        logits[vocab - 1]
                    );
                }
            }
        }
    }
}

/// One class: loss and gradient are nothing, without a division by nothing.
#[test]
fn fault_c02_one_distinct_symbol() {
    for kernels in tiers() {
        for (nats, d) in readout(1, 3).run(kernels, &[3.25], &[0], 1.0) {
            assert_eq!((nats, d), (0.0, vec![0.0]), "{kernels:?}");
        }
    }
}

#[test]
fn a_transposed_panel_has_rows_for_columns() {
    let mut random = SplitMix64::new(17);
    for kernels in tiers() {
        // Rows below, at and above one square of 16, and no multiple of it.
        for k in [4_usize, 16, 20, 48, 76] {
            let (panels, to) = (Panels::fixed(9, 3), Panels::even(k.div_ceil(16)));
            let from = reals(panels.floats(k), 1.0, &mut random);
            for q in 0..to.count() {
                let width = to.width(q) * LANES;
                for first in [0, 16, 64] {
                    let mut out = vec![CANARY; 2 * LANES * width];
                    kernels.transpose(&from, panels, k, (to, q), first, &mut out);
                    for (c, row) in out.chunks_exact(width).enumerate() {
                        for (i, &found) in row.iter().enumerate() {
                            let input = to.first(q) * LANES + i;
                            let want = if input < k { from[panels.at(k, input, first + c)] } else { 0.0 };
                            assert_eq!(
                                found,
                                want,
                                "{kernels:?}, k {k}, panel {q}, column {}, input {input}",
                                first + c
                            );
                        }
                    }
                }
            }
        }
    }
}
