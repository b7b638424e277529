//! Second products of a step, and the peepholes' gradient: shapes checked, addresses resolved. The operations are
//! `op/variant`'s.

use super::{Check, GateGradOp, GatesOp, Pass, backward, forward, layer};
use crate::op::variant::inner::InnerGrad;
use crate::pack::LANES;
use crate::table::Kernels;
use crate::tokens::{Order, Part};
use crate::view::{BufId, Columns, Share, Space, Workspace};

impl Kernels {
    pub(super) fn inner(&self, o: &GatesOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let f = forward("second product", o, pass, share, |l| l.shape.inner_panels().count());
        assert!(f.inner.is_some(), "second product: layer {} has none", o.layer);
        // SAFETY: as in `gates`.
        unsafe { (self.table().variant.inner)(&f) }
    }

    pub(super) fn output_grad(&self, o: &GateGradOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let b = backward("output gradient", o, pass, share, |l| l.shape.d_h_panels().count());
        assert!(b.d_p.is_some(), "output gradient: layer {} has no projection", o.layer);
        // SAFETY: as in `gates`.
        unsafe { (self.table().variant.output_grad)(&b) }
    }

    pub(super) fn inner_grad(&self, o: &GateGradOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let l = layer(&pass.weights, o.layer);
        assert!(l.shape.has_inner(), "second product's gradient: layer {} has none", o.layer);
        let b = backward("second product's gradient", o, pass, share, |l| l.shape.unit_panels().count());
        let g = InnerGrad {
            layout: l,
            weights: pass.weights,
            h: b.h,
            gates: b.gates,
            d_h: b.d_h,
            projection: b.d_p.zip(b.d_m),
            tokens: b.tokens,
            prev_rows: b.prev_rows,
            t: b.t,
            lanes: b.lanes,
            panels: b.panels,
        };
        // SAFETY: as in `gates`.
        unsafe { (self.table().variant.inner_grad)(&g) }
    }

    /// `out [3*16]`: the gradient of p_i, p_f, p_o of the units of panel `panel`, from the gate gradients and c of an
    /// LSTM that takes its tokens in this order, tokens of `part` ascending. Panics where a buffer has another form or there is no such panel.
    pub fn peephole_grad(
        &self,
        ws: &Workspace,
        (gates, c): (BufId, BufId),
        (panel, order): (usize, Order),
        part: &Part,
        out: &mut [f32],
    ) {
        let tile = super::WeightTile { d: gates, panel, panels: 1, first_vector: 0, vectors: 4 };
        let d = self.columns(ws, &tile);
        assert!(out.len() == 3 * LANES, "peephole gradient: {} floats", out.len());
        super::inside(ws.tokens(), part);
        let vectors = match ws.grid(c).columns() {
            Columns::Panels(p) if p.per_panel() == 1 => p,
            other => panic!("peephole gradient: c is {other:?}"),
        };
        let check = Check { ws, op: "peephole gradient" };
        let c = check.at(c, "c", Space::Rows, Columns::Panels(vectors));
        assert!(panel < vectors.count(), "peephole gradient: panel {panel} of {}", vectors.count());
        // SAFETY: rows come from Tokens; panels and lengths were just checked.
        unsafe { (self.table().variant.peephole_grad)((d, c.column(panel)), (ws.tokens(), order), part, out) }
    }
}
