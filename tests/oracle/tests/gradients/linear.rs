//! Linear mode: every number is an exact integer, so 300 steps are compared for equality.
//!
//! The weights make each cell a counter that can be followed in `i64` without any of the oracle's code: W_hh of the
//! state's block is a signed permutation (nothing grows faster than the number of steps), gates are steered by the
//! input alone. The input's last entry is a switch, 0 or 1.

use gatemill_oracle::stack::stack_forward;
use gatemill_oracle::{Activation, Cell, SplitMix64, StackCase, StackInput, StackOutputGrad, StackParams, StackShape};

use crate::exact::{dual_gradients, named};

const LINEAR: Activation = Activation::Linear { tanh: 1.0, sigmoid: 1.0 };
const STEPS: usize = 300;
const INPUTS: usize = 3;
const HIDDEN: usize = 5;

struct Chain {
    case: StackCase,
    /// Row u of the state's block of W_hh has its one entry `sign[u]` in column `column[u]`.
    column: Vec<usize>,
    sign: Vec<f64>,
}

/// Integers in -1..=1.
fn small(random: &mut SplitMix64, n: usize) -> Vec<f64> {
    (0..n).map(|_| random.below(3) as f64 - 1.0).collect()
}

fn chain(cell: Cell, lanes: usize) -> Chain {
    let random = &mut SplitMix64::new(11);
    let shape = StackShape { cell, layers: 1, inputs: INPUTS, hidden: HIDDEN, steps: STEPS, lanes, activation: LINEAR };
    let mut params = StackParams::random(&shape, 0.0, random);
    let p = &mut params.layers[0];
    let state_block = match cell {
        Cell::Rnn => 0,
        Cell::Lstm => 2, // g
        Cell::Gru => 2,  // n
    };
    let column: Vec<usize> = (0..HIDDEN).map(|u| (2 * u + 3) % HIDDEN).collect();
    let sign: Vec<f64> = (0..HIDDEN).map(|_| if random.one_in(2) { 1.0 } else { -1.0 }).collect();
    for u in 0..HIDDEN {
        let row = state_block * HIDDEN + u;
        p.weight_hh[row * HIDDEN + column[u]] = sign[u];
        for k in 0..INPUTS - 1 {
            p.weight_ih[row * INPUTS + k] = small(random, 1)[0];
        }
        let switch = |block: usize| (block * HIDDEN + u) * INPUTS + INPUTS - 1;
        match cell {
            Cell::Rnn => {}
            Cell::Lstm => {
                // f = s, i = 1 - s: keep c, or replace it. o = 1. Each 1 is the sum of two unlike biases.
                p.weight_ih[switch(1)] = 1.0;
                p.weight_ih[switch(0)] = -1.0;
                p.bias_ih[u] = 3.0;
                p.bias_hh[u] = -2.0;
                p.bias_ih[3 * HIDDEN + u] = -1.0;
                p.bias_hh[3 * HIDDEN + u] = 2.0;
            }
            Cell::Gru => {
                // z = s, r = 1.
                p.weight_ih[switch(1)] = 1.0;
                p.bias_ih[u] = 3.0;
                p.bias_hh[u] = -2.0;
            }
        }
        // The state's block: biases that differ, and for the GRU one of them inside r * (...).
        p.bias_ih[row] = small(random, 1)[0];
        p.bias_hh[row] = small(random, 1)[0];
    }
    let mut x = small(random, shape.tokens() * INPUTS);
    for row in x.chunks_exact_mut(INPUTS) {
        row[INPUTS - 1] = random.below(2) as f64;
    }
    let mut input = StackInput::from_zero_state(&shape, x);
    input.h0 = small(random, shape.state_len());
    input.c0 = small(random, shape.c_len());
    let output_grad = StackOutputGrad {
        d_y: small(random, shape.tokens() * HIDDEN),
        d_h_last: Some(small(random, shape.state_len())),
        d_c_last: cell.has_c().then(|| small(random, shape.c_len())),
    };
    Chain { case: StackCase { shape, params, input, ids: None, output_grad }, column, sign }
}

