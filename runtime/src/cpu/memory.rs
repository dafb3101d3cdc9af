//! The memory of a session, and the one place where threads share it.
//!
//! A block of memory is words that many threads read and write at the same time. Every access is by value (numbers are
//! copied in and out), and every access is checked against the length of the block, so no access leaves it whatever an
//! artifact says. That no word is read while another thread writes it follows from the plan: the results of a step lie
//! apart from each other and from its operands, but for operands that are read at the very point that is written, by the
//! thread that writes it; the threads meet at the end of each step. An artifact that breaks this rule computes wrong
//! numbers, as it does on a GPU; every bit pattern is a valid word.
#![allow(
    unsafe_code,
    reason = "threads write disjoint parts of one block; the module says why that is sound"
)]

use std::cell::UnsafeCell;

/// A block of 32-bit words.
pub(super) struct Memory {
    words: Box<[UnsafeCell<u32>]>,
}

// SAFETY: words are plain numbers, accessed by copies alone; that no two threads touch a word at the same time while one
// of them writes it is what the module says.
unsafe impl Sync for Memory {}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} words)", self.words.len())
    }
}

/// Elements of one size: their first, and the distance between them, in elements of that size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The first.
    pub(super) first: i64,
    /// From one to the next.
    pub(super) stride: i64,
}

impl Memory {
    /// A block of zeros of this length, in bytes.
    pub(super) fn new(bytes: u64) -> Memory {
        let zeros = vec![0u32; (bytes as usize).div_ceil(4)].into_boxed_slice();
        // SAFETY: `UnsafeCell<u32>` has the layout of `u32`, and the box owns its words alone.
        let words = unsafe { Box::from_raw(Box::into_raw(zeros) as *mut [UnsafeCell<u32>]) };
        Memory { words }
    }

    /// Its length, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.words.len() as u64 * 4
    }

    /// Copies words out as the bits of floats.
    #[inline(always)]
    pub(super) fn load_words(&self, run: Run, into: &mut [f32]) {
        let words = self.part::<u32>(run, into.len());
        // SAFETY: `part` has checked that all elements of the run lie in the block.
        unsafe {
            match run.stride {
                1 => copy_floats(words.cast::<f32>(), into),
                stride => {
                    for (k, lane) in into.iter_mut().enumerate() {
                        *lane = f32::from_bits(words.offset(k as isize * stride as isize).read());
                    }
                }
            }
        }
    }

    /// Copies words in from the bits of floats.
    #[inline(always)]
    pub(super) fn store_words(&self, run: Run, from: &[f32]) {
        let words = self.part::<u32>(run, from.len());
        // SAFETY: as in `load_words`.
        unsafe {
            match run.stride {
                1 => std::ptr::copy_nonoverlapping(from.as_ptr(), words.cast::<f32>(), from.len()),
                stride => {
                    for (k, lane) in from.iter().enumerate() {
                        words.offset(k as isize * stride as isize).write(lane.to_bits());
                    }
                }
            }
        }
    }

    /// Copies halves out, by their bits.
    pub(super) fn load_halves(&self, run: Run, into: &mut [u16]) {
        let halves = self.part::<u16>(run, into.len());
        for (k, lane) in into.iter_mut().enumerate() {
            // SAFETY: as in `load_words`.
            *lane = unsafe { halves.offset(k as isize * run.stride as isize).read() };
        }
    }

    /// Copies halves in, by their bits.
    pub(super) fn store_halves(&self, run: Run, from: &[u16]) {
        let halves = self.part::<u16>(run, from.len());
        for (k, lane) in from.iter().enumerate() {
            // SAFETY: as in `load_words`.
            unsafe { halves.offset(k as isize * run.stride as isize).write(*lane) };
        }
    }

    /// Copies bytes out as floats.
    pub(super) fn load_bytes(&self, run: Run, into: &mut [f32]) {
        let bytes = self.part::<u8>(run, into.len());
        for (k, lane) in into.iter_mut().enumerate() {
            // SAFETY: as in `load_words`.
            *lane = f32::from(unsafe { bytes.offset(k as isize * run.stride as isize).read() });
        }
    }

    /// Copies a stretch of bytes out.
    ///
    /// # Panics
    /// If it reaches beyond the block.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) {
        if !into.is_empty() {
            let bytes = self.part::<u8>(Run { first: offset as i64, stride: 1 }, into.len());
            // SAFETY: as in `load_words`.
            unsafe { std::ptr::copy_nonoverlapping(bytes, into.as_mut_ptr(), into.len()) };
        }
    }

    /// Copies a stretch of bytes in.
    ///
    /// # Panics
    /// If it reaches beyond the block.
    pub(super) fn write(&self, offset: u64, from: &[u8]) {
        if !from.is_empty() {
            let bytes = self.part::<u8>(Run { first: offset as i64, stride: 1 }, from.len());
            // SAFETY: as in `load_words`.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), bytes, from.len()) };
        }
    }

    /// Copies `bytes` bytes from another block, which may be this one.
    ///
    /// # Panics
    /// If it reaches beyond one of the blocks.
    pub(super) fn copy(&self, to: u64, source: &Memory, from: u64, bytes: u64) {
        if bytes > 0 {
            let source = source.part::<u8>(Run { first: from as i64, stride: 1 }, bytes as usize);
            let target = self.part::<u8>(Run { first: to as i64, stride: 1 }, bytes as usize);
            // SAFETY: as in `load_words`; the two may overlap.
            unsafe { std::ptr::copy(source, target, bytes as usize) };
        }
    }

    /// Fills the block with zeros.
    pub(super) fn clear(&self) {
        for word in &self.words {
            // SAFETY: nothing else runs on a session while its memory is cleared.
            unsafe { word.get().write(0) };
        }
    }

    /// The first element of a run of `count`, all of which lie in the block.
    #[inline(always)]
    fn part<T>(&self, run: Run, count: usize) -> *mut T {
        let last = run.first + run.stride * (count as i64 - 1).max(0);
        let length = (size_of_val(&*self.words) / size_of::<T>()) as i64;
        let (least, most) = (run.first.min(last), run.first.max(last));
        assert!(
            least >= 0 && most < length,
            "a run from {least} to {most} leaves the {length} elements of its block"
        );
        // SAFETY: the first element lies in the block.
        unsafe { self.words.as_ptr().cast::<T>().cast_mut().offset(run.first as isize) }
    }
}

