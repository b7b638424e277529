//! Initial weights: a function of (seed, tensor, element), so that they depend on nothing else.
//!
//! H hidden units, V symbols; s = `--init-scale`. A gate's block of a weight is its H rows.
//!
//! | tensor | pytorch | uniform, s or 0.08 | normal | orthogonal |
//! |---|---|---|---|---|
//! | W_ih | U(1/sqrt(H)) | U(s) | N(s or 1/sqrt(inputs + H)) | U(sqrt(6 / (inputs + H))) |
//! | W_hh | U(1/sqrt(H)) | U(s) | N(s or 1/sqrt(inputs + H)) | each gate's block orthogonal |
//! | b_ih, b_hh | U(1/sqrt(H)) | U(s) | 0 | 0 |
//! | readout's weight | U(1/sqrt(H)) | U(s) | N(s), or U(1/sqrt(H)) | U(sqrt(6 / (H + V))) |
//! | readout's bias | U(1/sqrt(H)) | U(s) | 0, or U(1/sqrt(H)) | 0 |
//! | embedding | N(1) | U(s) | N(s or 1) | N(1) |
//!
//! U(a) is uniform in [-a, a), N(a) normal with standard deviation a. `inputs` are the layer's own: V for one-hot symbols.
//! An embedding that is the readout too (`--tied`) begins as a readout does: logits of N(1) rows would be sqrt(H) apart.
//!
//! Sources: pytorch: torch.nn.LSTM, GRU, RNN, Linear, Embedding; uniform: char-rnn; normal: torch-rnn; orthogonal: Saxe et
//! al. 2014 with Glorot and Bengio 2010, as Keras.
//!
//! `--forget-bias` is added to the LSTM's forget rows of b_ih with pytorch (Jozefowicz et al. 2015); with the others these
//! rows are the forget bias and nothing else, as char-rnn fills them.

use crate::config::{Config, InitKind};
use gatemill_cell::{Cell, Params, ParamsError};
use gatemill_crew::Crew;
use gatemill_kernels::{Purpose, uniform};

/// The stream of the first tensor above the embedding. With it `--seed 1` starts in the middle of what seeds give: over 8
/// such starts the LSTM's third epoch on tiny Shakespeare spread from 1.847 to 1.892 nats, PyTorch's first epochs as widely.
const FIRST_STREAM: u32 = 32;
/// The embedding's, apart from those: with one or without, every other tensor has the same numbers.
const EMBEDDING_STREAM: u32 = FIRST_STREAM - 1;
const EMBEDDING: &str = "embedding.weight";

/// Where the elements of one tensor come from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Law {
    Zero,
    /// U(-a, a)
    Uniform(f64),
    /// N(0, a)
    Normal(f64),
    /// Blocks of `[H, H]` with orthonormal rows.
    Orthogonal,
}

/// Fills the masters. Errors: none where the parameters have the configuration's shape.
pub(crate) fn initialise(config: &Config, params: &mut Params, crew: &Crew) -> Result<(), ParamsError> {
    initialise_part(config, 0, params, crew)
}

/// Streams between two parts of a model that is made of several: more than any of them has tensors.
const PART_STREAMS: u32 = 1 << 16;

/// Fills the masters of part `part` of a model; part 0 has the numbers of a model of one part. A linear map is a readout
/// whose `hidden` are its inputs. Errors: as [`initialise`].
pub(crate) fn initialise_part(config: &Config, part: u32, params: &mut Params, crew: &Crew) -> Result<(), ParamsError> {
    let specs = params.specs().to_vec();
    let base = part * PART_STREAMS;
    let mut streams = base + FIRST_STREAM..;
    for spec in &specs {
        let stream = if spec.name == EMBEDDING { base + EMBEDDING_STREAM } else { streams.next().unwrap_or(u32::MAX) };
        // W_ih and W_hh of a layer are one matrix to `normal`.
        let w_ih = spec.name.replace(".weight_hh_", ".weight_ih_");
        let inputs = specs.iter().find(|s| s.name == w_ih).and_then(|s| s.shape.get(1)).copied().unwrap_or(0);
        let law = law(config, &spec.name, &spec.shape, inputs);
        let mut data = draw(law, (config.seed, stream), spec.len(), config.hidden, crew);
        if Cell::from(config.cell) == Cell::Lstm && spec.name.starts_with("rnn.bias_ih") {
            for b in data.get_mut(config.hidden..2 * config.hidden).unwrap_or_default() {
                match config.init {
                    InitKind::Pytorch => *b += config.forget_bias as f32,
                    _ => *b = config.forget_bias as f32,
                }
            }
        }
        params.set(&spec.name, &data)?;
    }
    Ok(())
}

