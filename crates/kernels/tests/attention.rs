//! Attention of a lane against plain loops: every tail, every tier; equal bits on both FMA tiers; what is around it stays.

mod place;

use gatemill_kernels::{Kernels, LANES, Memory, MemoryGrad};
use gatemill_oracle::attention::{attend, attend_backward};
use gatemill_oracle::compare::worst_by_rms;
use gatemill_oracle::{SplitMix64, widen};
use place::{Guarded, reals, tiers};

/// Rows of `width` numbers as whole vectors.
fn padded(rows: &[f64], width: usize) -> Vec<f32> {
    let row = |row: &[f64]| {
        let mut row: Vec<f32> = row.iter().map(|&x| x as f32).collect();
        row.resize(width.next_multiple_of(LANES), 0.0);
        row
    };
    rows.chunks_exact(width).flat_map(row).collect()
}

/// And back; the padding is zero.
fn unpadded(rows: &[f32], width: usize) -> Vec<f64> {
    let row = |row: &[f32]| {
        assert!(row[width..].iter().all(|&x| x == 0.0), "padding is zero");
        widen(&row[..width])
    };
    rows.chunks_exact(width.next_multiple_of(LANES)).flat_map(row).collect()
}

/// A copy before a page that traps.
fn guarded(x: &[f32]) -> Guarded {
    Guarded::ending(x.len()).with(x.iter().copied())
}

struct Found {
    weights: Guarded,
    context: Guarded,
    grads: [Guarded; 3],
}

fn run(kernels: Kernels, m: &Memory<'_>, d_context: &[f32]) -> Found {
    let floats = m.queries * m.rows.next_multiple_of(LANES);
    let sevens = |len| Guarded::ending(len).with(std::iter::repeat_n(7.0, len));
    let (mut weights, mut context, mut room) = (sevens(floats), sevens(d_context.len()), sevens(floats));
    kernels.attend(m, &mut weights, &mut context);
    let (mut d_q, mut d_keys, mut d_values) = (sevens(m.q.len()), sevens(m.keys.len()), sevens(m.values.len()));
    let mut out = MemoryGrad { d_q: &mut d_q, d_keys: &mut d_keys, d_values: &mut d_values, room: &mut room };
    kernels.attend_grad(m, &weights, d_context, &mut out);
    Found { weights, context, grads: [d_q, d_keys, d_values] }
}

#[test]
fn attention_agrees_with_plain_loops() {
    let mut worst: f64 = 0.0;
    for (k, &(queries, rows, hidden, width)) in [
        (1, 1, 1, 2),
        (3, 2, 5, 7),
        (2, 15, 16, 33),
        (5, 16, 17, 31),
        (4, 17, 64, 48),
        (7, 33, 65, 130),
        (1, 70, 129, 15),
        (40, 3, 80, 16),
    ]
    .iter()
    .enumerate()
    {
        let random = &mut SplitMix64::new(k as u64);
        let scale = 2.0 / (hidden as f64).sqrt();
        let (q, keys) = (random.symmetric(queries * hidden, scale), random.symmetric(rows * hidden, 1.0));
        let (values, d) = (random.symmetric(rows * width, 1.0), random.symmetric(queries * width, 1.0));
        let (q_, keys_, values_, d_) =
            (padded(&q, hidden), padded(&keys, hidden), padded(&values, width), padded(&d, width));
        let [q_, keys_, values_, d_] = [q_, keys_, values_, d_].map(|x| guarded(&x));
        let m = Memory { queries, rows, q: &q_, keys: &keys_, values: &values_ };
        let want = attend(&q, &keys, &values, rows);
        let grads = attend_backward(&q, &keys, &values, rows, &d);
        let mut bits: Option<Vec<u32>> = None;
        for kernels in tiers() {
            let found = run(kernels, &m, &d_);
            let named = [
                ("weights", unpadded(&found.weights, rows), &want.weights),
                ("context", unpadded(&found.context, width), &want.context),
                ("d_q", unpadded(&found.grads[0], hidden), &grads.d_q),
                ("d_keys", unpadded(&found.grads[1], hidden), &grads.d_keys),
                ("d_values", unpadded(&found.grads[2], width), &grads.d_values),
            ];
            for (name, found, want) in named {
                if rows == 1 && matches!(name, "d_q" | "d_keys") {
                    assert!(found.iter().all(|d| d.abs() < 1e-6), "{name}: a single row is looked at in any case");
                    continue;
                }
                let error = worst_by_rms(&found, want).error;
                assert!(error < 3e-6, "{name} of {queries} x {rows}, {hidden}, {width} on {}: {error}", kernels.name());
                worst = worst.max(error);
            }
            if kernels.name() != "portable" {
                let all = [&found.weights, &found.context, &found.grads[0], &found.grads[1], &found.grads[2]];
                let all: Vec<u32> = all.into_iter().flat_map(|x| x.iter()).map(|x| x.to_bits()).collect();
                assert_eq!(*bits.get_or_insert(all.clone()), all, "{}", kernels.name());
            }
        }
    }
    assert!(worst > 1e-8, "{worst}: nothing was compared");
}

/// Scores at which `exp` alone would overflow; a row that outweighs all others; a score that is no number.
#[test]
fn scores_of_any_size_are_weights() {
    for kernels in tiers() {
        let mut q = vec![0.0; 16];
        q[0] = 1e3;
        let mut keys = vec![0.0; 3 * 16];
        (keys[0], keys[16], keys[32]) = (1.0, -1.0, 0.5);
        let values = reals(48, 3.0, &mut SplitMix64::new(1));
        let m = Memory { queries: 1, rows: 3, q: &q, keys: &keys, values: &values };
        let found = run(kernels, &m, &[1.0; 16]);
        assert_eq!(found.weights[..3], [1.0, 0.0, 0.0], "{}", kernels.name());
        assert_eq!(found.context[..], values[..16]);
        let q = [f32::NAN; 16];
        let m = Memory { q: &q, ..m };
        assert!(run(kernels, &m, &[1.0; 16]).context.iter().all(|x| x.is_nan()), "{}", kernels.name());
    }
}

#[test]
#[should_panic(expected = "attention: keys has 17 floats")]
fn rows_that_are_no_whole_vectors_are_refused() {
    let m = Memory { queries: 1, rows: 1, q: &[0.0; 16], keys: &[0.0; 17], values: &[0.0; 16] };
    Kernels::best().attend(&m, &mut [0.0; 16], &mut [0.0; 16]);
}
