//! What the whole-system tests share: where things are, how the command is run, and how near is near enough.
//!
//! The tests themselves stand in `tests/tests/`; each file there is a group of true sentences about the product.

pub mod allocator;
pub mod any_text;
pub mod attentions;
pub mod beside;
pub mod command;
pub mod corpus;
pub mod device;
pub mod goldens;
pub mod graphs;
pub mod in_use;
pub mod layer_cases;
pub mod long_models;
pub mod mutation;
pub mod other_shapes;
pub mod rust_paths;
pub mod siblings;
pub mod slots;
pub mod tensors;
pub mod thread_time;
pub mod tolerance;
pub mod workspace;
