//! The weights of a model: one flat allocation of masters, and what is derived from them after each update.
//!
//! On disk and towards callers every tensor has PyTorch's name, shape and gate order; in memory it lies packed
//! (`gatemill_kernels::Layout`). Gradients and moments share the flat layout, so [`Params::export`] serves them too.

use crate::places::{each, import_on};
use crate::tensor::TensorSpec;
use gatemill_crew::Crew;
use gatemill_kernels::{Buffer, Kernels, LANES, Layout, OutOfMemory, Panels, Weights};
use std::sync::Arc;

/// A tensor that does not fit the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// The model has no tensor of this name.
    #[error("the model has no tensor `{0}`")]
    Unknown(String),
    /// The data has another number of elements.
    #[error("tensor `{name}`: {found} elements where the model has {expected}")]
    Size {
        /// Which.
        name: String,
        /// Elements given.
        found: usize,
        /// Elements of the model's tensor.
        expected: usize,
    },
}

/// Masters, start rows and transposed weights of a model.
#[derive(Debug)]
pub struct Params {
    layout: Arc<Layout>,
    specs: Vec<TensorSpec>,
    /// `[layout.params()]`, packed.
    pub(crate) masters: Buffer,
    start: Buffer,
    transposed: Buffer,
    /// Borders of the derived buffers' tiles, for the crew.
    start_borders: Vec<usize>,
    start_tiles: Vec<StartTile>,
    transposed_borders: Vec<usize>,
    transposed_tiles: Vec<TransposedTile>,
}

/// A stretch of start rows of one panel of a layer.
#[derive(Debug, Clone, Copy)]
struct StartTile {
    layer: usize,
    panel: usize,
    first: usize,
}

/// A stretch of columns of one panel of one transposed matrix.
#[derive(Debug, Clone, Copy)]
struct TransposedTile {
    matrix: Matrix,
    panel: usize,
    first: usize,
}

#[derive(Debug, Clone, Copy)]
enum Matrix {
    Ih(usize),
    Hh(usize),
    Inner(usize),
    Head,
}

/// Start rows of a tile: with an embedding a GEMM of so many rows, many enough to use a panel of W_ih in L2.
const START_ROWS: usize = 256;
/// Packed columns of a transposed tile: 64 rows of 256 B, so a tile is 16 KiB.
const TRANSPOSED_ROWS: usize = 64;