/// The law of tensor `name` of this shape; `inputs` are its layer's.
fn law(config: &Config, name: &str, shape: &[usize], inputs: usize) -> Law {
    let (bias, embedding) = (shape.len() == 1, name == EMBEDDING && !config.tied);
    let readout = name.starts_with("head.") || name == EMBEDDING && config.tied;
    let hidden = config.hidden as f64;
    let linear = Law::Uniform(1.0 / hidden.sqrt());
    match config.init {
        InitKind::Uniform => Law::Uniform(config.init_scale.unwrap_or(0.08)),
        InitKind::Normal if embedding => Law::Normal(config.init_scale.unwrap_or(1.0)),
        InitKind::Pytorch | InitKind::Orthogonal if embedding => Law::Normal(1.0),
        InitKind::Pytorch => linear,
        InitKind::Normal if readout && config.init_scale.is_none() => linear,
        InitKind::Normal | InitKind::Orthogonal if bias => Law::Zero,
        InitKind::Normal => Law::Normal(config.init_scale.unwrap_or(1.0 / (inputs as f64 + hidden).sqrt())),
        InitKind::Orthogonal if name.starts_with("rnn.weight_hh") => Law::Orthogonal,
        InitKind::Orthogonal => {
            let fan_in = shape.get(1).copied().unwrap_or(0) as f64;
            let fan_out = if readout { shape[0] as f64 } else { hidden };
            Law::Uniform((6.0 / (fan_in + fan_out)).sqrt())
        }
    }
}

/// `len` numbers of this law: element i is a function of (seed, stream, i).
fn draw(law: Law, (seed, stream): (u64, u32), len: usize, hidden: usize, crew: &Crew) -> Vec<f32> {
    let u = |i: usize| uniform(seed, Purpose::Init, stream, i as u64);
    match law {
        Law::Zero => vec![0.0; len],
        Law::Uniform(a) => (0..len).map(|i| ((2.0 * u(i) - 1.0) * a) as f32).collect(),
        Law::Normal(a) => (0..len).map(|i| (gaussian(i, u) * a) as f32).collect(),
        Law::Orthogonal => {
            let (mut data, block) = (vec![0.0; len], hidden * hidden);
            let borders: Vec<usize> = (0..=len / block).map(|gate| gate * block).collect();
            crew.tiles(&mut data, &borders, |gate, out| {
                let mut q: Vec<f64> = (0..block).map(|i| gaussian(gate * block + i, u)).collect();
                orthonormalise(&mut q, hidden);
                out.iter_mut().zip(q).for_each(|(out, q)| *out = q as f32);
            });
            data
        }
    }
}

/// Element i of N(0, 1): Box and Muller 1958; two elements share two uniform numbers.
fn gaussian(i: usize, u: impl Fn(usize) -> f64) -> f64 {
    let first = i - i % 2;
    // 1 - u is in (0, 1]: its logarithm is finite.
    let radius = (-2.0 * libm::log(1.0 - u(first))).sqrt();
    let angle = std::f64::consts::TAU * u(first + 1);
    radius * if i == first { libm::cos(angle) } else { libm::sin(angle) }
}

/// Rows that take a finished row from the cache together.
const ROWS: usize = 8;

/// Orthonormal rows in place of `[n, n]`, by modified Gram-Schmidt: row j loses its part along row 0, then what is left
/// loses its part along row 1, and so on; then it is scaled to length 1.
///
/// That is A = RQ with a positive diagonal of R, so from a Gaussian A comes a Q that favours no direction (Mezzadri 2007):
/// no sign is left to choose. Of 8 rows at a time each meets the finished rows in that same order.
fn orthonormalise(a: &mut [f64], n: usize) {
    for begin in (0..n).step_by(ROWS) {
        let (done, rest) = a.split_at_mut(begin * n);
        let rows = &mut rest[..ROWS.min(n - begin) * n];
        for q in done.chunks_exact(n) {
            for row in rows.chunks_exact_mut(n) {
                remove(row, q);
            }
        }
        for j in 0..rows.len() / n {
            let (before, row) = rows.split_at_mut(j * n);
            let row = &mut row[..n];
            for q in before.chunks_exact(n) {
                remove(row, q);
            }
            let length = dot(row, row).sqrt();
            row.iter_mut().for_each(|x| *x /= length);
        }
    }
}

