//! Mutated models are answered: no panic, no place outside the text, no formatting that is not lawful.
//!
//! A small part, the same every time, of what `examples/mutate.rs` examines a million of.

use std::time::Duration;

use nnc_tests::any_text::examine;
use nnc_tests::corpus::{corpus, shelf};
use nnc_tests::mutation::mutant;
use nnc_tests::thread_time::thread_time;

/// The mutants that are examined; those of the command begin at 0.
const NUMBERS: std::ops::Range<u64> = 5_000_000..5_001_500;

/// The longest that one may take, computed by the thread of a debug build.
const LONGEST: Duration = Duration::from_secs(20);

#[test]
fn mutated_models_are_answered() {
    let corpus = corpus();
    let shelf = shelf(&corpus);
    let dims = [("T".to_owned(), 8), ("S".to_owned(), 6)];
    let (mut read, mut clean) = (0, 0);
    for number in NUMBERS {
        let text = mutant(&corpus, number);
        let begin = thread_time();
        let said = std::panic::catch_unwind(|| examine(&text, &dims, &shelf));
        let said = said.unwrap_or_else(|_| panic!("mutant {number}:\n{text}"));
        let time = thread_time() - begin;
        assert!(time < LONGEST, "mutant {number} takes {time:?}:\n{text}");
        read += usize::from(said.reads);
        clean += usize::from(said.checks());
    }
    assert!(read > 500 && clean > 100, "only {read} can be read and {clean} check");
}

#[test]
fn the_same_number_gives_the_same_mutant() {
    let corpus = corpus();
    for number in 0..200 {
        assert_eq!(mutant(&corpus, number), mutant(&corpus, number));
    }
    let different: std::collections::BTreeSet<String> = (0..200).map(|n| mutant(&corpus, n)).collect();
    assert!(different.len() > 150, "only {} of 200 differ", different.len());
}
