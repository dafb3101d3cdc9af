//! Any text is read, checked, formatted and complained about without a panic.
#![no_main]

#[path = "../../src/any_text.rs"]
mod any_text;

use libfuzzer_sys::fuzz_target;
use nnc::source::Loader;

/// What a model may use besides the standard library.
struct Beside;

impl Loader for Beside {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        match path {
            "blocks.nn" => Ok((path.to_owned(), include_str!("../../examples/blocks.nn").to_owned())),
            _ => Err("there is no such file".to_owned()),
        }
    }
}

fuzz_target!(|text: &str| {
    let dims = [("T".to_owned(), 8), ("S".to_owned(), 6)];
    let said = any_text::examine(text, &dims, &Beside);
    assert!(said.reads || !said.checks(), "a text that cannot be read has an error: {:?}", said.codes);
});
