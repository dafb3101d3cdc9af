//! A model's text with other shapes in its signature.

use std::collections::BTreeMap;

/// `text` with the extents of the inputs and outputs of `model` as `shape` says, by name. A leading `N` stays, as do
/// numbers without extents and everything behind the signature.
///
/// # Panics
/// If the text has no such model, or `shape` does not know a name.
#[must_use]
pub fn with_shapes(text: &str, model: &str, shapes: &BTreeMap<&str, &[usize]>) -> String {
    let head = format!("model {model}(");
    let begin = text.find(&head).unwrap_or_else(|| panic!("no model `{model}`")) + head.len();
    let end = begin + text[begin..].find('{').expect("a model has a body");
    let mut signature = String::new();
    let mut rest = &text[begin..end];
    while let Some((before, after)) = rest.split_once('[') {
        let (old, behind) = after.split_once(']').expect("a bracket is closed");
        let (name, _) = before.rsplit_once(':').expect("a tensor has a name");
        let name = name.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(name);
        let shape = shapes.get(name).unwrap_or_else(|| panic!("{model}: no shape for `{name}`"));
        let mut extents: Vec<String> = shape.iter().map(usize::to_string).collect();
        if let (true, Some(first)) = (old == "N" || old.starts_with("N,"), extents.first_mut()) {
            "N".clone_into(first);
        }
        signature.push_str(&format!("{before}[{}]", extents.join(", ")));
        rest = behind;
    }
    format!("{}{signature}{rest}{}", &text[..begin], &text[end..])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::with_shapes;

    #[test]
    fn the_signature_changes_and_nothing_else() {
        let text = "model A(x: f32[N, 2]) { x }\nmodel B(x: f32[N, 2], t: i32[3])\n  -> (y: f32[N], z: f32) { x[:, 0] }\n";
        let shapes: BTreeMap<&str, &[usize]> =
            [("x", &[5, 7][..]), ("t", &[4]), ("y", &[5]), ("z", &[])].into();
        let expected = "model A(x: f32[N, 2]) { x }\nmodel B(x: f32[N, 7], t: i32[4])\n  -> (y: f32[N], z: f32) { x[:, 0] }\n";
        assert_eq!(with_shapes(text, "B", &shapes), expected);
    }
}
