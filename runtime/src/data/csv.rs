//! `csv("file.csv", columns=["x", "y"], label="class")`: a table with a header line, fields apart by commas. Space around a
//! field and quotes that hold it do not count.
//!
//! The first field of the data is fed from `columns`, the second (if there is one) from `label`. Without `window`
//! an example is a row and its field has the shape `[columns]`. With `window=200` an example is that many rows
//! in a row, of shape `[columns, 200]`, every `stride` rows (`window` if left out); it never reaches over a change
//! of the label or of the column that `series` names. `group="subject"` makes `take=0..0.6` mean that part of the
//! group column's distinct numbers, in order, instead of that part of the examples.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc_wgsl::Element;

use super::column::{Column, Storage};
use super::error::DataError;
use super::file::{one_file, read_text};
use crate::artifact::{Argument, Field, Part};
use crate::mapped::Bytes;

/// The fields of a part.
pub(super) fn read(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<Column>, DataError> {
    let path = one_file(part)?;
    let names = columns(part)?;
    let label = text(part, "label")?;
    let needed = 1 + usize::from(label.is_some());
    if fields.len() != needed {
        let cause = format!(
            "`columns` feed the first field and `label` the second, {} {needed} in all; the data has {}",
            if label.is_some() { "which makes" } else { "which is left out:" },
            fields.len()
        );
        return Err(wrong(part, cause));
    }
    let table = Table::read(&base.join(path))?;
    let values = names.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    let label = label.map(|name| table.column(name)).transpose()?;
    let series = text(part, "series")?.map(|name| table.column(name)).transpose()?;
    let group = text(part, "group")?.map(|name| table.column(name)).transpose()?;
    let window = count(part, "window")?;
    let stride = count(part, "stride")?.or(window).unwrap_or(1);
    let kept = group.map(|group| taken_groups(part, group)).transpose()?;
    let length = window.unwrap_or(1);
    let borders: Vec<&[f64]> = [label, series, group].into_iter().flatten().collect();
    let starts: Vec<usize> = windows(table.rows, length, stride, &borders)
        .into_iter()
        .filter(|start| match (&kept, group) {
            (Some(kept), Some(group)) => kept.contains(&group[*start].to_bits()),
            _ => true,
        })
        .collect();
    let mut numbers = Vec::with_capacity(starts.len() * values.len() * length);
    for start in &starts {
        for column in &values {
            numbers.extend_from_slice(&column[*start..start + length]);
        }
    }
    let whole = fields[0].element == Element::I32 && numbers.iter().all(|number| number.fract() == 0.0);
    let inputs: Vec<u8> = if whole {
        numbers.iter().flat_map(|number| (*number as i64).to_le_bytes()).collect()
    } else {
        numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect()
    };
    let storage = if whole { Storage::I64 } else { Storage::F32 };
    let shape = if window.is_some() { vec![values.len(), length] } else { vec![values.len()] };
    let make = |field: &Field, storage, shape: &[usize], bytes| {
        Column::new(field, &table.path, storage, starts.len(), shape, Bytes::Owned(Arc::new(bytes)))
    };
    let mut result = vec![make(&fields[0], storage, &shape, inputs)?];
    if let Some(label) = label {
        let whole = starts.iter().all(|s| label[*s].fract() == 0.0);
        let bytes = starts.iter().flat_map(|s| {
            let value = label[*s];
            if whole { (value as i64).to_le_bytes() } else { value.to_le_bytes() }
        });
        let storage = if whole { Storage::I64 } else { Storage::F64 };
        result.push(make(&fields[1], storage, &[], bytes.collect())?);
    }
    Ok(result)
}

/// Whether `take` has been looked at by this reader already.
pub(super) fn takes_groups(part: &Part) -> bool {
    part.options.iter().any(|(name, _)| name == "group")
}

/// The file's columns, as numbers.
struct Table {
    path: PathBuf,
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    rows: usize,
}

impl Table {
    fn read(path: &Path) -> Result<Table, DataError> {
        let (path, text) = read_text(path)?;
        let foreign = |cause: String| DataError::Foreign { path: path.clone(), format: "CSV", cause };
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, header) = lines.next().ok_or_else(|| foreign("it is empty".to_owned()))?;
        let header = header.trim_start_matches('\u{feff}');
        let names: Vec<String> = cells(header).map(|name| name.replace("\"\"", "\"")).collect();
        let mut columns = vec![Vec::new(); names.len()];
        let mut rows = 0;
        for (number, line) in lines {
            let cells: Vec<&str> = cells(line).collect();
            if cells.len() != names.len() {
                let cause =
                    format!("line {} has {} fields, the header {}", number + 1, cells.len(), names.len());
                return Err(foreign(cause));
            }
            for (column, cell) in columns.iter_mut().zip(cells) {
                column.push(cell.parse().unwrap_or(f64::NAN));
            }
            rows += 1;
        }
        Ok(Table { path, names, columns, rows })
    }

    /// The numbers of a column, all of which must be numbers.
    fn column(&self, name: &str) -> Result<&[f64], DataError> {
        let foreign = |cause: String| DataError::Foreign { path: self.path.clone(), format: "CSV", cause };
        let place = self.names.iter().position(|n| n == name);
        let place = place.ok_or_else(|| DataError::NoColumn {
            path: self.path.clone(),
            name: name.to_owned(),
            available: self.names.clone(),
        })?;
        let column = &self.columns[place];
        match column.iter().position(|v| !v.is_finite()) {
            None => Ok(column),
            Some(row) => Err(foreign(format!("row {} of `{name}` is no number", row + 1))),
        }
    }
}

