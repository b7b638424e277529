//! Operations carried out: what a worker does at one time step, checked against the workspace, on its claim.
//!
//! A pass is a list of [`Op`]s. A worker that owns lanes runs the list alone; a team that shares panels meets at a
//! barrier after each. Every operation writes only cells of its claim, and never reads a buffer that it writes, except
//! for cells of its own: that is what the two ways of sharing rest on, and `check` asserts it. (The way back through a GRU's
//! second product reads one slot of all gates and writes another of its own.)

use crate::op::derive::StartRows;
use crate::op::gate_grad::Backward;
use crate::op::gates::{Dropout, Forward};
use crate::op::input::InputProduct;
use crate::op::input_grad::InputGrad;
use crate::op::level::{Level, Masks};
use crate::op::readout::{HeadGrad, Loss, Readout};
use crate::op::weight_grad::{Along, Columns as Rows, WeightGrad};
use crate::pack::{Cell, Embedding, HeadLayout, Input, LANES, LayerLayout, LayerShape, Weights, round_up};
use crate::table::Kernels;
use crate::tokens::{Order, Part, Tokens};
use crate::view::{At, BufId, Columns, Share, Space, Workspace};
use std::ops::Range;

mod ops; // operations as data

mod attend; // queries over the rows of a lane's memory
mod embedding; // the gradients of an embedding and of W_ih above it
mod exchange; // rows of the caller's arrays, in and out
mod variant; // second products of a step, peepholes

pub use exchange::{ReadOp, WriteOp};
pub use ops::{GateGradOp, GatesOp, HeadGradOp, InputGradOp, InputOp, LevelOp, Op, Pass, ReadoutOp};

/// Resolves ids and asserts their form.
struct Check<'a> {
    ws: &'a Workspace,
    op: &'static str,
}

impl Check<'_> {
    fn at(&self, id: BufId, name: &str, space: Space, columns: Columns) -> At {
        let grid = self.ws.grid(id);
        assert!(
            grid.space() == space && grid.columns() == columns,
            "{}: buffer `{name}` is {:?} of {:?}, not {columns:?} of {space:?}",
            self.op,
            grid.columns(),
            grid.space()
        );
        self.ws.at(id)
    }
    fn hidden(&self, id: BufId, name: &str, space: Space, h: usize) -> At {
        self.at(id, name, space, Columns::RowMajor(h))
    }
    /// What goes by lane, from where these lanes' block puts lane 0.
    fn by_lane(&self, at: At, lanes: &Range<usize>) -> At {
        at.shifted(self.ws.tokens().lane_shift(lanes.start))
    }
    fn cell(&self, id: Option<BufId>, name: &str, space: Space, l: &LayerLayout) -> Option<At> {
        assert_eq!(id.is_some(), l.shape.cell == Cell::Lstm, "{}: `{name}` is for LSTM alone", self.op);
        id.map(|id| self.at(id, name, space, Columns::Panels(l.shape.unit_vectors())))
    }
    fn inner(&self, id: Option<BufId>, l: &LayerLayout) -> Option<At> {
        assert_eq!(id.is_some(), l.shape.has_inner(), "{}: `inner` is for a second product alone", self.op);
        id.map(|id| self.hidden(id, "inner", Space::Rows, l.shape.hidden))
    }
    fn gates(&self, id: BufId, l: &LayerLayout) -> At {
        self.at(id, "gates", Space::Tokens, Columns::Panels(l.shape.slots()))
    }
    fn distinct(&self, ids: &[Option<BufId>]) {
        for (i, a) in ids.iter().enumerate() {
            let same = |b: &Option<BufId>| a.zip(*b).is_some_and(|(a, b)| self.ws.overlap(a, b));
            assert!(!ids[i + 1..].iter().any(same), "{}: one buffer in two roles: {ids:?}", self.op);
        }
    }
    fn per_token(&self, ids: &[u32], name: &str) {
        assert!(
            ids.len() >= self.ws.tokens().count(),
            "{}: {} {name} for {} tokens",
            self.op,
            ids.len(),
            self.ws.tokens().count()
        );
    }
}

fn layer<'a>(weights: &Weights<'a>, index: usize) -> &'a LayerLayout {
    let layers = weights.layout.layers();
    assert!(index < layers.len(), "layer {index} of {}", layers.len());
    &layers[index]
}

fn head<'a>(weights: &Weights<'a>) -> &'a HeadLayout {
    weights.layout.head().expect("the model has no readout")
}

