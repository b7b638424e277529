//! A linear map over rows of its own against plain loops: values, loss, every gradient, with and without a bias; the same
//! bits however the rows are shared out and whichever batch came before.

use gatemill_cell::{Batch, Chunk, Network, NetworkOptions, Params};
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Kernels, Layout};
use gatemill_oracle::compare::worst_by_rms;
use gatemill_oracle::loss::{cross_entropy, cross_entropy_backward, head_backward, head_forward};
use gatemill_oracle::{Head, SplitMix64, narrow, widen};
use std::sync::Arc;

/// Rows, inputs, outputs: below, at and above a vector, a panel, a tile.
const SIZES: [(usize, usize, usize); 5] = [(1, 3, 2), (9, 16, 17), (40, 37, 70), (7, 130, 16), (23, 5, 64)];

struct Rig {
    params: Params,
    network: Network,
}

impl Rig {
    fn new(head: &Head<f64>, bias: bool, (crew, kernels): (&Crew, &Kernels), split: Option<Split>) -> Self {
        let (outputs, inputs) = (head.bias.len(), head.weight.len() / head.bias.len());
        let layout = Arc::new(Layout::linear(inputs, outputs, bias));
        let mut params = Params::zeroed(layout.clone()).expect("memory");
        params.set("head.weight", &narrow(&head.weight)).expect("its shape");
        assert_eq!(params.set("head.bias", &narrow(&head.bias)).is_ok(), bias, "a bias only where there is one");
        params.derive(crew, kernels);
        let options =
            NetworkOptions { steps: 1, lanes: 1, backward: true, input_grad: true, split, ..Default::default() };
        Self { network: Network::new(&layout, options).expect("memory"), params }
    }
    fn read(&mut self, x: &[f64], inputs: usize) {
        let rows = x.len() / inputs;
        self.network.set_batch(Batch::Even { steps: 1, lanes: rows }).expect("a batch");
        for (n, row) in x.chunks_exact(inputs).enumerate() {
            self.network.input_mut(0, n).copy_from_slice(&narrow(row));
        }
    }
    /// d_x, dW and, where there is one, db.
    fn grads(&mut self, crew: &Crew, kernels: &Kernels, rows: usize) -> Vec<Vec<f32>> {
        self.network.backward(crew, kernels, &self.params, &Chunk { steps: 1, ..Chunk::default() });
        let mut grads = self.network.weight_grads(crew, 1).expect("memory");
        grads.compute(crew, kernels, &self.params, &self.network, &[]);
        let d_x = (0..rows).flat_map(|n| self.network.input_grad(0, n).to_vec()).collect();
        let of = self.params.specs().iter().map(|spec| self.params.export(spec, grads.sum()));
        std::iter::once(d_x).chain(of).collect()
    }
}

fn near(name: &str, found: &[f32], want: &[f64]) {
    let worst = worst_by_rms(&widen(found), want);
    assert!(worst.error < 4e-6, "{name}: {worst:?}");
}

#[test]
fn rows_go_through_and_gradients_come_back() {
    let crews = [Crew::new(1).unwrap(), Crew::new(3).unwrap()];
    for kernels in Kernels::available() {
        for bias in [true, false] {
            let mut rig = None;
            for (k, (rows, inputs, outputs)) in SIZES.into_iter().enumerate() {
                let random = &mut SplitMix64::new(k as u64);
                let mut head = Head::random(outputs, inputs, 1.0 / (inputs as f64).sqrt(), random);
                if !bias {
                    head.bias.fill(0.0);
                }
                let x = random.symmetric(rows * inputs, 1.0);
                let want = head_forward(&head, &x);
                let targets = random.ids(rows, outputs + 1);
                let ids: Vec<u32> = targets.iter().map(|&t| t as u32).collect();
                let loss = cross_entropy(&want, &targets, outputs);
                let d_y = random.symmetric(rows * outputs, 1.0);
                let mut bits: Option<Vec<Vec<f32>>> = None;
                for (crew, split) in
                    [(&crews[0], None), (&crews[1], Some(Split::Lanes)), (&crews[1], Some(Split::Units))]
                {
                    let rig = rig.insert(Rig::new(&head, bias, (crew, &kernels), split));
                    // A larger batch before: what it left must not show.
                    rig.read(&random.symmetric(2 * rows * inputs, 1.0), inputs);
                    rig.network.forward(crew, &kernels, &rig.params, &Chunk { steps: 1, ..Chunk::default() });
                    rig.read(&x, inputs);
                    rig.network.forward(crew, &kernels, &rig.params, &Chunk { steps: 1, ..Chunk::default() });
                    let y: Vec<f32> = (0..rows).flat_map(|n| rig.network.logits(0, n).to_vec()).collect();
                    near("y", &y, &want);
                    // The caller's gradient.
                    for (n, d) in d_y.chunks_exact(outputs).enumerate() {
                        rig.network.logits_grad_mut(0, n).copy_from_slice(&narrow(d));
                    }
                    let mut all = vec![y];
                    let back = head_backward(&head, &x, &d_y);
                    let found = rig.grads(crew, &kernels, rows);
                    assert_eq!(found.len(), if bias { 3 } else { 2 });
                    for (found, want) in found.iter().zip([&back.d_h, &back.head.weight, &back.head.bias]) {
                        near("a gradient", found, want);
                    }
                    all.extend(found);
                    // The loss's own.
                    if loss.counted > 0 {
                        let chunk = Chunk {
                            steps: 1,
                            targets: &ids,
                            scale: (1.0 / loss.counted as f64) as f32,
                            ..Chunk::default()
                        };
                        rig.network.forward(crew, &kernels, &rig.params, &chunk);
                        let nats: f64 = rig.network.nats(1).iter().map(|&x| f64::from(x)).sum();
                        assert!((nats / loss.counted as f64 - loss.mean_nats).abs() < 1e-5, "{nats}, {loss:?}");
                        let back = head_backward(&head, &x, &cross_entropy_backward(&want, &targets, outputs));
                        let found = rig.grads(crew, &kernels, rows);
                        for (found, want) in found.iter().zip([&back.d_h, &back.head.weight, &back.head.bias]) {
                            near("a gradient of the loss", found, want);
                        }
                        all.extend(found);
                    }
                    assert!(*bits.get_or_insert(all.clone()) == all, "{kernels:?} {split:?}: other bits");
                }
            }
        }
    }
}
