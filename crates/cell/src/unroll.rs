//! The one time loop: a pass as a list of operations. It knows no cell.
//!
//! ```text
//! forward:   for each layer, bottom first: for t = 0..T: gates          then  for t: readout
//! backward:  for t: gradient of the readout          for each layer, top first: for t = T-1..0:
//!                gates become their gradients; [dx_t | dh_{t-1}]; carry
//! ```
//!
//! A layer runs through all of time before the next: its weights stay in the cache (doc/performance.md). Any other order
//! that respects t and l gives the same bits.

use crate::workspace::Bufs;
use gatemill_kernels::{GateGradOp, GatesOp, HeadGradOp, InputGradOp, Op, ReadoutOp};

/// Forward over T steps, readout included where there is one. Without `dropout` no dropped copies are written or read.
pub(crate) fn forward(ops: &mut Vec<Op>, bufs: &Bufs, steps: usize, dropout: bool) {
    ops.clear();
    let mut x = bufs.x;
    for (layer, b) in bufs.layers.iter().enumerate() {
        let dropped = b.dropped.filter(|_| dropout);
        for t in 0..steps {
            let op = GatesOp { layer, t, x, h: b.h, c: b.c, gates: b.gates, dropped, inner: b.inner };
            ops.push(Op::Gates(op));
            // A step's second product, where its cell has one.
            ops.extend(b.inner.map(|_| Op::Inner(op)));
        }
        x = Some(dropped.unwrap_or(b.h));
    }
    if let (Some(logits), Some(nats), Some(h)) = (bufs.logits, bufs.nats, x) {
        ops.extend((0..steps).map(|t| Op::Readout(ReadoutOp { t, h, logits, nats })));
    }
}

/// Backward over T steps. Without a readout the caller has put the outputs' gradient into d_y.
pub(crate) fn backward(ops: &mut Vec<Op>, bufs: &Bufs, steps: usize) {
    ops.clear();
    let Some(d_y) = bufs.d_y else { return };
    if let Some(d_logits) = bufs.logits {
        ops.extend((0..steps).map(|t| Op::HeadGrad(HeadGradOp { t, d_logits, d_y })));
    }
    for (layer, b) in bufs.layers.iter().enumerate().rev() {
        let Some(back) = b.back else { continue };
        // The gradient to a lower layer's output takes d_y's place: this layer has read it at that step.
        let d_x = if layer > 0 { Some(d_y) } else { bufs.d_x };
        for t in (0..steps).rev() {
            let (d_h, d_c) = (back.d_h, back.d_c);
            let projection = back.projection;
            let op = GateGradOp { layer, t, d_y, d_h, d_c, h: b.h, c: b.c, gates: b.gates, projection };
            // Back through the second product: a projection's is the step's last, a GRU's stands before its n.
            match (b.inner, projection) {
                (Some(_), Some(_)) => ops.extend([Op::OutputGrad(op), Op::InnerGrad(op), Op::GateGrad(op)]),
                (Some(_), None) => ops.extend([Op::GateGrad(op), Op::InnerGrad(op)]),
                (None, _) => ops.push(Op::GateGrad(op)),
            }
            ops.push(Op::InputGrad(InputGradOp { layer, t, gates: b.gates, d_h, d_x }));
        }
    }
}