/// The dropout that stands above a layer.
fn dropout_above(pass: &Pass<'_>, layer: usize) -> Option<Dropout> {
    let layout = pass.weights.layout;
    if layer + layout.directions() >= layout.layers().len() { pass.output_dropout } else { pass.dropout }
}

/// The masks of rows that the layers from `first` on made, those of a pair side by side.
fn masks(dropout: Dropout, first: usize, each: Option<usize>) -> Masks {
    Masks { dropout, layer: first, vectors: each.map_or(usize::MAX, |each| each.div_ceil(LANES)) }
}

/// The forward operation of a layer with its addresses, each checked.
fn forward<'a>(
    op: &'static str,
    o: &GatesOp,
    pass: &'a Pass<'_>,
    share: &'a Share<'_>,
    panels: impl Fn(&LayerLayout) -> usize,
) -> Forward<'a> {
    let check = Check { ws: share.workspace(), op };
    let l = layer(&pass.weights, o.layer);
    check.distinct(&[o.x, Some(o.h), o.c, Some(o.gates), o.dropped, o.inner]);
    let symbols = l.shape.symbols().is_some();
    assert_eq!(o.x.is_none(), symbols || o.begun, "{op}: layer {} reads symbols or a dense x, not both", o.layer);
    assert!(!o.begun || l.shape.variant.is_plain(), "{op}: only a plain layer's product is taken ahead");
    if symbols {
        check.per_token(pass.ids, "symbols");
    }
    let dropout = dropout_above(pass, o.layer);
    assert!(o.dropped.is_none() || dropout.is_some(), "{op}: a dropped copy without dropout");
    Forward {
        layer: o.layer,
        layout: l,
        weights: pass.weights,
        ids: symbols.then_some(pass.ids),
        x: o.x.map(|x| check.hidden(x, "x", Space::Rows, l.shape.x_columns())),
        begun: o.begun,
        h: check.hidden(o.h, "h", Space::Rows, l.shape.outputs()),
        c: check.cell(o.c, "c", Space::Rows, l),
        gates: check.gates(o.gates, l),
        dropped: o.dropped.map(|d| check.hidden(d, "dropped", Space::Rows, l.shape.outputs())).zip(dropout),
        inner: check.inner(o.inner, l),
        tokens: share.tokens(),
        prev_rows: share.tokens().prev_rows(l.order),
        t: o.t,
        lanes: share.lanes_at(o.t),
        panels: share.part(panels(l)),
    }
}

/// The gate gradients of a layer with their addresses, each checked.
fn backward<'a>(
    op: &'static str,
    o: &GateGradOp,
    pass: &'a Pass<'_>,
    share: &'a Share<'_>,
    panels: impl Fn(&LayerLayout) -> usize,
) -> Backward<'a> {
    let check = Check { ws: share.workspace(), op };
    let l = layer(&pass.weights, o.layer);
    let (d_p, d_m) = o.projection.unzip();
    check.distinct(&[Some(o.d_y), Some(o.d_h), o.d_c, Some(o.h), o.c, Some(o.gates), d_p, d_m]);
    let projected = l.shape.variant.projection.is_some();
    assert_eq!(o.projection.is_some(), projected, "{op}: `projection` is for a projected LSTM alone");
    let lanes = share.lanes_at(o.t);
    Backward {
        shape: l.shape,
        d_y: check.hidden(o.d_y, "d_y", Space::Rows, l.shape.outputs()),
        d_h: check.by_lane(check.hidden(o.d_h, "d_h", Space::Lanes, l.shape.outputs()), &lanes),
        d_c: check.cell(o.d_c, "d_c", Space::Lanes, l).map(|d_c| check.by_lane(d_c, &lanes)),
        h: check.hidden(o.h, "h", Space::Rows, l.shape.outputs()),
        c: check.cell(o.c, "c", Space::Rows, l),
        gates: check.gates(o.gates, l),
        d_p: d_p.map(|d_p| check.hidden(d_p, "d_p", Space::Tokens, l.shape.outputs())),
        d_m: d_m.map(|d_m| check.by_lane(check.hidden(d_m, "d_m", Space::Lanes, l.shape.hidden), &lanes)),
        peepholes: &pass.weights.params[l.peepholes.clone()],
        tokens: share.tokens(),
        prev_rows: share.tokens().prev_rows(l.order),
        t: o.t,
        lanes,
        panels: share.part(panels(l)),
    }
}

