//! Trains an LSTM with a linear readout on a toy task: the sum of the last three inputs. Gatemill runs the layer forward
//! and backward; the readout and the update are the program's own, plain loops.
//!
//! `cargo run --release -p gatemill --example train_layer`

use gatemill::{Batch, Cell, Crew, Error, Mode, Recurrent, RecurrentOptions, Rows, RowsMut};

const STEPS: usize = 12;
const LANES: usize = 16;
const HIDDEN: usize = 16;
const UPDATES: u64 = 300;
const RATE: f32 = 0.3;

/// Numbers in -1..1, from integers alone.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

/// The loss before the first update and after the last.
pub(crate) fn run() -> Result<(f32, f32), Error> {
    let crew = Crew::new(Crew::available())?;
    let mut layer = Recurrent::new(&RecurrentOptions::new(Cell::Lstm, 1, HIDDEN))?;
    let (mut tape, mut gradients) = (layer.tape(Mode::Training), layer.gradients());
    let names: Vec<String> = layer.tensors().map(|tensor| tensor.name.to_owned()).collect();

    let mut numbers = Numbers(1);
    let mut readout: Vec<f32> = (0..HIDDEN).map(|_| 0.25 * numbers.next()).collect();
    let (mut y, mut d_y) = (vec![0.0; STEPS * LANES * HIDDEN], vec![0.0; STEPS * LANES * HIDDEN]);
    let (mut first, mut last) = (0.0, 0.0);
    for update in 0..UPDATES {
        // x [T, B, 1]
        let x: Vec<f32> = (0..STEPS * LANES).map(|_| numbers.next()).collect();
        let batch = Batch::Even { steps: STEPS, lanes: LANES };
        let (x_rows, y_rows) = (Rows::time_major(&x, LANES, 1), RowsMut::time_major(&mut y, LANES, HIDDEN));
        layer.forward(&crew, &mut tape, batch, x_rows, None, y_rows)?;

        // loss = mean of (readout . y_t - (x_t + x_{t-1} + x_{t-2}))^2
        let (mut loss, mut d_readout) = (0.0, [0.0; HIDDEN]);
        for token in 0..STEPS * LANES {
            let y_t = &y[token * HIDDEN..][..HIDDEN];
            let found: f32 = readout.iter().zip(y_t).map(|(w, y)| w * y).sum();
            let wanted: f32 = (0..3).filter_map(|back| Some(x[token.checked_sub(back * LANES)?])).sum();
            let error = found - wanted;
            loss += error * error / (STEPS * LANES) as f32;
            let d_found = 2.0 * error / (STEPS * LANES) as f32;
            d_readout.iter_mut().zip(y_t).for_each(|(d, y)| *d += d_found * y);
            d_y[token * HIDDEN..][..HIDDEN].iter_mut().zip(&readout).for_each(|(d, w)| *d = d_found * w);
        }
        layer.backward(&crew, &mut tape, Rows::time_major(&d_y, LANES, HIDDEN), None, None, Some(&mut gradients))?;

        // Every weight goes down its gradient.
        let mut all = Vec::new();
        for name in &names {
            let (mut weights, d_weights) = (layer.tensor(name)?, gradients.tensor(name)?);
            weights.iter_mut().zip(d_weights).for_each(|(w, d)| *w -= RATE * d);
            all.push(weights);
        }
        let named: Vec<(&str, &[f32])> = names.iter().zip(&all).map(|(name, w)| (name.as_str(), &w[..])).collect();
        layer.set_tensors(&crew, &named)?;
        readout.iter_mut().zip(d_readout).for_each(|(w, d)| *w -= RATE * d);
        if update == 0 {
            first = loss;
        }
        last = loss;
    }
    Ok((first, last))
}

#[allow(dead_code, reason = "the tests call `run`")]
fn main() -> Result<(), Error> {
    let (first, last) = run()?;
    println!("loss {first:.4} before, {last:.4} after {UPDATES} updates");
    Ok(())
}
