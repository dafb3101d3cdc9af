//! `nnc check`: everything that can be said about a file without a device, and without making kernels.

use std::sync::Arc;

use nnc_runtime::artifact::Role;

use crate::compile::{Request, compile, merge, prepare};
use crate::diagnostic::{Diagnostic, Severity};
use crate::elaborate::{self, Bundle};
use crate::syntax::ast::ItemKind;

/// The diagnostics of every model of the file in every expansion that it has, and of its training step. Kernels are
/// made only where the file promises to keep within a `memory`. The roles of the request do not matter.
#[must_use]
pub fn check(bundle: &Arc<Bundle>, request: &Request) -> Vec<Diagnostic> {
    let mut found = elaborate::check(bundle, &request.dims);
    let failed = |found: &[Diagnostic]| found.iter().any(Diagnostic::is_error);
    let trains = bundle.main().items.iter().any(|item| matches!(item.kind, ItemKind::Train(_)));
    if failed(&found) || !trains {
        return found;
    }
    let step = prepare(bundle, request, Role::Train, &[], &mut |_, _, _| {});
    merge(&mut found, step.diagnostics);
    let unread = step.value.as_ref().map(|step| step.unread.clone()).unwrap_or_default();
    merge(&mut found, unread.into_iter().map(not_read).collect());
    if !failed(&found) && step.value.is_some_and(|step| step.memory.is_some()) {
        let request = Request { roles: vec![Role::Train], ..request.clone() };
        merge(&mut found, compile(bundle, &request).diagnostics);
    }
    found
}

/// What this version leaves out as a warning: the model is right, and can be built and measured.
fn not_read(diagnostic: Diagnostic) -> Diagnostic {
    if diagnostic.code == "E0508" {
        Diagnostic { code: "W0504", severity: Severity::Warning, ..diagnostic }
    } else {
        diagnostic
    }
}
