//! The updates of a training step: which weights each moves.

use std::sync::Arc;

use crate::elaborate::model::{Finished, Moved};
use crate::elaborate::{Bundle, Group, OptimizerHandle};
use crate::ir::NodeId;

/// The updates of a training step: one of all weights by `loss`, or those of the `update` groups. Where these share the
/// loss of `train`, what is in none of them is moved by its optimizer.
pub(super) fn groups(
    bundle: &Arc<Bundle>,
    train: usize,
    finished: &Finished,
    trained: &[(String, NodeId)],
) -> Vec<Group> {
    let optimizer = |group| OptimizerHandle::new(bundle.clone(), train, group);
    let home = |path: &str| finished.updates.iter().position(|moved| lies_below(path, &moved.layer));
    let group = |(place, moved): (usize, &Moved)| Group {
        name: moved.layer.clone(),
        loss: moved.loss,
        span: moved.span,
        trained: trained
            .iter()
            .filter(|(path, _)| home(path) == Some(place))
            .map(|(_, node)| *node)
            .collect(),
        optimizer: optimizer(Some(place)),
        clip: moved.clip,
        joint: finished.joint,
    };
    let mut groups: Vec<Group> = finished.updates.iter().enumerate().map(group).collect();
    if let (Some(loss), Some(span)) = (finished.loss, finished.loss_span)
        && (groups.is_empty() || finished.joint)
    {
        let rest = trained.iter().filter(|(path, _)| home(path).is_none());
        let rest: Vec<NodeId> = rest.map(|(_, node)| *node).collect();
        if groups.is_empty() || !rest.is_empty() {
            let (name, optimizer, joint) = (String::new(), optimizer(None), finished.joint);
            groups.push(Group { name, loss, span, trained: rest, optimizer, clip: None, joint });
        }
    }
    groups
}

/// Whether the weight at `path` is `scope` or lies in it; a `*` in `scope` stands for any letters and dots.
pub(in crate::elaborate) fn lies_below(path: &str, scope: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with('.');
    let mut parts = scope.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return ends(rest) };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    last.is_empty() || rest.match_indices(last).any(|(at, _)| ends(&rest[at + last.len()..]))
}
