//! How many rewrites may be made: all of them, unless some are to be left out to see what they gain, or what they break.

use std::collections::BTreeMap;

/// A rewrite that is part of a pass, of the lowering or of the plan, and can be left out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A map lies in the kernel of the maps it reads.
    Maps,
    /// A map lies in the kernel of the product, convolution, pooling or lookup it reads.
    Epilogues,
    /// The gates of a cell lie in the kernel of their product.
    Gates,
    /// Reductions of rows lie with the maps before, between and after them: softmax, layer norm, cross entropy.
    Rows,
    /// Reductions of channels lie with the maps before, between and after them: batch norm and activation.
    Channels,
    /// Any other reduction lies with the maps before it.
    Columns,
    /// A map moves to the one kernel that reads it.
    Sinking,
    /// Kernels that do not read one another become one.
    Neighbours,
    /// The operands of a concat are written where the concat has them.
    Concats,
    /// Gradients of weights are written into their region.
    Packs,
    /// A result takes over the memory of an operand.
    InPlace,
    /// The next value of a stored tensor is written over the present one.
    NextValues,
    /// A value is computed a second time instead of being kept.
    Recompute,
}

impl Part {
    /// Its name, as `--skip` takes it: that of the step it belongs to, and its own.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Maps => "fuse.maps",
            Part::Epilogues => "fuse.epilogues",
            Part::Gates => "fuse.gates",
            Part::Rows => "fuse.rows",
            Part::Channels => "fuse.channels",
            Part::Columns => "fuse.columns",
            Part::Sinking => "fuse.sinking",
            Part::Neighbours => "fuse.neighbours",
            Part::Concats => "lower.concats",
            Part::Packs => "lower.packs",
            Part::InPlace => "plan.in_place",
            Part::NextValues => "plan.next_values",
            Part::Recompute => "plan.recompute",
        }
    }

    /// What it does.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Part::Maps => "maps lie with the maps they read",
            Part::Epilogues => "maps end the kernel of the product, convolution, pooling or lookup they read",
            Part::Gates => "the gates of a cell end the kernel of their product",
            Part::Rows => "softmax, layer norm, cross entropy and their like are one kernel",
            Part::Channels => "batch norm with what follows is one kernel",
            Part::Columns => "maps lie with the reduction of columns that reads them",
            Part::Sinking => "maps move to the one kernel that reads them",
            Part::Neighbours => "kernels over one space that do not read one another are one",
            Part::Concats => "operands of a concat are written where it has them",
            Part::Packs => "gradients of weights are written into their region",
            Part::InPlace => "results take over the memory of an operand",
            Part::NextValues => "next values of stored tensors are written over the present ones",
            Part::Recompute => "values are computed a second time instead of being kept",
        }
    }
}

/// How many more rewrites may be made, of each part and by the pass that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    pass: Option<usize>,
    parts: BTreeMap<Part, usize>,
}

impl Allowance {
    /// So many rewrites of each of these parts, and all of the others.
    #[must_use]
    pub fn of(parts: BTreeMap<Part, usize>) -> Allowance {
        Allowance { pass: None, parts }
    }

    /// Lets the pass that runs next make so many rewrites; all of them if `None`.
    pub fn allow(&mut self, rewrites: Option<usize>) {
        self.pass = rewrites;
    }

    /// Whether the pass that runs may make one more rewrite, which then counts as made.
    pub fn take(&mut self) -> bool {
        taken(self.pass.as_mut())
    }

    /// Whether one more rewrite of this part may be made, which then counts as made.
    pub fn take_part(&mut self, part: Part) -> bool {
        taken(self.parts.get_mut(&part))
    }
}

fn taken(left: Option<&mut usize>) -> bool {
    match left {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    }
}