/// Copies floats, few of them without a call.
///
/// # Safety
/// As many floats as `into` has lie at `from`.
#[inline(always)]
unsafe fn copy_floats(from: *const f32, into: &mut [f32]) {
    type Vector = [f32; 8];
    let count = into.len();
    let to = into.as_mut_ptr();
    // SAFETY: all places are below `count`, at either end.
    unsafe {
        if !(8..=128).contains(&count) {
            return std::ptr::copy_nonoverlapping(from, to, count);
        }
        let copy = |at: usize| {
            let vector = from.add(at).cast::<Vector>().read_unaligned();
            to.add(at).cast::<Vector>().write_unaligned(vector);
        };
        let mut at = 0;
        while at + 8 <= count {
            copy(at);
            at += 8;
        }
        copy(count - 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_at_any_stride() {
        let memory = Memory::new(64);
        memory.store_words(Run { first: 15, stride: -2 }, &[1.0, 2.0, 3.0]);
        let mut all = [9.0; 16];
        memory.load_words(Run { first: 0, stride: 1 }, &mut all);
        assert_eq!((all[15], all[13], all[11]), (1.0, 2.0, 3.0));
        assert_eq!(all.iter().sum::<f32>(), 6.0);
        let mut same = [0.0; 3];
        memory.load_words(Run { first: 13, stride: 0 }, &mut same);
        assert_eq!(same, [2.0; 3]);
        memory.store_halves(Run { first: 1, stride: 2 }, &[7, 8]);
        let mut halves = [0; 4];
        memory.load_halves(Run { first: 0, stride: 1 }, &mut halves);
        assert_eq!(halves, [0, 7, 0, 8]);
    }

    #[test]
    #[should_panic(expected = "leaves the 16 elements")]
    fn nothing_is_read_outside() {
        Memory::new(64).load_words(Run { first: 13, stride: 2 }, &mut [0.0; 3]);
    }
}
