//! A figure for Graphviz.

use std::fmt::Write as _;

use crate::figure::{Figure, Role};

/// `figure` in the DOT language.
#[must_use]
pub fn dot(figure: &Figure) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&figure.title));
    text.push_str("  node [shape=box, style=rounded, fontname=\"monospace\", fontsize=11]\n");
    for (number, part) in figure.boxes.iter().enumerate() {
        let style = match part.role {
            Role::Input | Role::Output => ", style=\"rounded,filled\", fillcolor=\"#e8eef7\"",
            Role::Stage => "",
            Role::Training => ", style=\"rounded,dashed\"",
        };
        let label = quoted(&format!("{}\n{}", part.title, part.shape));
        let _ = writeln!(text, "  n{number} [label={label}{style}]");
    }
    for (from, to) in &figure.edges {
        let _ = writeln!(text, "  n{from} -> n{to}");
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