/// The chain followed in integers: `new = P h + W x + b`; kept or replaced by the switch.
fn followed(chain: &Chain) -> Vec<f64> {
    let StackCase { shape, params, input, .. } = &chain.case;
    let p = &params.layers[0];
    let block = if shape.cell == Cell::Rnn { 0 } else { 2 };
    let integers = |values: &[f64]| -> Vec<i64> { values.iter().map(|&x| x as i64).collect() };
    let (x, w, b_ih, b_hh) = (integers(&input.x), integers(&p.weight_ih), integers(&p.bias_ih), integers(&p.bias_hh));
    // In the LSTM of this chain h = c after every step, but h0 and c0 differ.
    let mut h = integers(&input.h0);
    let mut c = integers(if shape.cell.has_c() { &input.c0 } else { &input.h0 });
    let mut outputs = Vec::new();
    for t in 0..shape.steps {
        for b in 0..shape.lanes {
            let x_t = &x[(t * shape.lanes + b) * INPUTS..][..INPUTS];
            let old_h = h[b * HIDDEN..][..HIDDEN].to_vec();
            for u in 0..HIDDEN {
                let row = block * HIDDEN + u;
                let mut new = chain.sign[u] as i64 * old_h[chain.column[u]] + b_ih[row] + b_hh[row];
                for k in 0..INPUTS - 1 {
                    new += w[row * INPUTS + k] * x_t[k];
                }
                let keep = shape.cell != Cell::Rnn && x_t[INPUTS - 1] == 1;
                let old = c[b * HIDDEN + u];
                let now = if keep { old } else { new };
                c[b * HIDDEN + u] = now;
                h[b * HIDDEN + u] = now;
                outputs.push(now as f64);
            }
        }
    }
    outputs
}

#[test]
fn three_hundred_steps_forward_are_exact() {
    for cell in Cell::ALL {
        let chain = chain(cell, 2);
        let trace = chain.case.forward();
        assert_eq!(trace.outputs(), followed(&chain), "{cell:?}");
        let largest = trace.outputs().iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        assert!((5.0..1e6).contains(&largest), "{cell:?}: the chain must move, and stay exact: {largest}");
    }
}

#[test]
fn three_hundred_steps_backward_are_exact() {
    for cell in Cell::ALL {
        let Chain { case, .. } = chain(cell, 1);
        let grads = named(&case.backward(&case.forward()));
        let largest = grads.iter().flat_map(|(_, t)| t).fold(0.0, |max: f64, x| max.max(x.abs()));
        assert!(largest > 100.0 && largest < 1e15, "{cell:?}: {largest}");
        assert_eq!(grads, dual_gradients(&case), "{cell:?}");
    }
}

/// The lecture's toy example (row L8): w_hh = 3, w_xh = 2, b = 1, three steps, no tanh.
///
/// `h_3 = 27 h_0 + 18 x_1 + 6 x_2 + 2 x_3 + 13`: the way from h_0 is three factors of 3.
#[test]
fn the_lectures_toy_example() {
    let shape = StackShape { cell: Cell::Rnn, layers: 1, inputs: 1, hidden: 1, steps: 3, lanes: 1, activation: LINEAR };
    let mut params = StackParams::random(&shape, 0.0, &mut SplitMix64::new(0));
    params.layers[0].weight_ih = vec![2.0];
    params.layers[0].weight_hh = vec![3.0];
    params.layers[0].bias_ih = vec![1.0];
    let mut input = StackInput::from_zero_state(&shape, vec![5.0, 7.0, 11.0]);
    input.h0 = vec![2.0];
    assert_eq!(
        stack_forward(&shape, &params, &input).h_last,
        [27.0 * 2.0 + 18.0 * 5.0 + 6.0 * 7.0 + 2.0 * 11.0 + 13.0]
    );
    let output_grad = StackOutputGrad { d_y: vec![0.0; 3], d_h_last: Some(vec![1.0]), d_c_last: None };
    let case = StackCase { shape, params, input, ids: None, output_grad };
    let grads = case.backward(&case.forward());
    assert_eq!(grads.d_h0, [27.0]);
    assert_eq!(grads.d_x, [18.0, 6.0, 2.0]);
    assert_eq!(grads.params.layers[0].bias_hh, [13.0]);
    // d h_3 / d w_hh = h_2 + 3 h_1 + 9 h_0 with h_1 = 17, h_2 = 66.
    assert_eq!(grads.params.layers[0].weight_hh, [66.0 + 3.0 * 17.0 + 9.0 * 2.0]);
}
