//! Why values between products are stored after all.

/// What stands against one kernel from the products that open a row to those that close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They leave the chain: they are a result, or something reads them that neither maps, reduces nor sums them.
    Leave,
    /// They are held against others for equality, which values that are computed again may lose.
    Equality,
    /// They are reduced along several axes, as the gradient of a learned bias does.
    Axes,
    /// A row of so many values is longer than a workgroup's memory holds.
    Length(usize),
    /// A kernel would bind more than so many buffers.
    Buffers(u32),
    /// A product or a map has no place for its operands in a row.
    Form,
}