/// `row -= <row, q> q`.
fn remove(row: &mut [f64], q: &[f64]) {
    let along = dot(row, q);
    row.iter_mut().zip(q).for_each(|(x, q)| *x -= along * q);
}

/// A dot product in eight running sums, added in order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (a, b)| sum + a * b);
    sums.iter().fold(rest, |sum, s| sum + s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CellKind;
    use crate::model::layout;
    use gatemill_kernels::Kernels;
    use std::collections::HashMap;
    use std::sync::Arc;

    const V: usize = 37;

    fn tensors(config: &Config) -> HashMap<String, Vec<f32>> {
        let mut params = Params::zeroed(Arc::new(layout(config, V))).unwrap();
        initialise(config, &mut params, &Crew::new(2).unwrap()).unwrap();
        params.specs().iter().map(|spec| (spec.name.clone(), params.get(spec))).collect()
    }

    fn config(init: InitKind, init_scale: Option<f64>) -> Config {
        Config { init, init_scale, layers: 2, hidden: 96, ..Config::default() }
    }

    /// Mean, standard deviation, largest size.
    fn statistics(data: &[f32]) -> (f64, f64, f64) {
        let n = data.len() as f64;
        let mean = data.iter().fold(0.0, |sum, &x| sum + f64::from(x)) / n;
        let variance = data.iter().fold(0.0, |sum, &x| sum + (f64::from(x) - mean) * (f64::from(x) - mean)) / n;
        (mean, variance.sqrt(), data.iter().fold(0.0, |max, &x| max.max(f64::from(x).abs())))
    }

    /// Holds data to a law, by five standard errors.
    fn hold(name: &str, data: &[f32], law: Law) {
        let (mean, deviation, largest) = statistics(data);
        let n = data.len() as f64;
        let (want, share) = match law {
            Law::Zero => return assert_eq!(largest, 0.0, "{name}"),
            Law::Uniform(a) => {
                assert!(largest <= a && largest > a * (1.0 - 12.0 / n), "{name}: {largest} of U({a})");
                (a / 3.0_f64.sqrt(), 0.45)
            }
            Law::Normal(a) => {
                // Of n normal numbers the largest is near sqrt(2 ln n); of uniform ones it would be sqrt(3).
                assert!(largest > 2.2 * a && largest < 6.0 * a, "{name}: {largest} of N({a})");
                (a, 0.71)
            }
            Law::Orthogonal => unreachable!("{name}"),
        };
        assert!(mean.abs() < 5.0 * want / n.sqrt(), "{name}: mean {mean} of {law:?}");
        assert!((deviation / want - 1.0).abs() < 5.0 * share / n.sqrt(), "{name}: deviation {deviation} of {law:?}");
    }

    /// Without the forget rows of an LSTM's b_ih, which are held by themselves.
    fn hold_all(config: &Config, law_of: impl Fn(&str) -> Law) {
        for (name, mut data) in tensors(config) {
            if name.starts_with("rnn.bias_ih") {
                data.drain(96..192);
            }
            hold(&name, &data, law_of(&name));
        }
    }

    #[test]
    fn pytorchs_start_is_uniform_in_every_tensor() {
        hold_all(&config(InitKind::Pytorch, None), |_| Law::Uniform(1.0 / 96.0_f64.sqrt()));
    }

    #[test]
    fn the_uniform_start_has_its_scale_or_char_rnns() {
        hold_all(&config(InitKind::Uniform, None), |_| Law::Uniform(0.08));
        hold_all(&config(InitKind::Uniform, Some(0.3)), |_| Law::Uniform(0.3));
    }

    #[test]
    fn the_normal_start_is_torch_rnns_or_has_its_scale() {
        hold_all(&config(InitKind::Normal, None), |name| match name {
            "rnn.weight_ih_l0" | "rnn.weight_hh_l0" => Law::Normal(1.0 / (V as f64 + 96.0).sqrt()),
            "rnn.weight_ih_l1" | "rnn.weight_hh_l1" => Law::Normal(1.0 / 192.0_f64.sqrt()),
            name if name.starts_with("head.") => Law::Uniform(1.0 / 96.0_f64.sqrt()),
            _ => Law::Zero,
        });
        hold_all(&config(InitKind::Normal, Some(0.2)), |name| {
            if name.contains("bias") { Law::Zero } else { Law::Normal(0.2) }
        });
    }

    #[test]
    fn the_orthogonal_start_is_glorots_but_for_w_hh() {
        let c = config(InitKind::Orthogonal, None);
        for (name, mut data) in tensors(&c) {
            let glorot = |fans: usize| Law::Uniform((6.0 / fans as f64).sqrt());
            match name.as_str() {
                "rnn.weight_ih_l0" => hold(&name, &data, glorot(V + 96)),
                "rnn.weight_ih_l1" => hold(&name, &data, glorot(192)),
                "head.weight" => hold(&name, &data, glorot(V + 96)),
                // Orthonormal rows have mean squares of 1/H.
                "rnn.weight_hh_l0" | "rnn.weight_hh_l1" => {
                    assert!((statistics(&data).1 * 96.0_f64.sqrt() - 1.0).abs() < 1e-3, "{name}");
                }
                _ => {
                    if name.starts_with("rnn.bias_ih") {
                        data.drain(96..192);
                    }
                    hold(&name, &data, Law::Zero);
                }
            }
        }
    }

    #[test]
    fn every_gates_block_is_orthogonal() {
        for (cell, gates) in [(CellKind::Rnn, 1), (CellKind::Lstm, 4), (CellKind::Gru, 3)] {
            for hidden in [1, 2, 7, 8, 9, 33, 96] {
                let c = Config { cell, hidden, layers: 1, ..config(InitKind::Orthogonal, None) };
                let w = &tensors(&c)["rnn.weight_hh_l0"];
                assert_eq!(w.len(), gates * hidden * hidden);
                let blocks: Vec<&[f32]> = w.chunks(hidden * hidden).collect();
                for (gate, block) in blocks.iter().enumerate() {
                    for (i, a) in block.chunks(hidden).enumerate() {
                        for (j, b) in block.chunks(hidden).enumerate() {
                            let dot = a.iter().zip(b).fold(0.0, |sum, (&a, &b)| sum + f64::from(a) * f64::from(b));
                            let want = f64::from(u8::from(i == j));
                            assert!((dot - want).abs() < 1e-6, "{cell:?} {hidden} gate {gate}: <{i}, {j}> = {dot}");
                        }
                    }
                    let others = blocks[..gate].iter().filter(|other| *other == block).count();
                    assert!(hidden < 7 || others == 0, "two gates are the same");
                }
            }
        }
    }

    /// No direction is favoured: over seeds every element of Q is as often positive as negative.
    #[test]
    fn orthogonal_blocks_have_no_sign() {
        let crew = Crew::new(1).unwrap();
        let mut positive = [0; 9];
        for seed in 0..400 {
            let q = draw(Law::Orthogonal, (seed, 40), 9, 3, &crew);
            positive.iter_mut().zip(&q).for_each(|(n, &q)| *n += i32::from(q > 0.0));
        }
        assert!(positive.iter().all(|n| (n - 200).abs() < 50), "{positive:?}");
    }

    /// Near-parallel rows, which Gram-Schmidt's unmodified form would not survive.
    #[test]
    fn nearly_parallel_rows_become_orthogonal() {
        let n = 12;
        let mut a: Vec<f64> = (0..n * n).map(|i| 1.0 + if i % n == i / n { 1e-6 } else { 0.0 }).collect();
        orthonormalise(&mut a, n);
        for i in 0..n {
            for j in 0..=i {
                let (p, q) = (&a[i * n..][..n], &a[j * n..][..n]);
                assert!((dot(p, q) - f64::from(u8::from(i == j))).abs() < 1e-8, "<{i}, {j}>");
            }
        }
    }

    #[test]
    fn the_forget_bias_is_added_or_is_all_there_is() {
        for init in [InitKind::Pytorch, InitKind::Uniform, InitKind::Normal, InitKind::Orthogonal] {
            let with = tensors(&Config { forget_bias: 1.5, ..config(init, None) });
            let without = tensors(&Config { forget_bias: 0.0, ..config(init, None) });
            for (name, with) in &with {
                for (i, (a, b)) in with.iter().zip(&without[name]).enumerate() {
                    let forget = name.starts_with("rnn.bias_ih") && (96..192).contains(&i);
                    let want = if !forget {
                        *b
                    } else if init == InitKind::Pytorch {
                        b + 1.5
                    } else {
                        1.5
                    };
                    assert_eq!(*a, want, "{init:?} {name}[{i}]");
                }
            }
            // A GRU and an RNN forget nothing.
            for cell in [CellKind::Gru, CellKind::Rnn] {
                let c = Config { cell, forget_bias: 1.5, ..config(init, None) };
                assert_eq!(tensors(&c), tensors(&Config { forget_bias: 0.0, ..c }), "{init:?} {cell:?}");
            }
        }
    }

    /// Another batch, seq, optimiser, tier or number of threads: the same start. Another seed or tensor: another one.
    #[test]
    fn weights_depend_on_seed_tensor_and_element_alone() {
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        for init in [InitKind::Pytorch, InitKind::Uniform, InitKind::Normal, InitKind::Orthogonal] {
            let c = Config { hidden: 24, ..config(init, None) };
            let base = tensors(&c);
            let other = Config { batch: 3, seq: 5, lr: 1.0, dropout: 0.5, shards: 2, ..c.clone() };
            let mut params = Params::zeroed(Arc::new(layout(&other, V))).unwrap();
            for threads in [1, 3] {
                initialise(&other, &mut params, &Crew::new(threads).unwrap()).unwrap();
                for kernels in Kernels::available() {
                    params.derive(&Crew::new(threads).unwrap(), &kernels);
                }
                for spec in params.specs() {
                    assert!(same(&params.get(spec), &base[&spec.name]), "{init:?} {}", spec.name);
                }
            }
            // A layer on top leaves those below as they are.
            let deeper = tensors(&Config { layers: 3, ..c.clone() });
            let seed = tensors(&Config { seed: 2, ..c.clone() });
            for (name, data) in base.iter().filter(|(name, _)| name.contains("rnn.weight")) {
                assert!(same(data, &deeper[name]), "{init:?} {name}");
                assert!(data.iter().zip(&seed[name]).all(|(a, b)| a != b), "{init:?} {name}: the seed does not show");
            }
            assert!(!same(&base["rnn.weight_hh_l0"], &base["rnn.weight_hh_l1"]), "{init:?}");
        }
    }

    /// The embedding's law, by name and shape; its stream is no other tensor's.
    #[test]
    fn an_embedding_has_laws_of_its_own() {
        let shape = [V, 24];
        let law_of = |init, scale, tied| law(&Config { tied, ..config(init, scale) }, EMBEDDING, &shape, 0);
        for (init, scale, want) in [
            (InitKind::Pytorch, None, Law::Normal(1.0)),
            (InitKind::Uniform, None, Law::Uniform(0.08)),
            (InitKind::Uniform, Some(0.5), Law::Uniform(0.5)),
            (InitKind::Normal, None, Law::Normal(1.0)),
            (InitKind::Normal, Some(0.5), Law::Normal(0.5)),
            (InitKind::Orthogonal, None, Law::Normal(1.0)),
        ] {
            assert_eq!(law_of(init, scale, false), want, "{init:?}");
            let readout = law(&config(init, scale), "head.weight", &shape, 0);
            assert_eq!(law_of(init, scale, true), readout, "{init:?}: tied");
        }
        let data = draw(Law::Normal(1.0), (1, EMBEDDING_STREAM), V * 24, 96, &Crew::new(1).unwrap());
        hold(EMBEDDING, &data, Law::Normal(1.0));
    }

    #[test]
    fn gaussian_numbers_are_normal() {
        let crew = Crew::new(1).unwrap();
        let data = draw(Law::Normal(1.0), (7, 50), 100_001, 1, &crew);
        hold("N(1)", &data[..100_000], Law::Normal(1.0));
        // Shares within 1, 2 and 3 standard deviations.
        for (bound, want) in [(1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)] {
            let share = data.iter().filter(|x| x.abs() < bound).count() as f64 / 100_001.0;
            assert!((share - want).abs() < 0.008, "{share} within {bound}");
        }
        // Neighbours, which share their uniform numbers, are not correlated, nor are their squares.
        let pairs = data.chunks_exact(2).map(|p| (f64::from(p[0]), f64::from(p[1])));
        let (mut products, mut squares) = (0.0, 0.0);
        for (a, b) in pairs {
            products += a * b;
            squares += (a * a - 1.0) * (b * b - 1.0);
        }
        assert!((products / 50_000.0_f64).abs() < 0.025 && (squares / 50_000.0_f64).abs() < 0.05);
        // An odd length ends in the middle of a pair.
        assert_eq!(draw(Law::Normal(1.0), (7, 50), 3, 1, &crew), data[..3]);
    }
}
