//! Weight gradients: the list of tiles. Each tile is a stretch of the flat gradient with one owner; no threads here.
//!
//! One GEMM per matrix over all T*B tokens after the time loop: `dW_ih = sum x_t^T dA_t`, `dW_hh = sum h_{t-1}^T dA_t`,
//! `dW_head = sum h_t^T d_logits_t`; for symbols a sum per symbol; biases as sums of dA. With an embedding the sums per
//! symbol come first, and dW_ih and dE are made of them (`embedding_grad.rs`). With S shards each has a gradient of its
//! own, added by a fixed tree: (0+1)+(2+3), ... Where the lanes are more than a network holds, they come in groups, one
//! pass each: shard s of group g is shard g*S + s of all, so that N groups of B lanes give the bits of one network of N*B
//! lanes with N*S shards.

use crate::embedding_grad::{EmbeddingGrad, EmbeddingTile};
use crate::network::Network;
use crate::params::Params;
use crate::workspace::Bufs;
use gatemill_crew::Crew;
use gatemill_kernels::{BufId, Buffer, Cell, Kernels, LANES, Layout, Order, OutOfMemory, Panels, Part, WeightTile};

/// Pieces that a matrix is cut into per worker, where its panels allow.
const PIECES: usize = 2;
/// Most panels of a tile: the rows of a block are read once for all of them.
const TILE_PANELS: usize = 8;
/// Columns of d that a stretch of the tree's sums takes at a time, in floats.
const SUM_LEAF: usize = 1 << 16;

#[derive(Debug, Clone, Copy)]
enum Tile {
    /// Rows from `column` of a product with `a`, or with its dropped copy where the pass dropped and there is one: of the
    /// states before in this order where there is one.
    Rows { d: WeightTile, a: Read, column: usize, previous: Option<Order> },
    /// A row per symbol.
    Symbols { d: WeightTile },
    /// Rows of dW_ih below an embedding, or of dE.
    Embedding(EmbeddingTile),
    /// b_ih and b_hh of one panel.
    Biases { d: WeightTile, n: NewState },
    /// p_i, p_f and p_o of one panel.
    Peepholes { gates: BufId, c: BufId, panel: usize, order: Order },
    /// The readout's bias.
    HeadBias { d: WeightTile },
}

/// Rows that were read, and their dropped copies.
type Read = (BufId, Option<BufId>);

/// What the biases of n receive, beside those of the other gates.
#[derive(Debug, Clone, Copy)]
enum NewState {
    /// There is no n: both biases alike.
    None,
    /// b_in takes d_n, b_hn takes r * d_n, which is slot 3.
    ResetAfter,
    /// Both take d_n, which is first among the x gates and last among the h gates.
    ResetBefore,
}