/// The cells of a line, without the space around them and the quotes that hold them; a comma within quotes is part of one.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let apart = move |letter: char| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    };
    line.split(apart).map(|cell| {
        let cell = cell.trim();
        cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map_or(cell, str::trim)
    })
}

/// Where windows begin: runs of rows in which no border column changes, cut every `stride` rows.
fn windows(rows: usize, length: usize, stride: usize, borders: &[&[f64]]) -> Vec<usize> {
    let changes = |row: usize| borders.iter().any(|b| b[row].to_bits() != b[row - 1].to_bits());
    let mut starts = Vec::new();
    let mut begin = 0;
    for end in 1..=rows {
        if end == rows || changes(end) {
            starts.extend((begin..end).step_by(stride.max(1)).filter(|start| start + length <= end));
            begin = end;
        }
    }
    starts
}

/// The numbers of the group column that `take` keeps, by their bits.
fn taken_groups(part: &Part, group: &[f64]) -> Result<Vec<u64>, DataError> {
    let mut distinct = group.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let range: Range<usize> = match part.options.iter().find(|(name, _)| name == "take") {
        Some((_, take)) => super::taken(&part.reader, take, distinct.len())?,
        None => 0..distinct.len(),
    };
    Ok(distinct[range].iter().map(|v| v.to_bits()).collect())
}

fn columns(part: &Part) -> Result<Vec<&str>, DataError> {
    let names = match option(part, "columns") {
        Some(Argument::List(items)) => items
            .iter()
            .map(|item| match item {
                Argument::Text(name) => Some(name.as_str()),
                _ => None,
            })
            .collect(),
        Some(Argument::Text(name)) => Some(vec![name.as_str()]),
        _ => None,
    };
    names.ok_or_else(|| wrong(part, "`columns` is a list of names, such as [\"x\", \"y\"]".to_owned()))
}

fn text<'a>(part: &'a Part, name: &str) -> Result<Option<&'a str>, DataError> {
    match option(part, name) {
        None => Ok(None),
        Some(Argument::Text(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(part, format!("`{name}` is the name of a column"))),
    }
}

fn count(part: &Part, name: &str) -> Result<Option<usize>, DataError> {
    match option(part, name) {
        None => Ok(None),
        Some(Argument::Number(n)) if *n >= 1.0 && n.fract() == 0.0 => Ok(Some(*n as usize)),
        Some(_) => Err(wrong(part, format!("`{name}` is a number of rows"))),
    }
}

fn option<'a>(part: &'a Part, name: &str) -> Option<&'a Argument> {
    part.options.iter().find(|(n, _)| n == name).map(|(_, value)| value)
}

