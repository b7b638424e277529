//! `C [M, N] = A [M, K] B [K, N]`: in plain f64 loops, and by the rivals, each on one thread.
//!
//! The rivals do the bare product of operands that lie as PyTorch keeps them; what Gatemill does around it (packing once
//! per update, biases, activations, the carried gradient) is named in each bench.
#![allow(unsafe_code, reason = "two rivals take pointers; the lengths are checked by `Operand` and `Product`")]

use faer::{Accum, MatMut, MatRef, Par};
use gatemill_oracle::compare::worst_by_rms;

/// A matrix in memory.
#[derive(Debug)]
pub struct Operand {
    data: Vec<f32>,
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl Operand {
    /// `[rows, columns]`, row after row. Panics where the data has another length.
    pub fn new(data: Vec<f32>, rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "an operand of {rows} x {columns}");
        Self { data, rows, columns, transposed: false }
    }
    /// The same memory as the `[columns, rows]` matrix.
    pub fn transposed(self) -> Self {
        Self { data: self.data, rows: self.columns, columns: self.rows, transposed: !self.transposed }
    }
    /// Elements from row to row, and from column to column.
    fn strides(&self) -> (isize, isize) {
        if self.transposed { (1, self.rows as isize) } else { (self.columns as isize, 1) }
    }
    fn at(&self, row: usize, column: usize) -> f64 {
        let (down, right) = self.strides();
        f64::from(self.data[row * down as usize + column * right as usize])
    }
    fn faer(&self) -> MatRef<'_, f32> {
        if self.transposed {
            MatRef::from_column_major_slice(&self.data, self.rows, self.columns)
        } else {
            MatRef::from_row_major_slice(&self.data, self.rows, self.columns)
        }
    }
}

/// A product and its truth.
#[derive(Debug)]
pub struct Product {
    m: usize,
    n: usize,
    k: usize,
    a: Operand,
    b: Operand,
    truth: Vec<f64>,
}

/// Writes C `[M, N]`, row-major.
pub type Rival = fn(&Product, &mut [f32]);

/// Other people's products, by crate.
pub const RIVALS: [(&str, Rival); 3] = [("matrixmultiply", matrixmultiply), ("gemm", gemm), ("faer", faer)];

impl Product {
    /// A B, with its truth by plain f64 loops, k ascending. Panics where the sizes do not meet.
    pub fn new(a: Operand, b: Operand) -> Self {
        assert_eq!(a.columns, b.rows, "the columns of A are the rows of B");
        let (m, n, k) = (a.rows, b.columns, a.columns);
        let b_rows: Vec<f64> = (0..k * n).map(|i| b.at(i / n, i % n)).collect();
        let mut truth = vec![0.0; m * n];
        for (i, c) in truth.chunks_exact_mut(n).enumerate() {
            for (k, b) in b_rows.chunks_exact(n).enumerate() {
                let a = a.at(i, k);
                for (c, b) in c.iter_mut().zip(b) {
                    *c += a * b;
                }
            }
        }
        Self { m, n, k, a, b, truth }
    }
    /// C `[M, N]` in f64.
    pub fn truth(&self) -> &[f64] {
        &self.truth
    }
    /// Multiplications and additions.
    pub fn flop(&self) -> u64 {
        2 * (self.m * self.n * self.k) as u64
    }
    /// `M x N x K`.
    pub fn size(&self) -> String {
        format!("{}x{}x{}", self.m, self.n, self.k)
    }
    /// Panics where a rival's C is another one.
    pub fn hold_rivals(&self) {
        for (name, rival) in RIVALS {
            // An element that is left out would be NaN.
            let mut c = vec![f32::NAN; self.m * self.n];
            rival(self, &mut c);
            hold(name, &c, &self.truth);
        }
    }
    fn check(&self, c: &[f32]) {
        assert_eq!(c.len(), self.m * self.n, "C of {}", self.size());
    }
}

/// Panics where f32 results are not the f64 ones: 1e-5 of an element or of the tensor's root mean square, whichever is
/// more. Rounding in f32 makes a tenth of that at the largest k here.
pub fn hold(who: &str, found: &[f32], truth: &[f64]) {
    let found: Vec<f64> = found.iter().map(|&x| f64::from(x)).collect();
    let worst = worst_by_rms(&found, truth);
    assert!(worst.error < 1e-5, "{who}: {worst:?}");
}

fn matrixmultiply(p: &Product, c: &mut [f32]) {
    p.check(c);
    let ((ra, ca), (rb, cb), n) = (p.a.strides(), p.b.strides(), p.n as isize);
    let (a, b) = (p.a.data.as_ptr(), p.b.data.as_ptr());
    // SAFETY: `Operand` holds rows x columns elements at its strides, `Product` made the sizes meet, and C was just checked.
    unsafe { matrixmultiply::sgemm(p.m, p.k, p.n, 1.0, a, ra, ca, b, rb, cb, 0.0, c.as_mut_ptr(), n, 1) }
}

fn gemm(p: &Product, c: &mut [f32]) {
    p.check(c);
    let ((ra, ca), (rb, cb), n) = (p.a.strides(), p.b.strides(), p.n as isize);
    let (a, b, c) = (p.a.data.as_ptr(), p.b.data.as_ptr(), c.as_mut_ptr());
    let alone = gemm::Parallelism::None;
    // SAFETY: as above; column strides come first here.
    unsafe {
        gemm::gemm(p.m, p.n, p.k, c, 1, n, false, a, ca, ra, b, cb, rb, 0.0, 1.0, false, false, false, alone);
    }
}

fn faer(p: &Product, c: &mut [f32]) {
    let c = MatMut::from_row_major_slice_mut(c, p.m, p.n);
    faer::linalg::matmul::matmul(c, Accum::Replace, p.a.faer(), p.b.faer(), 1.0, Par::Seq);
}