impl Params {
    /// Zero weights in this layout. Errors: the memory is not to be had.
    pub fn zeroed(layout: Arc<Layout>) -> Result<Self, OutOfMemory> {
        let specs = TensorSpec::all(&layout);
        let (mut start_borders, mut start_tiles) = (vec![0], Vec::new());
        let (mut transposed_borders, mut transposed_tiles) = (vec![0], Vec::new());
        let mut cut = |matrix, to: Panels, columns: usize| {
            for panel in 0..to.count() {
                for first in (0..columns).step_by(TRANSPOSED_ROWS) {
                    let rows = TRANSPOSED_ROWS.min(columns - first);
                    let begin = transposed_borders.last().copied().unwrap_or(0);
                    transposed_borders.push(begin + rows * to.width(panel) * LANES);
                    transposed_tiles.push(TransposedTile { matrix, panel, first });
                }
            }
        };
        for (l, layer) in layout.layers().iter().enumerate() {
            let shape = &layer.shape;
            for panel in 0..shape.slots().count() {
                for first in (0..shape.start_rows()).step_by(START_ROWS) {
                    let rows = START_ROWS.min(shape.start_rows() - first);
                    let begin = start_borders.last().copied().unwrap_or(0);
                    start_borders.push(begin + shape.slots().width(panel) * LANES * rows);
                    start_tiles.push(StartTile { layer: l, panel, first });
                }
            }
            let columns = shape.panels().vectors() * LANES;
            if !layer.t_ih.is_empty() {
                cut(Matrix::Ih(l), shape.d_x_panels(), columns);
            }
            cut(Matrix::Hh(l), shape.d_h_panels(), shape.h_panels().vectors() * LANES);
            if shape.has_inner() {
                cut(Matrix::Inner(l), shape.unit_panels(), shape.inner_panels().vectors() * LANES);
            }
        }
        if let Some(head) = layout.head() {
            cut(Matrix::Head, head.d_h_panels(), head.panels().vectors() * LANES);
        }
        Ok(Self {
            masters: Buffer::zeroed(layout.params())?,
            start: Buffer::zeroed(layout.start())?,
            transposed: Buffer::zeroed(layout.transposed())?,
            layout,
            specs,
            start_borders,
            start_tiles,
            transposed_borders,
            transposed_tiles,
        })
    }
    /// Where everything lies.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
    /// The tensors in the order of `weights_sha256` (design section 5).
    pub fn specs(&self) -> &[TensorSpec] {
        &self.specs
    }
    /// Parameters in PyTorch's count: both biases, where there are any, and no padding.
    pub fn count(&self) -> usize {
        self.specs.iter().map(TensorSpec::len).sum()
    }
    /// Bytes of masters and derived weights.
    pub fn size_bytes(&self) -> usize {
        4 * (self.masters.len() + self.start.len() + self.transposed.len())
    }
    /// The packed masters.
    pub fn masters(&self) -> &[f32] {
        &self.masters
    }
    /// The packed masters, for the optimiser.
    pub fn masters_mut(&mut self) -> &mut [f32] {
        &mut self.masters
    }
    /// What the kernels read. Call [`Params::derive`] after any change.
    pub fn weights(&self) -> Weights<'_> {
        Weights::new(&self.layout, &self.masters, &self.start, &self.transposed)
    }
    /// Makes start rows and transposed weights from the masters; to be called after each change of them.
    pub fn derive(&mut self, crew: &Crew, kernels: &Kernels) {
        let (layout, masters) = (&self.layout, &self.masters);
        crew.tiles(&mut self.transposed, &self.transposed_borders, |i, out| {
            let TransposedTile { matrix, panel, first } = self.transposed_tiles[i];
            let layer = |l: usize| &layout.layers()[l];
            let (range, panels, k, to) = match matrix {
                Matrix::Ih(l) => {
                    let s = layer(l).shape;
                    (layer(l).w_ih.clone(), s.panels(), s.k_x(), s.d_x_panels())
                }
                Matrix::Hh(l) => {
                    let s = layer(l).shape;
                    (layer(l).w_hh.clone(), s.h_panels(), s.k_h(), s.d_h_panels())
                }
                Matrix::Inner(l) => {
                    let s = layer(l).shape;
                    (layer(l).inner.clone(), s.inner_panels(), s.k_inner(), s.unit_panels())
                }
                Matrix::Head => match layout.head() {
                    Some(h) => (h.w.clone(), h.panels(), h.k_h(), h.d_h_panels()),
                    None => return,
                },
            };
            kernels.transpose(&masters[range], panels, k, (to, panel), first, out);
        });
        // After them: the rows of a tied embedding are the readout's transposed weights.
        let embedding = layout.embedding_rows(masters, &self.transposed);
        crew.tiles(&mut self.start, &self.start_borders, |i, out| {
            let StartTile { layer, panel, first } = self.start_tiles[i];
            let layer = &layout.layers()[layer];
            let embedding = embedding.filter(|_| layer.shape.embedded());
            kernels.start_rows(layer, masters, embedding, (panel, first), out);
        });
    }
    /// The tensor that holds flat element `at`, for messages.
    pub fn tensor_at(&self, at: usize) -> String {
        for spec in &self.specs {
            let mut found = false;
            each(&self.layout, spec, |_, flat| found |= flat == at);
            if found {
                return spec.name.clone();
            }
        }
        "padding".into()
    }
    /// A tensor in PyTorch's layout, taken from a flat buffer of this layout (masters, a gradient, a moment).
    pub fn export(&self, spec: &TensorSpec, flat: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; spec.len()];
        spec.export(&self.layout, flat, &mut out);
        out
    }
    /// A tensor of the masters in PyTorch's layout.
    pub fn get(&self, spec: &TensorSpec) -> Vec<f32> {
        self.export(spec, &self.masters)
    }
    /// Puts a tensor in PyTorch's layout into a flat buffer of this layout. Errors: another number of elements.
    pub fn import(&self, spec: &TensorSpec, data: &[f32], flat: &mut [f32]) -> Result<(), ParamsError> {
        sized(spec, data)?;
        import_on(&Crew::alone(), &self.layout, spec, data, flat);
        Ok(())
    }
    /// Sets a master tensor by name. Errors: no such name, another number of elements.
    pub fn set(&mut self, name: &str, data: &[f32]) -> Result<(), ParamsError> {
        self.set_on(&Crew::alone(), name, data)
    }
    /// [`Params::set`] on all workers of a crew.
    pub fn set_on(&mut self, crew: &Crew, name: &str, data: &[f32]) -> Result<(), ParamsError> {
        let spec = self.specs.iter().find(|s| s.name == name).ok_or_else(|| ParamsError::Unknown(name.into()))?;
        sized(spec, data)?;
        import_on(crew, &self.layout, spec, data, &mut self.masters);
        Ok(())
    }
}

/// Errors: another number of elements than the tensor's.
fn sized(spec: &TensorSpec, data: &[f32]) -> Result<(), ParamsError> {
    if data.len() == spec.len() {
        return Ok(());
    }
    Err(ParamsError::Size { name: spec.name.clone(), found: data.len(), expected: spec.len() })
}
