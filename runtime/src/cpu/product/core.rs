//! The core of a product: a few rows of one panel times two vectors of another one, in registers.

use pulp::{Simd, WithSimd};

/// Rows of a panel of the left operand.
pub(in crate::cpu) const ROWS: usize = 6;

/// Vectors of a panel of the right operand.
const VECTORS: usize = 2;

/// Columns of a panel of the right operand on this processor.
pub(in crate::cpu) fn columns(arch: pulp::Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES * VECTORS
        }
    }
    arch.dispatch(Lanes)
}

/// Packed operands: panel after panel, each term by term.
pub(super) struct Panels<'a> {
    /// Panels of [`ROWS`] rows.
    pub(super) left: &'a [f32],
    /// Panels of [`columns`] columns.
    pub(super) right: &'a [f32],
    /// Terms of each.
    pub(super) depth: usize,
    /// Panels of `left`.
    pub(super) rows: usize,
    /// Panels of `right`.
    pub(super) columns: usize,
    /// Whether the tile begins here, and holds nothing yet.
    pub(super) begins: bool,
}

/// Adds the product of the panels to a tile whose rows are as long as the panels are wide.
pub(super) fn multiply(arch: pulp::Arch, panels: &Panels<'_>, tile: &mut [f32]) {
    arch.dispatch(Multiply { panels, tile });
}

struct Multiply<'a> {
    panels: &'a Panels<'a>,
    tile: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let &Panels { left, right, depth, rows, columns, begins } = self.panels;
        let width = S::F32_LANES * VECTORS;
        let pitch = columns * width;
        for i in 0..rows {
            let left = &left[i * ROWS * depth..(i + 1) * ROWS * depth];
            let rows = &mut self.tile[i * ROWS * pitch..(i + 1) * ROWS * pitch];
            for j in 0..columns {
                let right = &right[j * width * depth..(j + 1) * width * depth];
                let sums = block(simd, left, right);
                for (row, sums) in rows.chunks_exact_mut(pitch).zip(sums) {
                    let (vectors, _) = S::as_mut_simd_f32s(&mut row[j * width..(j + 1) * width]);
                    for (to, sum) in vectors.iter_mut().zip(sums) {
                        *to = if begins { sum } else { simd.add_f32s(*to, sum) };
                    }
                }
            }
        }
    }
}

/// The product of two panels.
#[inline(always)]
fn block<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let (right, _) = S::as_simd_f32s(right);
    for (a, b) in left.as_chunks::<ROWS>().0.iter().zip(right.as_chunks::<VECTORS>().0) {
        for i in 0..ROWS {
            let a = simd.splat_f32s(a[i]);
            for v in 0..VECTORS {
                sums[i][v] = simd.mul_add_e_f32s(a, b[v], sums[i][v]);
            }
        }
    }
    sums
}
