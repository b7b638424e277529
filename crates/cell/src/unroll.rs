//! The one time loop: a pass as a list of operations. It knows no cell.
//!
//! ```text
//! forward:   for each level, bottom first: for each of its layers: for t = 0..T, or T-1..0: gates
//!                                          where y is more than h: for t: y               then  for t: readout
//! backward:  for t: gradient of the readout          for each level, top first: for each of its layers: t the other way:
//!                gates become their gradients; [dx_t | dh_{t-1}]; carry
//! ```
//!
//! Where a step has few lanes, or a layer's weights, those of its input not the least, come from beyond L3, the products with x
//! are taken for some steps at once ([`ahead`]): before their gates, and behind the last dh.
//!
//! A layer runs through all of time before the next: its weights stay in the cache (doc/performance.md). Any other order
//! that respects t and l gives the same bits. dx of two directions is a sum, the reversed layer's last, as k ascends over
//! both.

use crate::workspace::Bufs;
use gatemill_kernels::{
    GateGradOp, GatesOp, HeadGradOp, Input, InputGradOp, InputOp, LayerLayout, Layout, LevelOp, Op, Order, ReadoutOp,
};

/// The steps in the order that a layer takes them forward, or (`back`) on the way back.
fn walk(steps: usize, order: Order, back: bool) -> impl Iterator<Item = usize> {
    let falling = (order == Order::Descending) != back;
    (0..steps).map(move |i| if falling { steps - 1 - i } else { i })
}

/// Lanes below which a step's products wait for their weights.
const FEW_LANES: usize = 8;
/// Tokens that are taken at once: many for a panel of weights, few for what is kept in between.
const AHEAD_TOKENS: usize = 256;

/// An input with fewer columns than one in so many of the hidden units is narrow.
const NARROW: usize = 4;

/// Steps whose products with x a layer takes at once; 1: each step its own. The bits are the same.
fn ahead(layer: &LayerLayout, (steps, lanes): (usize, usize)) -> usize {
    let dense = matches!(layer.shape.input, Input::Dense(_) | Input::Pair(_));
    // A narrow W_ih is read again at each step in less time than the accumulators are put aside.
    let streams = layer.is_streamed() && NARROW * layer.shape.inputs() >= layer.shape.hidden;
    if dense && layer.shape.variant.is_plain() && (streams || lanes < FEW_LANES) {
        (AHEAD_TOKENS / lanes.max(1)).max(4).min(steps)
    } else {
        1
    }
}

/// Forward over T steps, readout included where there is one. Without `dropout` no dropped copies are written or read.
pub(crate) fn forward(ops: &mut Vec<Op>, layout: &Layout, bufs: &Bufs, (steps, lanes): (usize, usize), dropout: bool) {
    ops.clear();
    let mut x = bufs.x;
    let directions = layout.directions();
    for (level, b) in bufs.levels.iter().enumerate() {
        for layer in level * directions..(level + 1) * directions {
            let l = bufs.layers[layer];
            let dropped = l.dropped.filter(|_| dropout);
            let span = ahead(&layout.layers()[layer], (steps, lanes));
            for (i, t) in walk(steps, layout.layers()[layer].order, false).enumerate() {
                if let Some(x) = x.filter(|_| span > 1 && i % span == 0) {
                    let count = span.min(steps - i);
                    let t = if layout.layers()[layer].order == Order::Descending { t + 1 - count } else { t };
                    ops.push(Op::Input(InputOp { layer, t, steps: count, x, gates: l.gates }));
                }
                let (x, begun) = (x.filter(|_| span == 1), span > 1);
                let op = GatesOp { layer, t, x, begun, h: l.h, c: l.c, gates: l.gates, dropped, inner: l.inner };
                ops.push(Op::Gates(op));
                // A step's second product, where its cell has one.
                ops.extend(l.inner.map(|_| Op::Inner(op)));
            }
        }
        let dropped = b.dropped.filter(|_| dropout);
        if let Some(y) = b.sum {
            let residual = x.filter(|_| bufs.form.residual && level > 0);
            let (layer, parts) = (level * directions, [Some(b.h), b.added, residual]);
            ops.extend((0..steps).map(|t| Op::Level(LevelOp { layer, t, parts, y, dropped })));
        }
        x = Some(dropped.unwrap_or(b.y()));
    }
    if let (Some(logits), Some(nats), Some(h)) = (bufs.logits, bufs.nats, x) {
        ops.extend((0..steps).map(|t| Op::Readout(ReadoutOp { t, h, logits, nats })));
    }
}

/// Backward over T steps. Without a readout the caller has put the outputs' gradient into the top level's d_y.
pub(crate) fn backward(ops: &mut Vec<Op>, layout: &Layout, bufs: &Bufs, (steps, lanes): (usize, usize)) {
    ops.clear();
    // Without a layer the readout's gradient is that to x.
    let top = bufs.levels.last().map_or(bufs.d_x, |b| b.d_y);
    if let (Some(d_logits), Some(d_y)) = (bufs.logits, top) {
        ops.extend((0..steps).map(|t| Op::HeadGrad(HeadGradOp { t, d_logits, d_y })));
    }
    let directions = layout.directions();
    for (level, b) in bufs.levels.iter().enumerate().rev() {
        // With one direction the gradient to a lower level's output takes d_y's place: this layer has read it at that step.
        let d_x = if level > 0 { bufs.levels[level - 1].d_y } else { bufs.d_x };
        let past = b.d_y.filter(|_| bufs.form.residual && level > 0);
        for i in 0..directions {
            let layer = level * directions + i;
            let l = bufs.layers[layer];
            let Some(back) = l.back else { continue };
            let from = if i == 0 { past } else { d_x };
            let (more, span) = (i + 1 < directions, ahead(&layout.layers()[layer], (steps, lanes)));
            for t in walk(steps, layout.layers()[layer].order, true) {
                let (d_y, d_h, d_c, projection) = (back.d_y, back.d_h, back.d_c, back.projection);
                let op = GateGradOp { layer, t, d_y, d_h, d_c, h: l.h, c: l.c, gates: l.gates, projection };
                // Back through the second product: a projection's is the step's last, a GRU's stands before its n.
                match (l.inner, projection) {
                    (Some(_), Some(_)) => ops.extend([Op::OutputGrad(op), Op::InnerGrad(op), Op::GateGrad(op)]),
                    (Some(_), None) => ops.extend([Op::GateGrad(op), Op::InnerGrad(op)]),
                    (None, _) => ops.push(Op::GateGrad(op)),
                }
                let here = d_x.filter(|_| span == 1);
                let d_h = Some(d_h);
                ops.push(Op::InputGrad(InputGradOp { layer, t, steps: 1, gates: l.gates, d_h, d_x: here, from, more }));
            }
            if d_x.is_some() && span > 1 {
                for t in (0..steps).step_by(span) {
                    let count = span.min(steps - t);
                    let op = InputGradOp { layer, t, steps: count, gates: l.gates, d_h: None, d_x, from, more };
                    ops.push(Op::InputGrad(op));
                }
            }
        }
    }
}
