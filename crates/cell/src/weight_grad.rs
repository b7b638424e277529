//! Weight gradients: the list of tiles. Each tile owns stretches of the flat gradient; no threads here.
//!
//! One GEMM per matrix over all T*B tokens after the time loop: `dW_ih = sum x_t^T dA_t`, `dW_hh = sum h_{t-1}^T dA_t`,
//! `dW_head = sum h_t^T d_logits_t`; for symbols a sum per symbol; biases as sums of dA. The tiles of dW_hh take both sums
//! along, and those of dW_head its bias, because reading dA costs more than adding it. With an embedding the sums per
//! symbol come first, and dW_ih and dE are made of them (`embedding_grad.rs`). With S shards each has a gradient of its
//! own, added by a fixed tree: (0+1)+(2+3), ... Where the lanes are more than a network holds, they come in groups, one
//! pass each: shard s of group g is shard g*S + s of all, so that N groups of B lanes give the bits of one network of N*B
//! lanes with N*S shards.

use crate::embedding_grad::{EmbeddingGrad, EmbeddingTile};
use crate::network::Network;
use crate::params::Params;
use crate::workspace::Bufs;
use gatemill_crew::{Crew, Stretches};
use gatemill_kernels::{
    BufId, Buffer, Cell, Kernels, LANES, LayerLayout, Layout, Order, OutOfMemory, Panels, Part, Sums, WeightTile,
};
use std::ops::Range;

/// Pieces that a matrix is cut into per worker, where its panels allow.
const PIECES: usize = 2;
/// Most panels of a tile: the rows of a block are read once for all of them.
const TILE_PANELS: usize = 8;
/// Columns of d that a stretch of the tree's sums takes at a time, in floats.
const SUM_LEAF: usize = 1 << 16;

#[derive(Debug, Clone)]
enum Tile {
    /// Rows from `column` of a product with `a`, or with its dropped copy where the pass dropped and there is one: of the
    /// states before in this order where there is one. Owns the rows, then what `along` names.
    Rows { d: WeightTile, a: Read, column: usize, previous: Option<Order>, along: Along },
    /// Rows of dW_ih below an embedding, or of dE.
    Embedding(EmbeddingTile),
    /// p_i, p_f and p_o of one panel.
    Peepholes { gates: BufId, c: BufId, panel: usize, order: Order },
}

/// What a tile owns: its rows, dW_ih by symbol, biases.
type Owned = [Range<usize>; 3];

/// Rows that were read, and their dropped copies.
type Read = (BufId, Option<BufId>);

/// The sums that a tile takes along: of which vectors of each panel.
#[derive(Debug, Clone, Default)]
struct Along {
    symbols: Range<usize>,
    all: Range<usize>,
    biases: Biases,
    /// Where they go: dW_ih by symbol, biases. Nothing is summed where it has no place.
    owned: [Range<usize>; 2],
}

/// How the sums over all tokens become the biases of a panel.
#[derive(Debug, Clone, Copy, Default)]
enum Biases {
    /// There is one: the readout's.
    #[default]
    One,
    /// b_ih and b_hh alike: no n.
    Alike,
    /// b_in takes d_n, b_hn takes r * d_n, which is slot 3.
    ResetAfter,
    /// Both take d_n, which is first among the x gates and last among the h gates.
    ResetBefore,
}

impl Biases {
    /// Of `[b_ih, b_hh]` of one panel, into which the sums of its vectors were put from its begin on.
    fn arrange(self, panel: &mut [f32]) {
        let half = panel.len() / 2;
        // A GRU's x order is (n, r, z), its h order (r, z, n).
        let last_h = match self {
            Biases::One => return,
            Biases::Alike => return panel.copy_within(..half, half),
            Biases::ResetAfter => 3 * LANES,
            Biases::ResetBefore => 0,
        };
        panel.copy_within(last_h..last_h + LANES, half + 2 * LANES);
        panel.copy_within(LANES..half, half);
    }
}

/// The tiles of a network's gradient and the gradients of its shards.
#[derive(Debug)]
pub struct WeightGrads {
    tiles: Vec<Tile>,
    owned: Stretches<3>,
    /// One per shard of each group, `[layout.params()]` each; the first becomes the sum.
    shards: Vec<Buffer>,
    /// Shards of a group.
    per_group: usize,
    /// Where the model has an embedding: memory that shard after shard uses.
    embedding: Option<EmbeddingGrad>,
    /// B of the network as it was made; another batch may have another.
    lanes: usize,
}

