//! Writing: data to stdout, everything else to stderr.

use std::io::{ErrorKind, Write};

/// Writes a line of data. A reader that has gone away (`nnc dump wgsl x.nn | head`) ends the command quietly.
pub(crate) fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Writes data as it is.
pub(crate) fn write(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if let Err(error) = written {
        let code = if error.kind() == ErrorKind::BrokenPipe { 0 } else { 2 };
        std::process::exit(code);
    }
}

/// Writes a line to stderr; colours are left out where it is no terminal.
pub(crate) fn note(text: &str) {
    // Nobody is left to be told that stderr is closed.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Rows as columns that line up, two spaces apart; numbers (`right`) end together.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(c, cell)| {
            let space = " ".repeat(widths[c] - cell.chars().count());
            if right.contains(&c) { format!("{space}{cell}") } else { format!("{cell}{space}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A size for people: `12.3 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if value < 1024.0 || unit == "GiB" {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{bytes} bytes")
}
