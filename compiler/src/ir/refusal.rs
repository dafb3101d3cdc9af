//! Why a pass left a value as it is, where one looks for the rewrite.

/// What stands against one kernel from the products that open a row to those that close it, or against one convolution
/// in the place of several.
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
    /// The convolution stays by itself.
    Lone(Lone),
}

/// Why a convolution, or a gradient of one, is not one with others of the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lone {
    /// It leaves the program.
    Leaves,
    /// Something reads it in one piece.
    Read,
    /// Nothing but maps reads it, which end its own kernel.
    Ends,
    /// Its weight does not lie beside those of the others.
    Weights,
    /// No kernel writes what it is made of where it would be read.
    Gradient,
    /// Together they are longer than a binding.
    Length,
    /// One of them waits for another.
    Waits,
}
