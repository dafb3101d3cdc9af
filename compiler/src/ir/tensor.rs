//! Tensors of f64, in which the meaning of operators is written.

use super::types::contiguous_strides;

/// A contiguous tensor; integers and truths are carried as whole floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Tensor {
    /// A tensor of these numbers in row-major order.
    ///
    /// # Panics
    /// If there are not as many numbers as the shape says.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f64>) -> Tensor {
        let shape = shape.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "as many numbers as the shape {shape:?} says"
        );
        Tensor { shape, data }
    }

    /// A tensor whose elements are computed from their coordinates.
    pub fn from_fn(shape: impl Into<Vec<usize>>, mut f: impl FnMut(&[usize]) -> f64) -> Tensor {
        let shape = shape.into();
        let mut data = Vec::with_capacity(shape.iter().product());
        for_each_point(&shape, |at| data.push(f(at)));
        Tensor { shape, data }
    }

    /// The extent of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers in row-major order.
    #[must_use]
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// The numbers, to be changed.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// The element at these coordinates.
    #[must_use]
    pub fn at(&self, coordinates: &[usize]) -> f64 {
        self.data[self.place(coordinates)]
    }

    /// The element that a broadcast result reads at these coordinates: axes align on the right, and an axis
    /// of extent 1 repeats.
    #[must_use]
    pub fn broadcast_at(&self, coordinates: &[usize]) -> f64 {
        let skip = coordinates.len() - self.shape.len();
        let mut place = 0;
        for (&extent, &c) in self.shape.iter().zip(&coordinates[skip..]) {
            place = place * extent + if extent == 1 { 0 } else { c };
        }
        self.data[place]
    }

    /// Where the element at these coordinates lies.
    #[must_use]
    pub fn place(&self, coordinates: &[usize]) -> usize {
        let mut place = 0;
        for (&extent, &c) in self.shape.iter().zip(coordinates) {
            debug_assert!(c < extent, "coordinate {c} of an axis of extent {extent}");
            place = place * extent + c;
        }
        place
    }

    /// The same numbers under another shape.
    #[must_use]
    pub fn reshaped(&self, shape: &[usize]) -> Tensor {
        Tensor::new(shape, self.data.clone())
    }

    /// The distance between neighbours along each axis, in elements.
    #[must_use]
    pub fn strides(&self) -> Vec<usize> {
        contiguous_strides(&self.shape)
    }
}

/// Calls `f` with the coordinates of every point of a space, in row-major order.
pub fn for_each_point(shape: &[usize], mut f: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut at = vec![0; shape.len()];
    loop {
        f(&at);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
}
