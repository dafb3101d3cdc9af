//! The typed graph between the front end and the kernels.

mod allowance;
mod graph;
mod interpret;
mod print;
mod refusal;
mod stored;
mod tensor;
mod types;

pub use allowance::{Allowance, Part};
pub use graph::{Assignment, Graph, Kind, Node, NodeId, Origin, Source};
pub use interpret::{Environment, evaluate, evaluate_node};
pub use print::{print, print_stable};
pub use refusal::{Lone, Refusal};
pub use stored::{ALIGNMENT, FlatRegion, StoredId, StoredTensor, flat_layout};
pub use tensor::{Tensor, for_each_point};
pub use types::{TensorType, broadcast_shape, contiguous_strides, elements};
