//! What one number is: in a formula (`Scalar`), and where it is stored (`Element`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of one value inside a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scalar {
    /// A 32-bit float; the only type that has gradients.
    F32,
    /// A 32-bit signed integer.
    I32,
    /// A truth value.
    Bool,
}

/// The type of one value in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Element {
    /// A 32-bit float.
    F32,
    /// A 16-bit float, widened to `f32` where it is read and rounded where it is written. Values between kernels only.
    F16,
    /// A 32-bit signed integer.
    I32,
    /// A truth value, stored as a 32-bit word that is 0 or 1.
    Bool,
    /// A byte, four to a word, widened to `f32` where it is read. Data inputs only.
    U8,
}

impl Element {
    /// The type a formula sees after a load.
    #[must_use]
    pub fn scalar(self) -> Scalar {
        match self {
            Element::F32 | Element::F16 | Element::U8 => Scalar::F32,
            Element::I32 => Scalar::I32,
            Element::Bool => Scalar::Bool,
        }
    }

    /// The storage of a formula's result.
    #[must_use]
    pub fn of(scalar: Scalar) -> Element {
        match scalar {
            Scalar::F32 => Element::F32,
            Scalar::I32 => Element::I32,
            Scalar::Bool => Element::Bool,
        }
    }

    /// Bytes that `count` elements take, whole words.
    #[must_use]
    pub fn bytes(self, count: usize) -> usize {
        match self {
            Element::F32 | Element::I32 | Element::Bool => count * 4,
            Element::F16 => count.div_ceil(2) * 4,
            Element::U8 => count.div_ceil(4) * 4,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
            Element::I32 => "i32",
            Element::Bool => "bool",
            Element::U8 => "u8",
        })
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Element::of(*self).fmt(f)
    }
}
