//! A tensor on the host: its name, its type and its bytes.

use nnc_wgsl::{Element, half_value};

/// A named tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its path, such as `layer1.0.conv.weight`.
    pub path: String,
    /// What is stored.
    pub element: Element,
    /// Its logical shape.
    pub shape: Vec<usize>,
    /// Its elements, row-major, little-endian; bytes are padded to whole words.
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// Its elements as numbers; bytes and truths as 0, 1, ....
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        let count: usize = self.shape.iter().product();
        let words = || self.bytes.as_chunks::<4>().0.iter().take(count);
        match self.element {
            Element::F32 => words().map(|w| f64::from(f32::from_le_bytes(*w))).collect(),
            Element::F16 => {
                let halves = self.bytes.as_chunks::<2>().0.iter().take(count);
                halves.map(|h| half_value(u16::from_le_bytes(*h))).collect()
            }
            Element::I32 => words().map(|w| f64::from(i32::from_le_bytes(*w))).collect(),
            Element::Bool => words().map(|w| f64::from(u32::from_le_bytes(*w))).collect(),
            Element::U8 => self.bytes.iter().take(count).map(|b| f64::from(*b)).collect(),
        }
    }
}
