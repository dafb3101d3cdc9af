//! Bad input, in the order in which a user meets it: each mistake is a call of the command, and what it says.
//!
//! | what is wrong | file |
//! |---|---|
//! | a typo in a layer, an argument or a setting; a wrong rank or shape; an unclosed bracket | `text` |
//! | a missing, truncated or mislabelled IDX file; labels out of range; images of another size | `data` |
//! | weights of another model | `weights` |
//! | inputs of another model, or none | `inputs` |
//! | a truncated or altered artifact | `artifact` |
//! | a truncated or altered checkpoint | `checkpoint` |
//! | no adapter; a buffer over its limit | `device` |
//! | an output folder that cannot be written | `output` |
//! | a loss that is not finite | `loss` |
//! | labels and probabilities that a formula cannot take | `formulas` |
//! | lengths that no sequence has; numbers that look up what is not there | `sequences` |
//! | a run that is interrupted or killed | `interrupted` |
//!
//! A refusal ([`workplace::Workplace::refuses`]) has its exit code, says what and where and what to do, never
//! panics, and leaves every file as it was. How each message is made is tested where it is made.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod artifact;
mod checkpoint;
mod data;
mod device;
mod formulas;
mod inputs;
mod interrupted;
mod loss;
mod output;
mod sequences;
mod text;
mod weights;
mod workplace;
