//! The schedules: a few ways of walking memory, each a function from a specification and a device profile
//! to a [`crate::Schedule`]. No schedule knows an operator; formulas arrive as [`crate::Expr`].

mod address;
mod column;
mod combine;
mod contract;
mod conv;
mod finish;
mod lines;
mod map;
mod narrow;
mod operand;
mod origin;
mod output;
mod product_row;
mod reads;
mod row;
mod source;
mod space;
mod spec;
mod specs;
mod stored;
mod touched;
mod walk;
mod window;

pub use self::column::column;
pub use self::contract::{contract, parts_pay};
pub use self::conv::conv;
pub use self::lines::lines;
pub use self::map::map;
pub(crate) use self::narrow::ENABLE;
pub use self::product_row::{Closing, Factor, Opening, ProductRowSpec, product_row, product_row_fits};
pub use self::row::row;
pub use self::spec::{
    ContractSpec, ConvKind, ConvSpec, LineKind, LineSpec, MapSpec, Matrix, Reduction, RowSpec, RowStep,
    WindowKind, WindowSpec,
};
pub use self::specs::Spec;
pub use self::touched::{Stretch, Touched};
pub use self::window::window;