impl Kernels {
    /// Carries one operation out on a claim: on those of its lanes that reach the step. Panics where a buffer has another
    /// form than the model asks.
    pub fn run(&self, op: &Op, pass: &Pass<'_>, share: &mut Share<'_>) {
        let tokens = share.tokens();
        assert!(op.t() < tokens.steps(), "step {} of {}", op.t(), tokens.steps());
        if let Op::Write(o) = op {
            // Lanes that have ended have rows to be written too.
            return exchange::write(o, pass, share);
        }
        // Whoever works on lanes of several blocks takes one after the other.
        let mut lanes = share.lanes();
        while !lanes.is_empty() {
            let end = share.tokens().block_end(lanes.start).min(lanes.end);
            self.in_block(op, pass, &mut share.within(lanes.start..end));
            lanes.start = end;
        }
    }
    /// An operation on lanes of one block, whose tokens at a step lie beside each other.
    fn in_block(&self, op: &Op, pass: &Pass<'_>, share: &mut Share<'_>) {
        if share.lanes_at(op.t()).is_empty() {
            return;
        }
        match op {
            Op::Input(o) => self.input(o, pass, share),
            Op::Gates(o) => self.gates(o, pass, share),
            Op::Inner(o) => self.inner(o, pass, share),
            Op::Level(o) => self.level(o, pass, share),
            Op::Readout(o) => self.readout(o, pass, share),
            Op::HeadGrad(o) => self.head_grad(o, pass, share),
            Op::OutputGrad(o) => self.output_grad(o, pass, share),
            Op::InnerGrad(o) => self.inner_grad(o, pass, share),
            Op::GateGrad(o) => self.gate_grad(o, pass, share),
            Op::InputGrad(o) => self.input_grad(o, pass, share),
            Op::Read(o) => exchange::read(o, pass, share),
            Op::Write(_) => {}
        }
    }

    fn gates(&self, o: &GatesOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let f = forward("gates", o, pass, share, |l| l.shape.panels().count());
        let entry = if f.layout.shape.variant.is_plain() { self.table().forward } else { self.table().variant.forward };
        // SAFETY: buffers have the forms asserted, so rows (from Tokens) and panels are in range; the claim is exclusive.
        unsafe { entry(&f) }
    }
    fn level(&self, o: &LevelOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let check = Check { ws: share.workspace(), op: "level" };
        let l = layer(&pass.weights, o.layer);
        let layers = pass.weights.layout.directions();
        assert!(o.parts[0].is_some() && o.layer.is_multiple_of(layers), "level: {o:?} begins no level");
        let [a, b, c] = o.parts;
        check.distinct(&[a, b, c, Some(o.y), o.dropped]);
        // As wide as one layer's h, or as both side by side.
        let outputs = l.shape.outputs();
        let both = 2 * round_up(outputs, LANES);
        let pair = layers == 2 && check.ws.grid(o.y).columns() == Columns::RowMajor(both);
        let at = |id, name| check.hidden(id, name, Space::Rows, if pair { both } else { outputs });
        let dropout = dropout_above(pass, o.layer);
        assert!(o.dropped.is_none() || dropout.is_some(), "level: a dropped copy without dropout");
        let masks = dropout.map(|dropout| masks(dropout, o.layer, pair.then_some(outputs)));
        let f = Level {
            parts: o.parts.map(|part| part.map(|part| at(part, "a part"))),
            y: at(o.y, "y"),
            dropped: o.dropped.map(|d| at(d, "dropped")).zip(masks),
            tokens: share.tokens(),
            t: o.t,
            lanes: share.lanes_at(o.t),
            vectors: share.part(if pair { both } else { outputs }.div_ceil(LANES)),
        };
        // SAFETY: as in `gates`.
        unsafe { (self.table().level)(&f) }
    }

