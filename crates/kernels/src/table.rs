//! The table of entry points: one static per tier, reachable only through detection, and the safe methods before it.
//!
//! A method checks shapes once, resolves ids to addresses, and calls its tier's entry point. All unsafe calls of this
//! file rest on two facts: a `Kernels` holds a table whose tier was detected, and the checks just above the call.

use crate::isa::{Isa, IsaError};
use crate::op::attend::{Memory, MemoryGrad};
use crate::op::derive::StartRows;
use crate::op::embedding::EmbeddingGrad;
use crate::op::gate_grad::Backward;
use crate::op::gates::Forward;
use crate::op::input::InputProduct;
use crate::op::input_grad::InputGrad;
use crate::op::level::Level;
use crate::op::readout::{HeadGrad, Readout};
use crate::op::update::{Adam, Gradient, Momentum, RootSquare};
use crate::op::variant::inner::InnerGrad;
use crate::op::weight_grad::{Along, Columns, WeightGrad};
use crate::pack::Panels;
use crate::tokens::{Order, Part, Tokens};
use crate::view::Column;

/// Adam on flat stretches: scalars, w, g, m, v.
type AdamEntry = unsafe fn(&Gradient, &Adam, &mut [f32], &[f32], &mut [f32], &mut [f32]);
/// A rule `R` with one moment on flat stretches: scalars, w, g, moment.
type MomentEntry<R> = unsafe fn(&Gradient, &R, &mut [f32], &[f32], &mut [f32]);
/// from, its panels, its rows; to, its panel, the first packed column, out.
type TransposeEntry = unsafe fn(&[f32], Panels, usize, Panels, usize, usize, &mut [f32]);

