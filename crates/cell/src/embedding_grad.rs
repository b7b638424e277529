//! The gradients of a trained embedding E and of the W_ih that reads it: GEMMs over the V symbols, not over the tokens.
//!
//! ```text
//! D[s]  = sum over the tokens with symbol s of dA         first; tokens ascending, as for one-hot symbols
//! dW_ih = sum over symbols ascending of E[s]^T D[s]        then, beside all other gradients
//! dE[s] = D[s] W_ih                                        k over the packed columns ascending
//! two directions: one D each, dE[s] = D[s] W_ih + D_reverse[s] W_ih_reverse
//! tied: d_head.weight = (sum over tokens of h_t^T d_logits_t) + dE      last: one addition an element
//! ```
//!
//! D, and dE of a tied embedding, are of one shard at a time: the next shard uses their memory again. No threads here:
//! tiles with one owner each. Derived in `doc/embedding.md`.

use crate::workspace::{Bufs, LayerBufs};
use gatemill_crew::Crew;
use gatemill_kernels::{
    Buffer, Input, Kernels, LANES, LayerShape, Layout, OutOfMemory, Panels, Part, WeightTile, Weights, Workspace,
};
use std::ops::Range;

/// Symbols of a tile of dE.
const TILE_ROWS: usize = 126;
/// Units of a tile of the readout's weights, a multiple of 16: with 64 symbols 16 KiB, on the stack.
const ADD_ROWS: usize = 64;

/// A stretch of one of the two gradients.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EmbeddingTile {
    /// Rows of panel `panel` of dW_ih of this layer from `column` of E on.
    Ih { layer: usize, panel: usize, column: usize },
    /// Rows of panel `panel` of dE from symbol `first` on.
    Row { panel: usize, first: usize },
}

/// What the gradients of one shard are made of.
#[derive(Debug)]
pub(crate) struct EmbeddingGrad {
    shape: LayerShape,
    /// V.
    symbols: usize,
    /// Of each layer that reads the embedding, one or two: D `[panel][V][n*16]`, and the gate gradients that each panel
    /// sums.
    sums: Vec<Buffer>,
    sum_borders: Vec<usize>,
    sum_tiles: Vec<Vec<WeightTile>>,
    tied: Option<Tied>,
}

/// How dE reaches the readout's gradient.
#[derive(Debug)]
struct Tied {
    /// dE `[panel][V][n*16]`.
    rows: Buffer,
    row_borders: Vec<usize>,
    row_tiles: Vec<EmbeddingTile>,
    /// The readout's weights among the parameters.
    head: Range<usize>,
    head_panels: Panels,
    add_borders: Vec<usize>,
    /// Panel of the readout and its first unit.
    add_tiles: Vec<(usize, usize)>,
}

impl EmbeddingGrad {
    /// The memory for a network's embedding, where it has one. Errors: it is not to be had.
    pub(crate) fn new(layout: &Layout, bufs: &Bufs) -> Result<Option<Self>, OutOfMemory> {
        let (Some(e), Some(layer)) = (layout.embedding(), layout.layers().first()) else {
            return Ok(None);
        };
        let readers = &bufs.layers[..layout.directions()];
        let (shape, symbols, panels) = (layer.shape, e.vocab, layer.shape.panels());
        let mut sum_borders = vec![0];
        // A GRU's x rows feed the slots from 0 on, as all of an RNN's and an LSTM's do.
        let tiles = |b: &LayerBufs| {
            let tile =
                |panel| WeightTile { d: b.gates, panel, panels: 1, first_vector: 0, vectors: panels.width(panel) };
            (0..panels.count()).map(tile).collect()
        };
        let sum_tiles: Vec<Vec<_>> = readers.iter().map(tiles).collect();
        sum_borders.extend((1..panels.count()).map(|p| panels.offset(p, symbols)));
        sum_borders.push(panels.floats(symbols));
        let sums = readers.iter().map(|_| Buffer::zeroed(panels.floats(symbols))).collect::<Result<_, _>>()?;
        let mut grad = Self { shape, symbols, sums, sum_borders, sum_tiles, tied: None };
        if let (Input::Tied(_), Some(head)) = (shape.input, layout.head()) {
            let (mut row_borders, mut row_tiles) = (vec![0], Vec::new());
            for (tile, floats) in grad.stretches() {
                row_borders.push(row_borders.last().copied().unwrap_or(0) + floats);
                row_tiles.push(tile);
            }
            let (mut add_borders, mut add_tiles) = (vec![0], Vec::new());
            for p in 0..head.panels().count() {
                for first in (0..head.k_h()).step_by(ADD_ROWS) {
                    let rows = ADD_ROWS.min(head.k_h() - first);
                    add_borders.push(add_borders.last().copied().unwrap_or(0) + rows * head.panels().width(p) * LANES);
                    add_tiles.push((p, first));
                }
            }
            let (head, head_panels) = (head.w.clone(), head.panels());
            let rows = Buffer::zeroed(shape.d_x_panels().floats(symbols))?;
            grad.tied = Some(Tied { rows, row_borders, row_tiles, head, head_panels, add_borders, add_tiles });
        }
        Ok(Some(grad))
    }

