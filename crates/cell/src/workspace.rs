//! What a pass keeps: the buffers of every layer, and how many bytes they are.
//!
//! ```text
//! per layer   h      [rows, H]                kept        f32 bytes: rows = 1 + B + N, N tokens (T*B where even)
//!             c      [unit panel][rows][16]   kept        LSTM
//!             gates  [panel][tokens][slots*16] kept       activated gates, then their gradients
//!             dropped [rows, H]               kept        where dropout stands above the layer
//!             inner  [rows, H]                kept        r * h_{t-1} or o * tanh(c), where a second product reads it
//!             d_h    [lanes, H], d_c [unit panel][lanes][16]   rolling, backward
//!             d_p    [tokens, P] kept, d_m [lanes, H] rolling     backward of a projection, whose h has P columns
//! per level   y      [rows, H]                kept        where it is more than h: directions added, residuals
//! shared      d_y    [rows, H]                rolling     gradient to the output of the level at work
//!             logits [tokens, V], nats [tokens]           readout; logits become their gradient
//! ```
//!
//! Two directions side by side are one row: h of the level is `[rows, 2 H']`, H' being H in whole vectors, and each layer's
//! h, dropped copy and d_y are windows of it. Of two directions the second still reads d_y where the first has written d_x,
//! so there are two of them, in turn.

use gatemill_kernels::{BufId, Cell, Columns, LANES, Layout, OutOfMemory, Space, Tokens, Workspace};

/// The buffers of one layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerBufs {
    pub(crate) h: BufId,
    pub(crate) c: Option<BufId>,
    pub(crate) gates: BufId,
    pub(crate) dropped: Option<BufId>,
    pub(crate) inner: Option<BufId>,
    pub(crate) back: Option<BackBufs>,
}

/// What backward adds to a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackBufs {
    /// Its part of the level's.
    pub(crate) d_y: BufId,
    pub(crate) d_h: BufId,
    pub(crate) d_c: Option<BufId>,
    /// d_p and d_m.
    pub(crate) projection: Option<(BufId, BufId)>,
}

/// What a level reads and gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LevelBufs {
    /// h of the level, of both directions where they stand side by side.
    pub(crate) h: BufId,
    /// h of the other direction, where it is added.
    pub(crate) added: Option<BufId>,
    /// What it gives, where that is more than h.
    pub(crate) sum: Option<BufId>,
    /// Its dropped copy.
    pub(crate) dropped: Option<BufId>,
    /// The gradient to what it gives.
    pub(crate) d_y: Option<BufId>,
}

impl LevelBufs {
    /// What it gives.
    pub(crate) fn y(&self) -> BufId {
        self.sum.unwrap_or(self.h)
    }
}

/// All buffers of a network.
#[derive(Debug)]
pub(crate) struct Bufs {
    /// The layers of a level are beside each other.
    pub(crate) layers: Vec<LayerBufs>,
    pub(crate) levels: Vec<LevelBufs>,
    /// Dense input `[rows, I]`.
    pub(crate) x: Option<BufId>,
    /// Gradient to the dense input `[rows, I]`.
    pub(crate) d_x: Option<BufId>,
    pub(crate) logits: Option<BufId>,
    pub(crate) nats: Option<BufId>,
    pub(crate) form: Form,
}

/// What goes up from a level.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// Both directions side by side; otherwise they are added.
    pub(crate) concat: bool,
    /// What a level from 1 on reads is added to what it gives.
    pub(crate) residual: bool,
}

/// Which buffers a pass needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) backward: bool,
    pub(crate) dropout: bool,
    pub(crate) output_dropout: bool,
    pub(crate) d_x: bool,
}