/// The entry points of one tier.
pub(crate) struct Table {
    pub(crate) input: unsafe fn(&InputProduct<'_>),
    pub(crate) forward: unsafe fn(&Forward<'_>),
    pub(crate) level: unsafe fn(&Level<'_>),
    pub(crate) backward: unsafe fn(&Backward<'_>),
    /// Of cells beside the plain ones.
    pub(crate) variant: Variants,
    pub(crate) input_grad: unsafe fn(&InputGrad<'_>),
    pub(crate) readout: unsafe fn(&Readout<'_>),
    pub(crate) head_grad: unsafe fn(&HeadGrad<'_>),
    pub(crate) weight_grad: unsafe fn(&WeightGrad<'_>, &mut [f32], Along<'_>),
    pub(crate) symbol_grad: unsafe fn(Columns, &[u32], &Tokens, &Part, &mut [f32]),
    pub(crate) embedded_weight_grad: unsafe fn(Columns, Columns, usize, &mut [f32]),
    pub(crate) embedding_grad: unsafe fn(&EmbeddingGrad<'_>, &mut [f32]),
    pub(crate) attend: unsafe fn(&Memory<'_>, &mut [f32], &mut [f32]),
    pub(crate) attend_grad: unsafe fn(&Memory<'_>, &[f32], &[f32], &mut MemoryGrad<'_>),
    pub(crate) sum_squares: unsafe fn(&[f32]) -> f64,
    pub(crate) add: unsafe fn(&mut [f32], &[f32]),
    pub(crate) adam: AdamEntry,
    pub(crate) root_square: MomentEntry<RootSquare>,
    pub(crate) momentum: MomentEntry<Momentum>,
    pub(crate) sgd: unsafe fn(&Gradient, f32, &mut [f32], &[f32]),
    pub(crate) start_rows: unsafe fn(&StartRows<'_>, &mut [f32]),
    pub(crate) transpose: TransposeEntry,
    pub(crate) tanh: unsafe fn(&[f32], &mut [f32]),
    pub(crate) sigmoid: unsafe fn(&[f32], &mut [f32]),
    pub(crate) exp: unsafe fn(&[f32], &mut [f32]),
    pub(crate) fma_chains: unsafe fn(&[f32], f32, f32, u64) -> f32,
    pub(crate) read: unsafe fn(&[f32]) -> f32,
    pub(crate) chains: usize,
    pub(crate) tiles: TileRows,
}

/// The entry points of cells beside the plain ones.
pub(crate) struct Variants {
    pub(crate) forward: unsafe fn(&Forward<'_>),
    pub(crate) inner: unsafe fn(&Forward<'_>),
    pub(crate) backward: unsafe fn(&Backward<'_>),
    pub(crate) output_grad: unsafe fn(&Backward<'_>),
    pub(crate) inner_grad: unsafe fn(&InnerGrad<'_>),
    pub(crate) peephole_grad: PeepholeEntry,
}

/// The peepholes' gradient: d and c, the tokens and their order, which of them, out.
type PeepholeEntry = unsafe fn((Columns, Column), (&Tokens, Order), &Part, &mut [f32]);

/// Rows of a tier's tiles whose panel has 1, 2, 3 or 4 vectors of 16 columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileRows {
    /// Lanes of a tile of the forward pass and of the input gradient.
    pub lanes: [usize; 4],
    /// Rows of a tile of a weight gradient.
    pub weights: [usize; 4],
}

/// `out = f(x)`, sixteen at a time; the last few through a padded copy.
///
/// # Safety
/// - the tier is available; `out` is as long as `x`.
#[inline(always)]
pub(crate) unsafe fn map<V: crate::vector::Vector>(x: &[f32], out: &mut [f32], f: impl Fn(V) -> V) {
    for (x, out) in x.chunks(16).zip(out.chunks_mut(16)) {
        let mut lanes = [0.0; 16];
        lanes[..x.len()].copy_from_slice(x);
        // SAFETY: `lanes` holds 16 floats.
        unsafe { f(V::load(lanes.as_ptr())).store(lanes.as_mut_ptr()) };
        out.copy_from_slice(&lanes[..x.len()]);
    }
}

/// One entry point: a body inlined into a function with the tier's features.
macro_rules! entry {
    ([$($features:literal)?] $name:ident($($arg:ident: $t:ty),*) $(-> $r:ty)? = $body:expr) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $name($($arg: $t),*) $(-> $r)? {
            // SAFETY: the obligations of the body, passed on; the features are those of the tier.
            #[allow(unused_unsafe, reason = "some bodies are safe")]
            unsafe { ($body)($($arg),*) }
        }
    };
}
pub(crate) use entry;

/// Stamps a tier's entry points and its `TABLE`.
macro_rules! entries {
    ($($features:literal,)? $tiles:ty) => {
        mod entries {
            use super::*;
            use crate::op;
            use crate::op::{gate_grad::Backward, gates::Forward, input::InputProduct, input_grad::InputGrad};
            use crate::op::attend::{Memory, MemoryGrad};
            use crate::op::{derive::StartRows, embedding::EmbeddingGrad, level::Level};
            use crate::op::{readout::{HeadGrad, Readout}, weight_grad::{Along, Columns, WeightGrad}};
            use crate::op::update::{Adam, Gradient, Momentum, RootSquare};
            use crate::pack::Panels;
            use crate::op::variant::inner::InnerGrad;
            use crate::table::{Table, TileRows, Variants, entry, map};
            use crate::tokens::{Order, Part, Tokens};
            use crate::view::Column;
            type V = <$tiles as Tier>::V;

            entry!([$($features)?] input(f: &InputProduct<'_>) = op::input::input::<$tiles>);
            entry!([$($features)?] forward(f: &Forward<'_>) = op::gates::forward::<$tiles>);
            entry!([$($features)?] backward(b: &Backward<'_>) = op::gate_grad::backward::<$tiles>);
            entry!([$($features)?] variant_forward(f: &Forward<'_>) = op::variant::forward::<$tiles>);
            entry!([$($features)?] inner(f: &Forward<'_>) = op::variant::inner::forward::<$tiles>);
            entry!([$($features)?] variant_backward(b: &Backward<'_>) = op::variant::backward::<$tiles>);
            entry!([$($features)?] output_grad(b: &Backward<'_>) = op::variant::inner::output_grad::<$tiles>);
            entry!([$($features)?] inner_grad(g: &InnerGrad<'_>) = op::variant::inner::grad::<$tiles>);
            entry!([$($features)?] peephole_grad(
                rows: (Columns, Column), tokens: (&Tokens, Order), part: &Part, out: &mut [f32])
                = op::variant::peephole::peephole_grad::<V>);
            entry!([$($features)?] input_grad(g: &InputGrad<'_>) = op::input_grad::input_grad::<$tiles>);
            entry!([$($features)?] level(l: &Level<'_>) = op::level::level::<$tiles>);
            entry!([$($features)?] readout(r: &Readout<'_>) = op::readout::readout::<$tiles>);
            entry!([$($features)?] head_grad(g: &HeadGrad<'_>) = op::readout::head_grad::<$tiles>);
            entry!([$($features)?] weight_grad(g: &WeightGrad<'_>, out: &mut [f32], along: Along<'_>)
                = op::weight_grad::weight_grad::<$tiles>);
            entry!([$($features)?] symbol_grad(
                d: Columns, ids: &[u32], tokens: &Tokens, part: &Part, out: &mut [f32])
                = op::weight_grad::symbol_grad::<V>);
            entry!([$($features)?] embedded_weight_grad(a: Columns, d: Columns, symbols: usize, out: &mut [f32])
                = op::weight_grad::embedded_weight_grad::<$tiles>);
            entry!([$($features)?] embedding_grad(g: &EmbeddingGrad<'_>, out: &mut [f32])
                = op::embedding::embedding_grad::<$tiles>);
            entry!([$($features)?] attend(m: &Memory<'_>, weights: &mut [f32], context: &mut [f32])
                = op::attend::attend::<V>);
            entry!([$($features)?] attend_grad(
                m: &Memory<'_>, weights: &[f32], d_context: &[f32], out: &mut MemoryGrad<'_>)
                = op::attend::attend_grad::<V>);
            entry!([$($features)?] sum_squares(block: &[f32]) -> f64 = op::sum::sum_squares);
            entry!([$($features)?] add(a: &mut [f32], b: &[f32]) = op::sum::add::<V>);
            entry!([$($features)?] adam(
                d: &Gradient, a: &Adam, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32])
                = op::update::adam::<V>);
            entry!([$($features)?] root_square(d: &Gradient, r: &RootSquare, w: &mut [f32], g: &[f32], v: &mut [f32])
                = op::update::root_square::<V>);
            entry!([$($features)?] momentum(d: &Gradient, a: &Momentum, w: &mut [f32], g: &[f32], m: &mut [f32])
                = op::update::momentum::<V>);
            entry!([$($features)?] sgd(d: &Gradient, lr: f32, w: &mut [f32], g: &[f32]) = op::update::sgd::<V>);
            entry!([$($features)?] start_rows(s: &StartRows<'_>, out: &mut [f32])
                = op::derive::start_rows::<$tiles>);
            entry!([$($features)?] transpose(
                from: &[f32], panels: Panels, k: usize, to: Panels, q: usize, first: usize, out: &mut [f32])
                = op::derive::transpose::<V>);
            entry!([$($features)?] tanh(x: &[f32], out: &mut [f32]) = |x, out| map(x, out, crate::math::tanh::<V>));
            entry!([$($features)?] sigmoid(x: &[f32], out: &mut [f32])
                = |x, out| map(x, out, crate::math::sigmoid::<V>));
            entry!([$($features)?] exp(x: &[f32], out: &mut [f32]) = |x, out| map(x, out, crate::math::exp::<V>));

            entry!([$($features)?] fma_chains(start: &[f32], a: f32, b: f32, repeats: u64) -> f32
                = op::peak::fma_chains::<V, { <$tiles as Tier>::CHAINS }>);
            entry!([$($features)?] read(x: &[f32]) -> f32 = op::peak::read::<V, { <$tiles as Tier>::CHAINS }>);

            /// This tier's entry points.
            pub(crate) static TABLE: Table = Table {
                variant: Variants {
                    forward: variant_forward, inner, backward: variant_backward, output_grad, inner_grad, peephole_grad,
                },
                input, forward, level, backward, input_grad, readout, head_grad, weight_grad, symbol_grad,
                embedded_weight_grad, embedding_grad, attend, attend_grad, sum_squares, add, adam, root_square, momentum, sgd, start_rows,
                transpose, tanh, sigmoid, exp, fma_chains, read,
                chains: <$tiles as Tier>::CHAINS,
                tiles: TileRows { lanes: <$tiles as Tier>::ROWS, weights: <$tiles as Tier>::TOKEN_ROWS },
            };
        }
        pub(crate) use entries::TABLE;
    };
}
pub(crate) use entries;

/// The kernels of one tier of this machine. To hold one is the proof that the CPU runs it.
#[derive(Clone, Copy)]
pub struct Kernels {
    isa: Isa,
    table: &'static Table,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernels({})", self.isa.name())
    }
}

impl Kernels {
    /// The kernels of `isa`. None where this machine lacks it.
    pub fn new(isa: Isa) -> Option<Self> {
        if !isa.is_available() {
            return None;
        }
        let table = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &crate::arch::avx512::TABLE,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &crate::arch::avx2::TABLE,
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2 => return None,
            Isa::Portable => &crate::arch::portable::TABLE,
        };
        Some(Self { isa, table })
    }
    /// The tier that `GATEMILL_ISA` names, or this machine's best. Errors: an unknown or absent tier.
    pub fn from_env() -> Result<Self, IsaError> {
        let isa = Isa::from_env()?;
        Self::new(isa).ok_or(IsaError::Absent(isa.name(), Isa::best().name()))
    }
    /// The best tier of this machine.
    pub fn best() -> Self {
        Self::available().next().expect("the portable tier is always there")
    }
    /// Every tier of this machine, best first: the loop of tests, fuzzing and benches.
    pub fn available() -> impl Iterator<Item = Self> {
        Isa::ALL.into_iter().filter_map(Self::new)
    }
    /// The tier.
    pub fn isa(&self) -> Isa {
        self.isa
    }
    /// The tier's name.
    pub fn name(&self) -> &'static str {
        self.isa.name()
    }
    /// The sizes of the tiles in which its matrix products are computed.
    pub fn tiles(&self) -> TileRows {
        self.table.tiles
    }
    pub(crate) fn table(&self) -> &'static Table {
        self.table
    }

    /// `out = tanh(x)`, element by element; the bound is in `doc/numerics.md`. Panics where the lengths differ.
    pub fn tanh(&self, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "tanh: lengths differ");
        // SAFETY: equal lengths, detected tier.
        unsafe { (self.table.tanh)(x, out) }
    }
    /// `out = 1 / (1 + exp(-x))`, element by element. Panics where the lengths differ.
    pub fn sigmoid(&self, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "sigmoid: lengths differ");
        // SAFETY: equal lengths, detected tier.
        unsafe { (self.table.sigmoid)(x, out) }
    }
    /// `out = exp(x)`, element by element. Panics where the lengths differ.
    pub fn exp(&self, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "exp: lengths differ");
        // SAFETY: equal lengths, detected tier.
        unsafe { (self.table.exp)(x, out) }
    }
    /// Sum of squares of one block in f64, in a fixed order.
    pub fn sum_squares(&self, block: &[f32]) -> f64 {
        // SAFETY: detected tier.
        unsafe { (self.table.sum_squares)(block) }
    }
    /// `a += b`. Panics where the lengths differ.
    pub fn add(&self, a: &mut [f32], b: &[f32]) {
        assert_eq!(a.len(), b.len(), "add: lengths differ");
        // SAFETY: equal lengths, detected tier.
        unsafe { (self.table.add)(a, b) }
    }
    /// One step of Adam or AdamW on a stretch of the flat space. Panics where lengths differ or are no whole vectors.
    pub fn adam(&self, gradient: &Gradient, step: &Adam, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        equal_vectors("adam", w, [g, m, v]);
        // SAFETY: equal lengths of whole vectors, detected tier.
        unsafe { (self.table.adam)(gradient, step, w, g, m, v) }
    }
    /// One step of RMSprop or Adagrad on a stretch of the flat space. Panics where lengths differ or are no whole vectors.
    pub fn root_square(&self, gradient: &Gradient, step: &RootSquare, w: &mut [f32], g: &[f32], v: &mut [f32]) {
        equal_vectors("root square", w, [g, v]);
        // SAFETY: equal lengths of whole vectors, detected tier.
        unsafe { (self.table.root_square)(gradient, step, w, g, v) }
    }
    /// One step of SGD with momentum on a stretch of the flat space. Panics where lengths differ or are no whole vectors.
    pub fn momentum(&self, gradient: &Gradient, step: &Momentum, w: &mut [f32], g: &[f32], m: &mut [f32]) {
        equal_vectors("momentum", w, [g, m]);
        // SAFETY: equal lengths of whole vectors, detected tier.
        unsafe { (self.table.momentum)(gradient, step, w, g, m) }
    }
    /// One step of plain SGD on a stretch of the flat space. Panics where lengths differ or are no whole vectors.
    pub fn sgd(&self, gradient: &Gradient, lr: f32, w: &mut [f32], g: &[f32]) {
        equal_vectors("sgd", w, [g]);
        // SAFETY: equal lengths of whole vectors, detected tier.
        unsafe { (self.table.sgd)(gradient, lr, w, g) }
    }
}

/// Panics where `w` is no whole number of vectors or one of `others` has another length.
fn equal_vectors<const N: usize>(rule: &str, w: &[f32], others: [&[f32]; N]) {
    assert!(w.len().is_multiple_of(16), "{rule}: {} is no whole number of vectors", w.len());
    let lengths = others.map(<[f32]>::len);
    assert!(lengths.iter().all(|&len| len == w.len()), "{rule}: lengths differ: {} and {lengths:?}", w.len());
}
