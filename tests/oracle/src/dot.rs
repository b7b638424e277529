//! Dot products, matrix products and sums: one accumulator, index ascending.
//!
//! `matmul` computes C = op(A) * op(B) with each operand read as it lies or transposed; the three products that a
//! recurrent layer needs (forward, input gradient, weight gradient) are instances of it.

use crate::expect_len;
use crate::scalar::Scalar;

/// `sum over k of a[k] * b[k]`, k ascending. Shapes: `a [K]`, `b [K]`.
pub fn dot<S: Scalar>(a: &[S], b: &[S]) -> S {
    expect_len("dot: b", b.len(), a.len());
    let mut sum = S::constant(0.0);
    for k in 0..a.len() {
        sum = sum + a[k] * b[k];
    }
    sum
}

/// `sum over k of values[k]`, k ascending.
pub fn sum<S: Scalar>(values: &[S]) -> S {
    let mut sum = S::constant(0.0);
    for &x in values {
        sum = sum + x;
    }
    sum
}

/// How an operand of [`matmul`] lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stored {
    /// Row-major, as named in the product.
    AsIs,
    /// Row-major, but transposed: `A [M, K]` lies as `[K, M]`.
    Transposed,
}

/// Sizes of a matrix product.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// The summed dimension.
    pub k: usize,
    /// How A lies.
    pub a: Stored,
    /// How B lies.
    pub b: Stored,
}

/// `C[i, j] = sum over k of A[i, k] * B[k, j]`, k ascending.
///
/// Shapes: A `[M, K]`, B `[K, N]`, each row-major or transposed as `product` says; the result `[M, N]`.
pub fn matmul<S: Scalar>(product: Product, a: &[S], b: &[S]) -> Vec<S> {
    let Product { m, n, k: depth, .. } = product;
    expect_len("matmul: A", a.len(), m * depth);
    expect_len("matmul: B", b.len(), depth * n);
    let mut c = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let mut sum = S::constant(0.0);
            for k in 0..depth {
                let left = match product.a {
                    Stored::AsIs => a[i * depth + k],
                    Stored::Transposed => a[k * m + i],
                };
                let right = match product.b {
                    Stored::AsIs => b[k * n + j],
                    Stored::Transposed => b[j * depth + k],
                };
                sum = sum + left * right;
            }
            c.push(sum);
        }
    }
    c
}

/// `y[r] = sum over k of W[r, k] * x[k]`. Shapes: `w [R, K]`, `x [K]`; the result `[R]`.
pub fn matvec<S: Scalar>(w: &[S], x: &[S], rows: usize) -> Vec<S> {
    matmul(Product { m: rows, n: 1, k: x.len(), a: Stored::AsIs, b: Stored::AsIs }, w, x)
}

/// `y[k] = sum over r of W[r, k] * d[r]`: the transpose times a vector. Shapes: `w [R, K]`, `d [R]`; the result `[K]`.
pub fn matvec_transposed<S: Scalar>(w: &[S], d: &[S], columns: usize) -> Vec<S> {
    matmul(Product { m: columns, n: 1, k: d.len(), a: Stored::Transposed, b: Stored::AsIs }, w, d)
}

/// `dW[r, k] = sum over n of d[n, r] * x[n, k]`: a weight gradient over N tokens, in their order.
///
/// Shapes: `d [N, R]`, `x [N, K]`; the result `[R, K]`.
pub fn weight_gradient(d: &[f64], x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let tokens = d.len() / rows;
    matmul(Product { m: rows, n: columns, k: tokens, a: Stored::Transposed, b: Stored::AsIs }, d, x)
}

/// `s[r] = sum over n of d[n, r]`: a bias gradient over N tokens, in their order. Shapes: `d [N, R]`; the result `[R]`.
pub fn column_sums(d: &[f64], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for n in 0..d.len() / columns {
        for r in 0..columns {
            sums[r] += d[n * columns + r];
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [2, 3]
    const A_T: [f64; 6] = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]; // [3, 2]
    const B: [f64; 12] = [1.0, 0.0, 2.0, -1.0, 3.0, 1.0, 0.0, 2.0, -2.0, 4.0, 1.0, 5.0]; // [3, 4]
    const B_T: [f64; 12] = [1.0, 3.0, -2.0, 0.0, 1.0, 4.0, 2.0, 0.0, 1.0, -1.0, 2.0, 5.0]; // [4, 3]
    const C: [f64; 8] = [1.0, 14.0, 5.0, 18.0, 7.0, 29.0, 14.0, 36.0]; // [2, 4], by hand

    #[test]
    fn matmul_by_hand_in_all_storages() {
        for (a_stored, a) in [(Stored::AsIs, &A), (Stored::Transposed, &A_T)] {
            for (b_stored, b) in [(Stored::AsIs, &B), (Stored::Transposed, &B_T)] {
                assert_eq!(matmul(Product { m: 2, n: 4, k: 3, a: a_stored, b: b_stored }, a, b), C);
            }
        }
    }

    #[test]
    fn vectors_sums_and_gradients_by_hand() {
        assert_eq!(matvec(&A, &[1.0, 0.0, -1.0], 2), [-2.0, -2.0]);
        assert_eq!(matvec_transposed(&A, &[1.0, -1.0], 3), [-3.0, -3.0, -3.0]);
        assert_eq!(dot(&A[..3], &A[3..]), 32.0);
        assert_eq!(sum(&A), 21.0);
        // Two tokens: d [2, 2], x [2, 3].
        assert_eq!(weight_gradient(&[1.0, 2.0, 3.0, 4.0], &A, 2, 3), [13.0, 17.0, 21.0, 18.0, 24.0, 30.0]);
        assert_eq!(column_sums(&[1.0, 2.0, 3.0, 4.0], 2), [4.0, 6.0]);
    }

    #[test]
    #[should_panic(expected = "matmul: B: 12 elements, but its shape has 9")]
    fn a_wrong_shape_is_named() {
        matmul(Product { m: 2, n: 3, k: 3, a: Stored::AsIs, b: Stored::AsIs }, &A, &B);
    }
}