    fn readout(&self, o: &ReadoutOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let check = Check { ws: share.workspace(), op: "readout" };
        let head = head(&pass.weights);
        check.distinct(&[Some(o.h), Some(o.logits), Some(o.nats)]);
        let loss = !pass.targets.is_empty();
        if loss {
            check.per_token(pass.targets, "targets");
        }
        // A softmax needs its whole row: where there is a loss, a team shares the lanes out instead of the panels.
        let (alive, panels) = (share.lanes_at(o.t), 0..head.panels().count());
        let (lanes, panels) =
            if loss { (share.part(alive.len()), panels) } else { (0..alive.len(), share.part(panels.len())) };
        let nats = check.at(o.nats, "nats", Space::Tokens, Columns::Scalar);
        let r = Readout {
            head,
            weights: pass.weights,
            h: check.hidden(o.h, "h", Space::Rows, head.hidden),
            logits: check.hidden(o.logits, "logits", Space::Tokens, head.vocab),
            loss: loss.then_some(Loss { targets: pass.targets, nats, scale: pass.scale }),
            tokens: share.tokens(),
            t: o.t,
            lanes: alive.start + lanes.start..alive.start + lanes.end,
            panels,
        };
        // SAFETY: as in `gates`.
        unsafe { (self.table().readout)(&r) }
    }

    fn head_grad(&self, o: &HeadGradOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let check = Check { ws: share.workspace(), op: "head gradient" };
        let head = head(&pass.weights);
        check.distinct(&[Some(o.d_logits), Some(o.d_y)]);
        let top = pass.weights.layout.layers().len().checked_sub(1);
        let g = HeadGrad {
            head,
            weights: pass.weights,
            d_logits: check.hidden(o.d_logits, "d_logits", Space::Tokens, head.vocab),
            d_y: check.hidden(o.d_y, "d_y", Space::Rows, head.hidden),
            dropout: top.zip(pass.output_dropout),
            tokens: share.tokens(),
            t: o.t,
            lanes: share.lanes_at(o.t),
            panels: share.part(head.d_h_panels().count()),
        };
        // SAFETY: as in `gates`.
        unsafe { (self.table().head_grad)(&g) }
    }

    fn gate_grad(&self, o: &GateGradOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let b = backward("gate gradient", o, pass, share, |l| l.shape.slots().count());
        let entry = if b.shape.variant.is_plain() { self.table().backward } else { self.table().variant.backward };
        // SAFETY: as in `gates`.
        unsafe { entry(&b) }
    }

    fn input(&self, o: &InputOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let check = Check { ws: share.workspace(), op: "input product" };
        let l = layer(&pass.weights, o.layer);
        check.distinct(&[Some(o.x), Some(o.gates)]);
        assert!(
            l.shape.symbols().is_none() && l.shape.variant.is_plain(),
            "input product: of a plain, dense layer alone"
        );
        let f = InputProduct {
            layout: l,
            weights: pass.weights,
            x: check.hidden(o.x, "x", Space::Rows, l.shape.x_columns()),
            gates: check.gates(o.gates, l),
            tokens: share.tokens(),
            steps: o.t..share.tokens().steps().min(o.t.saturating_add(o.steps)),
            lanes: share.lanes(),
            panels: share.part(l.shape.panels().count()),
        };
        // SAFETY: as in `gates`.
        unsafe { (self.table().input)(&f) }
    }

    fn input_grad(&self, o: &InputGradOp, pass: &Pass<'_>, share: &mut Share<'_>) {
        let check = Check { ws: share.workspace(), op: "input gradient" };
        let l = layer(&pass.weights, o.layer);
        // What dx is added to is its own row, which the other direction wrote, or one that nobody writes now.
        check.distinct(&[Some(o.gates), o.d_h, o.d_x, o.from.filter(|_| o.from != o.d_x)]);
        assert!(o.d_x.is_none() || l.shape.symbols().is_none(), "input gradient: symbols have none");
        let layers = pass.weights.layout.directions();
        let each = if let Input::Pair(each) = l.shape.input { Some(each) } else { None };
        let below = (o.layer / layers).checked_sub(1).zip(pass.dropout).filter(|_| !o.more);
        let below = below.map(|(level, dropout)| masks(dropout, level * layers, each));
        let d_x = |id| check.hidden(id, "d_x", Space::Rows, l.shape.x_columns());
        let g = InputGrad {
            layout: l,
            weights: pass.weights,
            gates: check.gates(o.gates, l),
            d_h: o
                .d_h
                .map(|d_h| check.by_lane(check.hidden(d_h, "d_h", Space::Lanes, l.shape.outputs()), &share.lanes())),
            d_x: o.d_x.map(|x| (d_x(x), below)),
            from: o.from.map(d_x),
            tokens: share.tokens(),
            prev_rows: share.tokens().prev_rows(l.order),
            t: o.t,
            steps: o.steps.min(share.tokens().steps() - o.t),
            lanes: share.lanes(),
            d_h_panels: if o.d_h.is_some() { share.part(l.shape.d_h_panels().count()) } else { 0..0 },
            d_x_panels: if o.d_x.is_some() { share.part(l.shape.d_x_panels().count()) } else { 0..0 },
            own_panels: share.part(l.shape.slots().count()),
        };
        // SAFETY: as in `gates`.
        unsafe { (self.table().input_grad)(&g) }
    }
}