/// Allocates everything once. Errors: the memory is not to be had.
pub(crate) fn allocate(
    layout: &Layout,
    form: Form,
    tokens: Tokens,
    needs: Needs,
) -> Result<(Workspace, Bufs), OutOfMemory> {
    let mut ws = Workspace::new(tokens);
    let dense = match (layout.layers().first(), layout.head()) {
        (Some(first), _) => Some(first.shape.inputs()).filter(|_| first.shape.symbols().is_none()),
        // A readout of its own.
        (None, head) => head.map(|head| head.hidden),
    };
    let (layers, levels) = (Vec::new(), Vec::new());
    let mut bufs = Bufs { layers, levels, x: None, d_x: None, logits: None, nats: None, form };
    if let Some(inputs) = dense {
        bufs.x = Some(ws.add(Space::Rows, Columns::RowMajor(inputs))?);
        if needs.d_x && needs.backward {
            bufs.d_x = Some(ws.add(Space::Rows, Columns::RowMajor(inputs))?);
        }
    }
    let directions = layout.directions();
    let levels = layout.layers().len() / directions;
    // Gradients to what a level gives, in turn where there are two directions.
    let mut d_y = Vec::new();
    for (level, layers) in layout.layers().chunks(directions).enumerate() {
        let outputs = layers[0].shape.outputs();
        let width = if form.concat { 2 * outputs.next_multiple_of(LANES) } else { outputs };
        let wide = Columns::RowMajor(width);
        let h = ws.add(Space::Rows, wide)?;
        // The columns of layer i of the level in a row of it, or a row that it has for itself.
        let part = |ws: &mut Workspace, whole: BufId, i: usize| match form.concat {
            true => ws.window(whole, i * outputs.div_ceil(LANES), outputs),
            false => whole,
        };
        let residual = form.residual && level > 0;
        let added = if directions == 2 && !form.concat { Some(ws.add(Space::Rows, wide)?) } else { None };
        let sum = if residual || added.is_some() { Some(ws.add(Space::Rows, wide)?) } else { None };
        let dropped = if level + 1 < levels { needs.dropout } else { needs.output_dropout };
        let dropped = if dropped { Some(ws.add(Space::Rows, wide)?) } else { None };
        if needs.backward && d_y.len() < directions {
            d_y.push(ws.add(Space::Rows, wide)?);
        }
        let of_level = d_y.get(level % directions).copied();
        for (i, layer) in layers.iter().enumerate() {
            let shape = &layer.shape;
            let lstm = shape.cell == Cell::Lstm;
            let units = Columns::Panels(shape.unit_vectors());
            let (rows, inner) = (Columns::RowMajor(outputs), Columns::RowMajor(shape.hidden));
            let back = match of_level {
                Some(d_y) => Some(BackBufs {
                    d_y: part(&mut ws, d_y, i),
                    d_h: ws.add(Space::Lanes, rows)?,
                    d_c: if lstm { Some(ws.add(Space::Lanes, units)?) } else { None },
                    projection: match shape.variant.projection {
                        Some(_) => Some((ws.add(Space::Tokens, rows)?, ws.add(Space::Lanes, inner)?)),
                        None => None,
                    },
                }),
                None => None,
            };
            bufs.layers.push(LayerBufs {
                h: added.filter(|_| i == 1).unwrap_or_else(|| part(&mut ws, h, i)),
                c: if lstm { Some(ws.add(Space::Rows, units)?) } else { None },
                gates: ws.add(Space::Tokens, Columns::Panels(shape.slots()))?,
                // Of more than h the dropped copy is made with it.
                dropped: dropped.filter(|_| sum.is_none()).map(|whole| part(&mut ws, whole, i)),
                inner: if shape.has_inner() { Some(ws.add(Space::Rows, inner)?) } else { None },
                back,
            });
        }
        bufs.levels.push(LevelBufs { h, added, sum, dropped, d_y: of_level });
    }
    if let Some(head) = layout.head() {
        bufs.logits = Some(ws.add(Space::Tokens, Columns::RowMajor(head.vocab))?);
        bufs.nats = Some(ws.add(Space::Tokens, Columns::Scalar)?);
    }
    Ok((ws, bufs))
}
