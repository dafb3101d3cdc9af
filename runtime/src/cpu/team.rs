//! The threads of a device and the memory that each of them works in.
//!
//! A step is divided by its specification alone, never by the number of threads, and each part is computed by one
//! thread: results are the same bits however many there are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::formula::{BLOCK, Registers};

/// What a thread works in, made when a session is opened.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Blocks of lanes of formulas.
    pub(super) registers: Registers,
    /// Blocks of lanes of reductions, and of what epilogues take.
    pub(super) totals: Registers,
    /// A tile of a product.
    pub(super) tile: Vec<f32>,
    /// Parts of the operands of a product, packed.
    pub(super) left: Vec<f32>,
    /// As `left`.
    pub(super) right: Vec<f32>,
    /// Places of a line that is put in order.
    pub(super) order: Vec<u32>,
}

/// How much of each a step takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Blocks.
    pub(super) registers: usize,
    /// Blocks.
    pub(super) totals: usize,
    /// Floats.
    pub(super) tile: usize,
    /// Floats.
    pub(super) left: usize,
    /// Floats.
    pub(super) right: usize,
    /// Places.
    pub(super) order: usize,
    /// Floats that all threads share.
    pub(super) shared: usize,
}

impl Needs {
    /// What suffices for both.
    pub(super) fn or(self, other: Needs) -> Needs {
        Needs {
            registers: self.registers.max(other.registers),
            totals: self.totals.max(other.totals),
            tile: self.tile.max(other.tile),
            left: self.left.max(other.left),
            right: self.right.max(other.right),
            order: self.order.max(other.order),
            shared: self.shared.max(other.shared),
        }
    }

    /// Bytes of one thread.
    pub(super) fn bytes(self) -> u64 {
        4 * ((self.registers + self.totals) * BLOCK + self.tile + self.left + self.right + self.order) as u64
    }
}

impl Scratch {
    fn new(needs: Needs) -> Scratch {
        Scratch {
            registers: vec![vec![0.0; BLOCK]; needs.registers],
            totals: vec![vec![0.0; BLOCK]; needs.totals],
            tile: vec![0.0; needs.tile],
            left: vec![0.0; needs.left],
            right: vec![0.0; needs.right],
            order: vec![0; needs.order],
        }
    }
}

/// The threads while a program runs.
#[derive(Debug)]
pub(super) struct Team {
    /// The instruction set of the processor.
    pub(super) arch: pulp::Arch,
    scratch: Vec<Mutex<Scratch>>,
}

/// Work, in elements or multiplications, that is not worth a second thread.
const ALONE: usize = 1 << 14;

impl Team {
    /// A team of so many threads whose steps take this much.
    pub(super) fn new(threads: usize, needs: Needs) -> Team {
        let scratch = (0..threads).map(|_| Mutex::new(Scratch::new(needs))).collect();
        Team { arch: pulp::Arch::new(), scratch }
    }

    /// Does all tasks, in any order, on any threads. `work` is how much they are together.
    pub(super) fn each(&self, tasks: usize, work: usize, task: impl Fn(usize, &mut Scratch) + Sync) {
        if tasks <= 1 || work <= ALONE || self.scratch.len() == 1 {
            let mut scratch = self.own();
            (0..tasks).for_each(|number| task(number, &mut scratch));
        } else {
            (0..tasks).into_par_iter().with_max_len(1).for_each(|number| task(number, &mut self.own()));
        }
    }

    /// The scratch memory of this thread.
    fn own(&self) -> MutexGuard<'_, Scratch> {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.scratch.len();
        self.scratch[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