impl WeightGrads {
    /// Tiles and memory for `shards` shards of a network, `groups` times; the tiles are as large as `workers` can share
    /// evenly. Errors: the memory is not to be had.
    pub(crate) fn new(
        layout: &Layout,
        bufs: &Bufs,
        lanes: usize,
        (per_group, groups): (usize, usize),
        workers: usize,
    ) -> Result<Self, OutOfMemory> {
        assert!((1..=lanes).contains(&per_group) && groups > 0, "{per_group} shards of {lanes} lanes, {groups} groups");
        let mut list = List { tiles: Vec::new(), owned: Vec::new(), pieces: PIECES * workers };
        let embedding = EmbeddingGrad::new(layout, bufs)?;
        list.embedding(0, embedding.iter().flat_map(EmbeddingGrad::row_tiles));
        // The dropped copy is what was read where the pass dropped.
        let read = |level: usize| (bufs.levels[level].y(), bufs.levels[level].dropped);
        for (l, (layer, b)) in layout.layers().iter().zip(&bufs.layers).enumerate() {
            let x = match l / layout.directions() {
                0 => bufs.x.map(|x| (x, None)),
                level => Some(read(level - 1)),
            };
            let s = layer.shape;
            let d = |p: usize| WeightTile {
                d: b.gates,
                panel: p,
                panels: 1,
                first_vector: 0,
                vectors: s.panels().width(p),
            };
            if let Some(e) = embedding.as_ref().filter(|_| s.embedded()) {
                list.embedding(layer.w_ih.start, e.ih_tiles(l));
            } else if let Some(a) = x.filter(|_| s.symbols().is_none()) {
                let x = Matrix { at: layer.w_ih.start, panels: s.panels(), k: s.k_x(), a, previous: None };
                list.rows(&x, d, |_| Default::default());
            }
            let first_vector = usize::from(s.cell == Cell::Gru);
            let d_h = |p: usize| WeightTile { vectors: s.h_panels().width(p), first_vector, ..d(p) };
            let (at, a, previous) = (layer.w_hh.start, (b.h, None), Some(layer.order));
            let h = Matrix { at, panels: s.h_panels(), k: s.k_h(), a, previous };
            list.rows(&h, d_h, |panels| along_h(layer, panels));
            match (b.inner, b.back.and_then(|back| back.projection)) {
                (Some(m), Some((d_p, _))) => list.row_major(&inner(layer, m), d_p, |_| Default::default()),
                // W_hn from d_n, slot 0.
                (Some(r_h), None) => {
                    let d_n = |p: usize| WeightTile { vectors: 1, ..d(p) };
                    list.rows(&inner(layer, r_h), d_n, |_| Default::default());
                }
                (None, _) => {}
            }
            if let Some(c) = b.c.filter(|_| s.variant.peepholes) {
                for panel in 0..s.unit_vectors().count() {
                    let at = layer.peepholes.start + panel * 3 * LANES;
                    let tile = Tile::Peepholes { gates: b.gates, c, panel, order: layer.order };
                    list.push(tile, [at..at + 3 * LANES, 0..0, 0..0]);
                }
            }
        }
        let top = bufs.levels.len().checked_sub(1).map(read).or(bufs.x.map(|x| (x, None)));
        if let (Some(head), Some(logits), Some(a)) = (layout.head(), bufs.logits, top) {
            let (panels, k) = (head.panels(), head.k_h());
            let w = Matrix { at: head.w.start, panels, k, a, previous: None };
            list.row_major(&w, logits, |p| {
                let all = panels.first(p.start)..panels.first(p.end - 1) + panels.width(p.end - 1);
                let of = |vector: usize| head.b.start + vector * LANES;
                let biases = if head.b.is_empty() { 0..0 } else { of(all.start)..of(all.end) };
                Along { all, owned: [0..0, biases], ..Along::default() }
            });
        }
        let owned = Stretches::new(list.owned, layout.params());
        let shards = (0..per_group * groups).map(|_| Buffer::zeroed(layout.params())).collect::<Result<_, _>>()?;
        Ok(Self { tiles: list.tiles, owned, shards, per_group, embedding, lanes })
    }

