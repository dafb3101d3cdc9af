//! The block of host scalars: which word holds which number.

use nnc_runtime::artifact::{HostScalar, HostSymbol};
use nnc_wgsl::{Element, Expr, HOST_FIRST_FREE, HOST_SLOTS};

/// The host scalars of a program, each distinct formula once.
#[derive(Clone, Debug, Default)]
pub struct HostTable {
    scalars: Vec<HostScalar>,
}

impl HostTable {
    /// The word that holds this number.
    ///
    /// # Panics
    /// If the block is full: a program has at most 60 distinct schedules.
    pub fn slot(&mut self, element: Element, expr: &Expr, symbols: &[HostSymbol]) -> u32 {
        let same = |s: &&HostScalar| s.element == element && s.expr == *expr && s.symbols == symbols;
        if let Some(known) = self.scalars.iter().find(same) {
            return known.slot;
        }
        let slot = HOST_FIRST_FREE + u32::try_from(self.scalars.len()).expect("few host scalars");
        assert!((slot as usize) < HOST_SLOTS, "a program has at most {HOST_SLOTS} host scalars");
        self.scalars.push(HostScalar { slot, element, expr: expr.clone(), symbols: symbols.to_vec() });
        slot
    }

    /// All of them, in slot order.
    #[must_use]
    pub fn into_scalars(self) -> Vec<HostScalar> {
        self.scalars
    }
}