fn wrong(part: &Part, what: String) -> DataError {
    DataError::Argument { reader: part.reader.clone(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "person,x,y,class\n1,0,10,0\n1,1,11,0\n1,2,12,0\n1,3,13,1\n2,4,14,1\n2,5,15,1\n2,6,16,1\n";

    fn load(options: &[(&str, Argument)], shape: &[usize]) -> Result<Vec<Column>, DataError> {
        load_text(TABLE, options, shape)
    }

    fn load_text(
        text: &str,
        options: &[(&str, Argument)],
        shape: &[usize],
    ) -> Result<Vec<Column>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let names = ["x", "y"].map(|n| Argument::Text(n.to_owned()));
        let mut all = vec![
            ("columns".to_owned(), Argument::List(names.to_vec())),
            ("label".to_owned(), Argument::Text("class".to_owned())),
        ];
        all.extend(options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let part = Part {
            name: "train".to_owned(),
            reader: "csv".to_owned(),
            paths: vec!["t.csv".to_owned()],
            options: all,
            origin: None,
        };
        let field = |name: &str, element, shape: &[usize]| Field {
            name: name.to_owned(),
            element,
            shape: shape.to_vec(),
            range: None,
        };
        read(&part, &[field("v", Element::F32, shape), field("class", Element::I32, &[])], folder.path())
    }

    fn example(column: &Column, index: usize) -> Vec<f32> {
        let mut out = vec![0; column.uploaded_bytes()];
        column.write_example(index, None, &mut out).unwrap();
        out.as_chunks::<4>().0.iter().map(|w| f32::from_le_bytes(*w)).collect()
    }

    #[test]
    fn a_row_is_an_example() {
        let columns = load(&[], &[2]).unwrap();
        assert_eq!(columns[0].examples(), 7);
        assert_eq!(example(&columns[0], 3), [3.0, 13.0]);
    }

    #[test]
    fn whole_numbers_feed_a_field_of_whole_numbers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), TABLE).unwrap();
        let columns = Argument::List(["x", "y"].map(|name| Argument::Text(name.to_owned())).to_vec());
        let part = Part {
            name: "train".to_owned(),
            reader: "csv".to_owned(),
            paths: vec!["t.csv".to_owned()],
            options: vec![("columns".to_owned(), columns)],
            origin: None,
        };
        let field = Field { name: "v".to_owned(), element: Element::I32, shape: vec![2], range: None };
        let columns = read(&part, std::slice::from_ref(&field), folder.path()).unwrap();
        let mut bytes = vec![0; columns[0].uploaded_bytes()];
        columns[0].write_example(3, None, &mut bytes).unwrap();
        assert_eq!(bytes, [3i32.to_le_bytes(), 13i32.to_le_bytes()].concat());
        let halves = TABLE.replace("13,1", "13.5,1");
        std::fs::write(folder.path().join("t.csv"), halves).unwrap();
        assert!(read(&part, &[field], folder.path()).is_err(), "13.5 is no whole number");
    }

    #[test]
    fn windows_do_not_reach_over_a_change() {
        let window = ("window", Argument::Number(2.0));
        let series = ("series", Argument::Text("person".to_owned()));
        let columns = load(&[window.clone(), series.clone()], &[2, 2]).unwrap();
        assert_eq!(columns[0].examples(), 2);
        assert_eq!(example(&columns[0], 0), [0.0, 1.0, 10.0, 11.0]);
        assert_eq!(example(&columns[0], 1), [4.0, 5.0, 14.0, 15.0]);
        let overlapping = load(&[window, series, ("stride", Argument::Number(1.0))], &[2, 2]).unwrap();
        assert_eq!(overlapping[0].examples(), 4);
    }

    #[test]
    fn groups_are_taken_whole() {
        let group = ("group", Argument::Text("person".to_owned()));
        let columns = load(&[group, ("take", Argument::Range(0.5, 1.0))], &[2]).unwrap();
        assert_eq!(columns[0].examples(), 3);
        assert_eq!(example(&columns[0], 0), [4.0, 14.0]);
    }

    #[test]
    fn quotes_and_space_around_a_field_do_not_count() {
        let plain = load(&[], &[2]).unwrap();
        let spaced = TABLE.replace(',', "\" , \"").replace('\n', " \"\r\n").replace("\r\n", "\r\n\" ");
        let spaced = format!("\u{feff} \"{}", spaced.trim_end_matches("\" "));
        let quoted = load_text(&spaced, &[], &[2]).unwrap();
        for row in 0..7 {
            assert_eq!(example(&quoted[0], row), example(&plain[0], row), "{spaced}");
            assert_eq!(example(&quoted[1], row), example(&plain[1], row), "{spaced}");
        }
        let names: Vec<&str> = cells("a, \"b, c\" ,\"d \",,\"\"").collect();
        assert_eq!(names, ["a", "b, c", "d", "", ""]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = load(&[("series", Argument::Text("z".to_owned()))], &[2]).unwrap_err().to_string();
        assert!(message.contains("no column `z`") && message.contains("person, x, y, class"), "{message}");
        let message = load(&[("window", Argument::Bool(true))], &[2]).unwrap_err().to_string();
        assert!(message.contains("`window` is a number of rows"), "{message}");
        let message = load(&[], &[3]).unwrap_err().to_string();
        assert!(message.contains("has the shape [3]"), "{message}");
    }
}