    /// The gradient, summed over shards: `[layout.params()]`, packed.
    pub fn sum(&self) -> &[f32] {
        &self.shards[0]
    }

    /// Bytes of all shards' gradients, and of what they are made of.
    pub fn size_bytes(&self) -> usize {
        let shards: usize = self.shards.iter().map(|s| 4 * s.len()).sum();
        shards + self.embedding.as_ref().map_or(0, EmbeddingGrad::size_bytes)
    }

    /// Lanes of shard `s` of a group, among the group's: even, in order.
    pub fn lanes_of(&self, s: usize) -> std::ops::Range<usize> {
        self.part_of(s, self.lanes)
    }
    fn part_of(&self, s: usize, lanes: usize) -> std::ops::Range<usize> {
        let n = self.per_group;
        s * lanes / n..(s + 1) * lanes / n
    }

    /// Computes every tile from the gate gradients that the last backward left in `network`, over the steps of its chunk,
    /// then adds the shards up: the only group. `params` are the weights that backward read.
    pub fn compute(&mut self, crew: &Crew, kernels: &Kernels, params: &Params, network: &Network, ids: &[u32]) {
        self.compute_group(crew, kernels, (params, network), ids, 0);
        self.reduce(crew, kernels);
    }

    /// Computes every tile of one group. [`WeightGrads::reduce`] adds up, once every group has been computed.
    pub fn compute_group(
        &mut self,
        crew: &Crew,
        kernels: &Kernels,
        (params, network): (&Params, &Network),
        ids: &[u32],
        group: usize,
    ) {
        let (ws, weights) = (network.workspace(), params.weights());
        for s in 0..self.per_group {
            let part = Part { steps: network.backward_steps(), lanes: self.part_of(s, network.lanes()) };
            if let Some(embedding) = &mut self.embedding {
                embedding.sum_symbols(crew, kernels, ws, ids, &part);
            }
            let (part, tiles, embedding) = (&part, &self.tiles, self.embedding.as_ref());
            let shard = &mut self.shards[group * self.per_group + s];
            crew.stretches(shard, &self.owned, |i, [out, by_symbol, biases]| match &tiles[i] {
                Tile::Rows { d, a: (a, dropped), column, previous, along } => {
                    let a = dropped.filter(|_| network.dropped()).unwrap_or(*a);
                    let symbols = (!by_symbol.is_empty()).then(|| (along.symbols.clone(), ids, by_symbol));
                    let all = (!biases.is_empty()).then(|| (along.all.clone(), &mut *biases));
                    kernels.weight_grad(ws, d, (a, *column, *previous), part, out, Sums { symbols, all });
                    let each = (biases.len() / d.panels).max(1);
                    biases.chunks_exact_mut(each).for_each(|panel| along.biases.arrange(panel));
                }
                Tile::Embedding(tile) => {
                    if let Some(embedding) = embedding {
                        embedding.compute(kernels, &weights, *tile, out);
                    }
                }
                Tile::Peepholes { gates, c, panel, order } => {
                    kernels.peephole_grad(ws, (*gates, *c), (*panel, *order), part, out)
                }
            });
            if let Some(embedding) = &mut self.embedding {
                embedding.add_to_readout(crew, kernels, &weights, &mut self.shards[group * self.per_group + s]);
            }
        }
    }

    /// Adds the shards of all groups up by the fixed tree: [`WeightGrads::sum`] holds the gradient from here on.
    pub fn reduce(&mut self, crew: &Crew, kernels: &Kernels) {
        let mut stride = 1;
        while stride < self.shards.len() {
            for s in (0..self.shards.len() - stride).step_by(2 * stride) {
                let (low, high) = self.shards.split_at_mut(s + stride);
                let from: &[f32] = &high[0];
                crew.pieces([&mut low[s][..]], LANES, SUM_LEAF, |first, [into]| {
                    kernels.add(into, &from[first..first + into.len()]);
                });
            }
            stride *= 2;
        }
    }
}