/// The tiles of a network's gradient and the gradients of its shards.
#[derive(Debug)]
pub struct WeightGrads {
    borders: Vec<usize>,
    tiles: Vec<Tile>,
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
        let mut list = List { borders: vec![0], tiles: Vec::new(), pieces: PIECES * workers };
        let embedding = EmbeddingGrad::new(layout, bufs)?;
        for (tile, floats) in embedding.iter().flat_map(EmbeddingGrad::row_tiles) {
            list.push(Tile::Embedding(tile), floats);
        }
        // The dropped copy is what was read where the pass dropped.
        let read = |level: usize| (bufs.levels[level].y(), bufs.levels[level].dropped);
        for (l, (layer, b)) in layout.layers().iter().zip(&bufs.layers).enumerate() {
            let x = match l / layout.directions() {
                0 => bufs.x.map(|x| (x, None)),
                level => Some(read(level - 1)),
            };
            let s = layer.shape;
            let gru = s.cell == Cell::Gru;
            let d = |p: usize, first_vector: usize| {
                let vectors = s.panels().width(p);
                WeightTile { d: b.gates, panel: p, panels: 1, first_vector, vectors }
            };
            if let Some(e) = embedding.as_ref().filter(|_| s.embedded()) {
                e.ih_tiles(l).for_each(|(tile, floats)| list.push(Tile::Embedding(tile), floats));
            } else {
                match x {
                    Some(x) if s.symbols().is_none() => list.rows(s.panels(), |p| d(p, 0), x, s.k_x(), None),
                    _ => (0..s.panels().count())
                        .for_each(|p| list.push(Tile::Symbols { d: d(p, 0) }, s.k_x() * d(p, 0).vectors * LANES)),
                }
            }
            let d_h = |p: usize| WeightTile { vectors: s.h_panels().width(p), ..d(p, usize::from(gru)) };
            list.rows(s.h_panels(), d_h, (b.h, None), s.k_h(), Some(layer.order));
            match (b.inner, b.back.and_then(|back| back.projection)) {
                (Some(m), Some((d_p, _))) => list.row_major(s.inner_panels(), d_p, (m, None), s.k_inner()),
                // W_hn from d_n, slot 0.
                (Some(r_h), None) => {
                    list.rows(
                        s.inner_panels(),
                        |p| WeightTile { vectors: 1, ..d(p, 0) },
                        (r_h, None),
                        s.k_inner(),
                        None,
                    );
                }
                (None, _) => {}
            }
            if let Some(c) = b.c.filter(|_| s.variant.peepholes) {
                for panel in 0..s.unit_vectors().count() {
                    list.push(Tile::Peepholes { gates: b.gates, c, panel, order: layer.order }, 3 * LANES);
                }
            }
            for p in (0..s.panels().count()).filter(|_| s.variant.bias) {
                let n = match (s.cell, s.variant.reset_before) {
                    (Cell::Gru, false) => NewState::ResetAfter,
                    (Cell::Gru, true) => NewState::ResetBefore,
                    _ => NewState::None,
                };
                list.push(Tile::Biases { d: d(p, 0), n }, 2 * d(p, 0).vectors * LANES);
            }
        }
        let top = bufs.levels.len().checked_sub(1).map(read).or(bufs.x.map(|x| (x, None)));
        if let (Some(head), Some(logits), Some(top)) = (layout.head(), bufs.logits, top) {
            let panels = head.panels();
            list.row_major(panels, logits, top, head.k_h());
            for p in (0..panels.count()).filter(|_| !head.b.is_empty()) {
                let d = row_major(panels, logits, p);
                list.push(Tile::HeadBias { d }, d.vectors * LANES);
            }
        }
        assert_eq!(list.borders.last(), Some(&layout.params()), "the tiles do not cover the parameters");
        let shards = (0..per_group * groups).map(|_| Buffer::zeroed(layout.params())).collect::<Result<_, _>>()?;
        Ok(Self { borders: list.borders, tiles: list.tiles, shards, per_group, embedding, lanes })
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
            crew.tiles(shard, &self.borders, |i, out| match tiles[i] {
                Tile::Rows { d, a: (a, dropped), column, previous } => {
                    let a = dropped.filter(|_| network.dropped()).unwrap_or(a);
                    kernels.weight_grad(ws, &d, (a, column, previous), part, out);
                }
                Tile::Symbols { d } => kernels.symbol_grad(ws, &d, ids, part, out),
                Tile::Embedding(tile) => {
                    if let Some(embedding) = embedding {
                        embedding.compute(kernels, &weights, tile, out);
                    }
                }
                Tile::HeadBias { d } => kernels.bias_grad(ws, &d, part, out),
                Tile::Biases { d, n } => biases(kernels, network, d, n, part, out),
                Tile::Peepholes { gates, c, panel, order } => {
                    kernels.peephole_grad(ws, (gates, c), (panel, order), part, out)
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

/// Both biases of a panel have the same gradient, but for a GRU's n.
fn biases(kernels: &Kernels, network: &Network, d: WeightTile, n: NewState, part: &Part, out: &mut [f32]) {
    let ws = network.workspace();
    let (ih, hh) = out.split_at_mut(d.vectors * LANES);
    kernels.bias_grad(ws, &d, part, ih);
    match n {
        NewState::None => hh.copy_from_slice(ih),
        // x order is (n, r, z), h order (r, z, n).
        NewState::ResetAfter => {
            hh[..2 * LANES].copy_from_slice(&ih[LANES..]);
            let n_h = WeightTile { first_vector: 3, vectors: 1, ..d };
            kernels.bias_grad(ws, &n_h, part, &mut hh[2 * LANES..]);
        }
        NewState::ResetBefore => {
            hh[..2 * LANES].copy_from_slice(&ih[LANES..]);
            hh[2 * LANES..].copy_from_slice(&ih[..LANES]);
        }
    }
}

/// The columns of panel `p` of plain rows of d.
fn row_major(panels: Panels, d: BufId, p: usize) -> WeightTile {
    WeightTile { d, panel: 0, panels: 1, first_vector: panels.first(p), vectors: panels.width(p) }
}

struct List {
    borders: Vec<usize>,
    tiles: Vec<Tile>,
    /// Pieces of a matrix.
    pieces: usize,
}

impl List {
    fn push(&mut self, tile: Tile, len: usize) {
        let begin = self.borders.last().copied().unwrap_or(0);
        self.borders.push(begin + len);
        self.tiles.push(tile);
    }
    /// A matrix of k rows: several panels a tile where there are many, several tiles a panel where there are few.
    fn rows(&mut self, panels: Panels, d: impl Fn(usize) -> WeightTile, a: Read, k: usize, previous: Option<Order>) {
        let most = (panels.count() / self.pieces).clamp(1, TILE_PANELS);
        let mut p = 0;
        while p < panels.count() {
            // The last panel may be narrower: it has a tile of its own.
            let alike = (p..panels.count()).take_while(|&q| panels.width(q) == panels.width(p)).take(most).count();
            self.row_pieces(WeightTile { panels: alike, ..d(p) }, a, k, previous, self.pieces / panels.count());
            p += alike;
        }
    }
    /// A matrix of k rows whose d lies in plain rows.
    fn row_major(&mut self, panels: Panels, d: BufId, a: Read, k: usize) {
        for p in 0..panels.count() {
            self.row_pieces(row_major(panels, d, p), a, k, None, self.pieces / panels.count());
        }
    }
    fn row_pieces(&mut self, d: WeightTile, a: Read, k: usize, previous: Option<Order>, pieces: usize) {
        let pieces = if d.panels > 1 { 1 } else { pieces.clamp(1, k) };
        for i in 0..pieces {
            let (begin, end) = (i * k / pieces, (i + 1) * k / pieces);
            self.push(Tile::Rows { d, a, column: begin, previous }, (end - begin) * d.vectors * LANES * d.panels);
        }
    }
}