/// A tile of a weight gradient: some rows of one panel, or all rows of several, over all tokens of some lanes.
#[derive(Debug, Clone, Copy)]
pub struct WeightTile {
    /// The d rows: gate gradients (panelled) or the logits' gradient (row-major).
    pub d: BufId,
    /// First panel of d: for row-major d 0, its columns from `16 * first_vector`.
    pub panel: usize,
    /// Panels, equally wide. Their tokens are taken block by block, so that the rows of a are read once for all.
    pub panels: usize,
    /// First vector within the panel: a GRU's h rows feed the slots from 1 on.
    pub first_vector: usize,
    /// Vectors.
    pub vectors: usize,
}

/// Sums of a tile's d rows that a weight gradient takes along, while they are at hand: of some vectors of each of the tile's
/// panels, or of a row-major d. In the same order: tokens ascending.
#[derive(Debug, Default)]
pub struct Sums<'a> {
    /// Vectors, the symbol of each token, and `[panel][V][n*16]`: for each symbol the sum of its tokens' rows.
    pub symbols: Option<(Range<usize>, &'a [u32], &'a mut [f32])>,
    /// Vectors and a stretch per panel, whose first n*16 floats become the sum of all rows and the rest 0.
    pub all: Option<(Range<usize>, &'a mut [f32])>,
}

/// Panics where the embedding lacks symbols or columns of the layer.
fn holds(shape: &LayerShape, e: Embedding<'_>) {
    let (symbols, panels) = (shape.symbols().unwrap_or(0), shape.d_x_panels());
    assert!(
        e.rows >= symbols && e.data.len() >= panels.floats(e.rows),
        "embedding: {} floats in {} rows do not hold {symbols} symbols of {}",
        e.data.len(),
        e.rows,
        shape.inputs()
    );
}

/// Panics where `part` is not inside the tokens.
fn inside(tokens: &Tokens, part: &Part) {
    let Part { steps, lanes } = part;
    let fits = *steps <= tokens.steps() && lanes.start <= lanes.end && lanes.end <= tokens.lanes();
    assert!(fits, "{part:?} of {} steps, {} lanes", tokens.steps(), tokens.lanes());
}

impl Kernels {
    fn columns(&self, ws: &Workspace, tile: &WeightTile) -> Rows {
        let grid = ws.grid(tile.d);
        assert!(grid.space() == Space::Tokens && (1..=4).contains(&tile.vectors), "weight gradient: {tile:?}");
        // Saturating: a tile that wraps around would pass for one that is inside.
        let (end, at) = (tile.first_vector.saturating_add(tile.vectors), ws.at(tile.d));
        let (p, floats, inside) = match grid.columns() {
            Columns::Panels(s) if tile.panel < s.count() && (1..=s.count() - tile.panel).contains(&tile.panels) => {
                let narrowest = s.width(tile.panel + tile.panels - 1);
                (tile.panel, s.width(tile.panel) * LANES, end <= narrowest)
            }
            Columns::Panels(_) => (0, 0, false),
            Columns::RowMajor(c) => {
                let inside = (tile.panel, tile.panels) == (0, 1) && end <= grid.width() / LANES && c > 0;
                (tile.first_vector, at.row_stride(), inside)
            }
            Columns::Scalar => (0, 1, false),
        };
        assert!(inside, "weight gradient: {tile:?} is not inside {:?}", grid.columns());
        let skip = if matches!(grid.columns(), Columns::Panels(_)) { tile.first_vector * LANES } else { 0 };
        // SAFETY: panel and columns were just checked; row 0 exists or the space is empty and nothing is read.
        let base = unsafe { at.panel(p, 0).add(skip) };
        Rows { base, stride: 4 * floats, n: tile.vectors }
    }