/// What the tile of dW_hh of these panels takes along, and where: dW_ih of symbols, and the biases.
fn along_h(layer: &LayerLayout, p: Range<usize>) -> Along {
    let s = layer.shape;
    let (panels, count) = (s.panels(), p.len());
    let (x, rows) = (panels.width(p.start), s.k_x());
    // Of a GRU's four slots the last is n's part of h.
    let (biases, all) = match (s.cell, s.variant.reset_before) {
        (Cell::Gru, false) => (Biases::ResetAfter, x + 1),
        (Cell::Gru, true) => (Biases::ResetBefore, x),
        _ => (Biases::Alike, x),
    };
    let stretch = |at: usize, rows: usize, present: bool| {
        let begin = at + panels.offset(p.start, rows);
        if present { begin..begin + count * rows * x * LANES } else { 0..0 }
    };
    let by_symbol = stretch(layer.w_ih.start, rows, s.symbols().is_some() && !s.embedded());
    let both = stretch(layer.bias.start, 2, s.variant.bias);
    Along { symbols: 0..x, all: 0..all, biases, owned: [by_symbol, both] }
}

/// The matrix of a layer's second product, read from `a`.
fn inner(layer: &LayerLayout, a: BufId) -> Matrix {
    let s = layer.shape;
    Matrix { at: layer.inner.start, panels: s.inner_panels(), k: s.k_inner(), a: (a, None), previous: None }
}

/// A matrix `[panel][k][n*16]` of the flat gradient, `at` its begin, and the rows whose product with d it is.
struct Matrix {
    at: usize,
    panels: Panels,
    k: usize,
    a: Read,
    previous: Option<Order>,
}

struct List {
    tiles: Vec<Tile>,
    owned: Vec<Owned>,
    /// Pieces of a matrix.
    pieces: usize,
}

impl List {
    fn push(&mut self, tile: Tile, owned: Owned) {
        self.tiles.push(tile);
        self.owned.push(owned);
    }
    /// Tiles that lie one behind the other, with their floats.
    fn embedding(&mut self, mut at: usize, tiles: impl Iterator<Item = (EmbeddingTile, usize)>) {
        for (tile, floats) in tiles {
            self.push(Tile::Embedding(tile), [at..at + floats, 0..0, 0..0]);
            at += floats;
        }
    }
    /// A matrix of k rows: several panels a tile where there are many, several tiles a panel where there are few. The first
    /// tile of some panels takes `along` of them along.
    fn rows(&mut self, m: &Matrix, d: impl Fn(usize) -> WeightTile, along: impl Fn(Range<usize>) -> Along) {
        let panels = m.panels;
        let most = (panels.count() / self.pieces).clamp(1, TILE_PANELS);
        let mut p = 0;
        while p < panels.count() {
            // The last panel may be narrower: it has a tile of its own.
            let alike = (p..panels.count()).take_while(|&q| panels.width(q) == panels.width(p)).take(most).count();
            self.row_pieces(m, p, WeightTile { panels: alike, ..d(p) }, along(p..p + alike));
            p += alike;
        }
    }
    /// A matrix of k rows whose d lies in plain rows.
    fn row_major(&mut self, m: &Matrix, d: BufId, along: impl Fn(Range<usize>) -> Along) {
        for p in 0..m.panels.count() {
            let (first_vector, vectors) = (m.panels.first(p), m.panels.width(p));
            self.row_pieces(m, p, WeightTile { d, panel: 0, panels: 1, first_vector, vectors }, along(p..p + 1));
        }
    }
    /// The tiles of panel `p` of `m`, or of the `d.panels` from there on.
    fn row_pieces(&mut self, m: &Matrix, p: usize, d: WeightTile, along: Along) {
        let (panels, k) = (m.panels.count(), m.k);
        let pieces = if d.panels > 1 { 1 } else { (self.pieces / panels).clamp(1, k) };
        let (at, width) = (m.at + m.panels.offset(p, k), d.vectors * LANES * d.panels);
        for i in 0..pieces {
            let (begin, end) = (i * k / pieces, (i + 1) * k / pieces);
            let along = if i == 0 { along.clone() } else { Along::default() };
            let [by_symbol, biases] = along.owned.clone();
            let (a, previous) = (m.a, m.previous);
            let owned = [at + begin * width..at + end * width, by_symbol, biases];
            self.push(Tile::Rows { d, a, column: begin, previous, along }, owned);
        }
    }
}
