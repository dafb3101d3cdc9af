//! What a step gives back.

use std::sync::Arc;

use crate::artifact::Port;
use crate::tensor::Tensor;

/// A submitted step; they are numbered from 0 in the order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a step gave back.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Which step.
    pub ticket: Ticket,
    pub(super) ports: Arc<[Port]>,
    pub(super) bytes: Vec<u8>,
}

impl Outputs {
    /// The output of this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<Tensor> {
        self.ports.iter().find(|p| p.name == name).map(|p| self.read(p))
    }

    /// The first element of the output of this name: the value where it is a single number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        let port = self.ports.iter().find(|p| p.name == name)?;
        self.read(port).values().first().copied()
    }

    /// All outputs, in order.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        self.ports.iter().map(|p| self.read(p)).collect()
    }

    fn read(&self, port: &Port) -> Tensor {
        let start = port.offset as usize;
        let length = port.element.bytes(port.shape.iter().product());
        Tensor {
            path: port.name.clone(),
            element: port.element,
            shape: port.shape.clone(),
            bytes: self.bytes[start..start + length].to_vec(),
        }
    }
}