    /// `out [panel][rows][n*16] = sum over tokens a[row(token)][column..]^T d[token]`, tokens of `part` ascending, and `sums`.
    ///
    /// `previous`: row(token) is that of the state before it in this order (W_hh), else the token's own (W_ih, readout).
    /// Panics where the tile is not inside its buffers, or a length is wrong.
    pub fn weight_grad(
        &self,
        ws: &Workspace,
        tile: &WeightTile,
        (a, column, previous): (BufId, usize, Option<Order>),
        part: &Part,
        out: &mut [f32],
        sums: Sums<'_>,
    ) {
        let d = self.columns(ws, tile);
        let grid = ws.grid(a);
        let width = tile.vectors * LANES * tile.panels;
        let rows = out.len() / width;
        assert!(grid.space() == Space::Rows && matches!(grid.columns(), Columns::RowMajor(_)), "weight gradient: a");
        assert!(out.len() == rows * width, "weight gradient: {} floats are no whole rows", out.len());
        let end = column.saturating_add(rows);
        assert!(end <= grid.width(), "weight gradient: columns {column}..{end}");
        let tokens: &Tokens = ws.tokens();
        inside(tokens, part);
        let vectors =
            |v: Range<usize>| self.columns(ws, &WeightTile { first_vector: v.start, vectors: v.len(), ..*tile });
        let symbols = sums.symbols.map(|(v, ids, out)| {
            let whole = out.len().is_multiple_of(v.len() * LANES * tile.panels);
            assert!(ids.len() >= tokens.count() && whole, "weight gradient: symbols");
            (vectors(v), ids, out)
        });
        let all = sums.all.map(|(v, out)| {
            let fits = out.len().is_multiple_of(tile.panels) && out.len() / tile.panels >= v.len() * LANES;
            assert!(fits, "weight gradient: {} floats for sums of {v:?} of {} panels", out.len(), tile.panels);
            (vectors(v), out)
        });
        let index = previous.map_or(tokens.own_rows(), |order| tokens.prev_rows(order));
        let panel_stride = 4 * ws.at(tile.d).panel_stride();
        let g = WeightGrad { a: ws.at(a), column, index, d, panels: tile.panels, panel_stride, tokens, part };
        // SAFETY: rows come from Tokens; columns, tile, out and sums were just checked.
        unsafe { (self.table().weight_grad)(&g, out, Along { symbols, all }) }
    }

    /// `out [V][n*16]`: for each symbol the sum of the d rows of its tokens, in order. Panics as `weight_grad`.
    pub fn symbol_grad(&self, ws: &Workspace, tile: &WeightTile, ids: &[u32], part: &Part, out: &mut [f32]) {
        let d = self.columns(ws, tile);
        let tokens = ws.tokens();
        assert!(ids.len() >= tokens.count() && out.len().is_multiple_of(tile.vectors * LANES), "symbol gradient");
        inside(tokens, part);
        // SAFETY: just checked.
        unsafe { (self.table().symbol_grad)(d, ids, tokens, part, out) }
    }

    /// Start rows `[rows][slots*16]` of one panel of a layer, from row `first` on, from its masters and, where it has
    /// one, its embedding. Panics where a length is wrong.
    pub fn start_rows(
        &self,
        l: &LayerLayout,
        params: &[f32],
        embedding: Option<Embedding<'_>>,
        (panel, first): (usize, usize),
        out: &mut [f32],
    ) {
        let slots = l.shape.slots();
        assert!(panel < slots.count(), "start rows: panel {panel}");
        let width = slots.width(panel) * LANES;
        let end = first.saturating_add(out.len() / width);
        assert!(out.len().is_multiple_of(width) && end <= l.shape.start_rows(), "start rows: {first}..{end}");
        assert_eq!(embedding.is_some(), l.shape.embedded(), "start rows: an embedding, or a layer of one, alone");
        if let Some(e) = embedding {
            holds(&l.shape, e);
        }
        // SAFETY: the rows and the embedding were just checked; the masters are sliced with bounds.
        unsafe { (self.table().start_rows)(&StartRows { layout: l, params, embedding, panel, first }, out) }
    }

    /// `out[c][i] = from[i][first + c]`: rows of panel `q` of a transposed matrix. Panics where a length is wrong.
    pub fn transpose(
        &self,
        from: &[f32],
        panels: crate::pack::Panels,
        k: usize,
        (to, q): (crate::pack::Panels, usize),
        first: usize,
        out: &mut [f32],
    ) {
        assert!(first.is_multiple_of(LANES) && q < to.count(), "transpose: column {first}, panel {q}");
        assert!(out.len().is_multiple_of(to.width(q) * LANES * LANES), "transpose: {} floats", out.len());
        // SAFETY: the body indexes with bounds; the tier is detected.
        unsafe { (self.table().transpose)(from, panels, k, to, q, first, out) }
    }
}