    /// Bytes of D, and of dE where it has no place among the parameters.
    pub(crate) fn size_bytes(&self) -> usize {
        4 * (self.sums.iter().map(|sums| sums.len()).sum::<usize>() + self.tied.as_ref().map_or(0, |t| t.rows.len()))
    }

    /// The tiles of dE and their floats, in the order of the layout.
    fn stretches(&self) -> impl Iterator<Item = (EmbeddingTile, usize)> {
        let (columns, symbols) = (self.shape.d_x_panels(), self.symbols);
        (0..columns.count()).flat_map(move |panel| {
            (0..symbols).step_by(TILE_ROWS).map(move |first| {
                let rows = TILE_ROWS.min(symbols - first);
                (EmbeddingTile::Row { panel, first }, rows * columns.width(panel) * LANES)
            })
        })
    }

    /// The tiles of dE among the parameters: none where it is tied.
    pub(crate) fn row_tiles(&self) -> impl Iterator<Item = (EmbeddingTile, usize)> {
        self.stretches().filter(|_| self.tied.is_none())
    }

    /// The tiles of dW_ih of a layer and their floats: each within one panel of E's columns.
    pub(crate) fn ih_tiles(&self, layer: usize) -> impl Iterator<Item = (EmbeddingTile, usize)> {
        let (panels, columns, k_x) = (self.shape.panels(), self.shape.d_x_panels(), self.shape.k_x());
        (0..panels.count()).flat_map(move |panel| {
            (0..columns.count()).map(move |q| {
                let column = columns.first(q) * LANES;
                let rows = (columns.width(q) * LANES).min(k_x - column);
                (EmbeddingTile::Ih { layer, panel, column }, rows * panels.width(panel) * LANES)
            })
        })
    }

    /// D of one shard, from its gate gradients.
    pub(crate) fn sum_symbols(&mut self, crew: &Crew, kernels: &Kernels, ws: &Workspace, ids: &[u32], part: &Part) {
        for (sums, tiles) in self.sums.iter_mut().zip(&self.sum_tiles) {
            crew.tiles(sums, &self.sum_borders, |i, out| kernels.symbol_grad(ws, &tiles[i], ids, part, out));
        }
    }

    /// One tile, from D.
    pub(crate) fn compute(&self, kernels: &Kernels, weights: &Weights<'_>, tile: EmbeddingTile, out: &mut [f32]) {
        tile_of(&self.shape, &self.sums, kernels, weights, tile, out);
    }

    /// Adds dE of one shard to the shard's gradient of the readout, where they are one matrix.
    pub(crate) fn add_to_readout(&mut self, crew: &Crew, kernels: &Kernels, weights: &Weights<'_>, shard: &mut [f32]) {
        let Some(tied) = &mut self.tied else { return };
        let (shape, sums) = (&self.shape, &self.sums);
        crew.tiles(&mut tied.rows, &tied.row_borders, |i, out| {
            tile_of(shape, sums, kernels, weights, tied.row_tiles[i], out);
        });
        let (rows, columns, symbols) = (&tied.rows, shape.d_x_panels(), self.symbols);
        crew.tiles(&mut shard[tied.head.clone()], &tied.add_borders, |i, out| {
            let (panel, first) = tied.add_tiles[i];
            let width = tied.head_panels.width(panel) * LANES;
            let mut block = [0.0; ADD_ROWS * 4 * LANES];
            let block = &mut block[..(out.len() / width).next_multiple_of(LANES) * width];
            kernels.transpose(rows, columns, symbols, (tied.head_panels, panel), first, block);
            kernels.add(out, &block[..out.len()]);
        });
    }
}

/// Rows of dW_ih or of dE, from D.
fn tile_of(
    shape: &LayerShape,
    sums: &[Buffer],
    kernels: &Kernels,
    weights: &Weights<'_>,
    tile: EmbeddingTile,
    out: &mut [f32],
) {
    match tile {
        EmbeddingTile::Ih { layer, panel, column } => {
            if let Some(embedding) = weights.embedding() {
                kernels.embedded_weight_grad(shape, embedding, &sums[layer], (panel, column), out);
            }
        }
        EmbeddingTile::Row { panel, first } => {
            kernels.embedding_grad(shape, weights.transposed_ih(0), &sums[0], (panel, first), out);
            for (layer, sums) in sums.iter().enumerate().skip(1) {
                let mut more = [0.0; TILE_ROWS * 4 * LANES];
                let more = &mut more[..out.len()];
                kernels.embedding_grad(shape, weights.transposed_ih(layer), sums, (panel, first), more);
                kernels.add(out, more);
            }
        }
    }
}
