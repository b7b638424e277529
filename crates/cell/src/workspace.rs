//! What a pass keeps: the buffers of every layer, and how many bytes they are.
//!
//! ```text
//! per layer   h      [rows, H]                kept        f32 bytes: rows = 1 + B + T*B, tokens = T*B
//!             c      [unit panel][rows][16]   kept        LSTM
//!             gates  [panel][tokens][slots*16] kept       activated gates, then their gradients
//!             dropped [rows, H]               kept        where dropout stands above the layer
//!             inner  [rows, H]                kept        r * h_{t-1} or o * tanh(c), where a second product reads it
//!             d_h    [lanes, H], d_c [unit panel][lanes][16]   rolling, backward
//!             d_p    [tokens, P] kept, d_m [lanes, H] rolling     backward of a projection, whose h has P columns
//! shared      d_y    [rows, H]                rolling     gradient to the output of the layer at work
//!             logits [tokens, V], nats [tokens]           readout; logits become their gradient
//! ```

use gatemill_kernels::{BufId, Cell, Columns, Layout, OutOfMemory, Space, Tokens, Workspace};

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
    pub(crate) d_h: BufId,
    pub(crate) d_c: Option<BufId>,
    /// d_p and d_m.
    pub(crate) projection: Option<(BufId, BufId)>,
}

/// All buffers of a network.
#[derive(Debug)]
pub(crate) struct Bufs {
    pub(crate) layers: Vec<LayerBufs>,
    /// Dense input `[rows, I]`.
    pub(crate) x: Option<BufId>,
    /// Gradient to the dense input `[rows, I]`.
    pub(crate) d_x: Option<BufId>,
    /// Gradient to the output of the layer at work `[rows, H]`.
    pub(crate) d_y: Option<BufId>,
    pub(crate) logits: Option<BufId>,
    pub(crate) nats: Option<BufId>,
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
pub(crate) fn allocate(layout: &Layout, tokens: Tokens, needs: Needs) -> Result<(Workspace, Bufs), OutOfMemory> {
    let mut ws = Workspace::new(tokens);
    let dense = layout.layers().first().filter(|l| l.shape.symbols().is_none()).map(|l| l.shape.inputs());
    let mut bufs = Bufs { layers: Vec::new(), x: None, d_x: None, d_y: None, logits: None, nats: None };
    if let Some(inputs) = dense {
        bufs.x = Some(ws.add(Space::Rows, Columns::RowMajor(inputs))?);
        if needs.d_x && needs.backward {
            bufs.d_x = Some(ws.add(Space::Rows, Columns::RowMajor(inputs))?);
        }
    }
    let top = layout.layers().len().saturating_sub(1);
    for (l, layer) in layout.layers().iter().enumerate() {
        let shape = &layer.shape;
        let lstm = shape.cell == Cell::Lstm;
        let units = Columns::Panels(shape.unit_vectors());
        let (rows, inner) = (Columns::RowMajor(shape.outputs()), Columns::RowMajor(shape.hidden));
        let dropped = if l < top { needs.dropout } else { needs.output_dropout };
        bufs.layers.push(LayerBufs {
            h: ws.add(Space::Rows, rows)?,
            c: if lstm { Some(ws.add(Space::Rows, units)?) } else { None },
            gates: ws.add(Space::Tokens, Columns::Panels(shape.slots()))?,
            dropped: if dropped { Some(ws.add(Space::Rows, rows)?) } else { None },
            inner: if shape.has_inner() { Some(ws.add(Space::Rows, inner)?) } else { None },
            back: if needs.backward {
                let d_c = if lstm { Some(ws.add(Space::Lanes, units)?) } else { None };
                let projection = match shape.variant.projection {
                    Some(_) => Some((ws.add(Space::Tokens, rows)?, ws.add(Space::Lanes, inner)?)),
                    None => None,
                };
                Some(BackBufs { d_h: ws.add(Space::Lanes, rows)?, d_c, projection })
            } else {
                None
            },
        });
        if needs.backward && bufs.d_y.is_none() {
            bufs.d_y = Some(ws.add(Space::Rows, rows)?);
        }
    }
    if let Some(head) = layout.head() {
        bufs.logits = Some(ws.add(Space::Tokens, Columns::RowMajor(head.vocab))?);
        bufs.nats = Some(ws.add(Space::Tokens, Columns::Scalar)?);
    }
    Ok((ws, bufs))
}
