//! Execution on the processor: the steps of a program in their order, each specification written for vectors and
//! threads. No kernel text is read; memory, offsets and copies are those of the plan.

mod access;
mod contract;
mod conv;
mod engine;
mod epilogue;
mod formula;
mod lines;
mod map;
mod math;
mod memory;
mod patches;
mod processor;
mod product;
mod product_rows;
pub mod raw;
mod room;
mod rows;
mod step;
mod team;
mod tile;
mod vector;
mod window;

pub(crate) use engine::Engine;
pub use processor::Processor;
