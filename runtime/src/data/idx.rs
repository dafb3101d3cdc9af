//! `idx("images", "labels", ...)`: the format of MNIST, one file for each field, plain or gzipped.
//!
//! Big-endian: two zero bytes, a type byte, the number of axes, their lengths (u32 each), the numbers. Axis 0
//! counts the examples. Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::column::{Column, Storage};
use super::error::DataError;
use super::file::{open, unreadable};
use crate::artifact::{Field, Part};
use crate::mapped::Bytes;

/// The fields of a part; file `i` feeds field `i`.
pub(super) fn read(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<Column>, DataError> {
    fields.iter().zip(&part.paths).map(|(field, path)| read_field(field, &base.join(path))).collect()
}

/// For each field, whether its file holds unsigned bytes.
pub(super) fn bytes_on_disk(part: &Part, _fields: &[Field], base: &Path) -> Result<Vec<bool>, DataError> {
    part.paths
        .iter()
        .map(|path| {
            let (path, mut reader) = open(&base.join(path))?;
            Ok(read_header(&path, &mut reader)?.storage == Storage::U8)
        })
        .collect()
}

struct Header {
    storage: Storage,
    extents: Vec<usize>,
    bytes: usize,
}

fn read_field(field: &Field, path: &Path) -> Result<Column, DataError> {
    let (path, mut reader) = open(path)?;
    let header = read_header(&path, &mut reader)?;
    // What a header does not announce is not inflated: a small file can unpack to any size.
    Column::fits(field, &path, header.storage, &header.extents[1..])?;
    let mut bytes = Vec::new();
    let mut announced = reader.take(header.bytes as u64 + 1);
    announced.read_to_end(&mut bytes).map_err(|e| unreadable(&path, &e))?;
    let header_bytes = 4 + 4 * header.extents.len() as u64;
    let expected = header.bytes as u64 + header_bytes;
    if bytes.len() < header.bytes {
        return Err(DataError::Truncated { path, expected, found: bytes.len() as u64 + header_bytes });
    }
    if bytes.len() > header.bytes {
        return Err(DataError::Trailing { path, expected });
    }
    for number in bytes.chunks_exact_mut(header.storage.size()) {
        number.reverse();
    }
    let bytes = Bytes::Owned(Arc::new(bytes));
    Column::new(field, &path, header.storage, header.extents[0], &header.extents[1..], bytes)
}

fn read_header(path: &Path, reader: &mut dyn Read) -> Result<Header, DataError> {
    let foreign = |cause: String| DataError::Foreign { path: path.to_owned(), format: "IDX", cause };
    let mut magic = [0; 4];
    read_exactly(path, reader, &mut magic)?;
    let [0, 0, kind, axes] = magic else {
        return Err(foreign(format!("it begins with {:02x} {:02x}, not 00 00", magic[0], magic[1])));
    };
    let storage = match kind {
        0x08 => Storage::U8,
        0x09 => Storage::I8,
        0x0b => Storage::I16,
        0x0c => Storage::I32,
        0x0d => Storage::F32,
        0x0e => Storage::F64,
        _ => return Err(foreign(format!("its type byte is {kind:02x}"))),
    };
    if axes == 0 {
        return Err(foreign("it has no axis".to_owned()));
    }
    let mut extents = Vec::new();
    for _ in 0..axes {
        let mut extent = [0; 4];
        read_exactly(path, reader, &mut extent)?;
        extents.push(u32::from_be_bytes(extent) as usize);
    }
    let bytes = extents.iter().try_fold(storage.size(), |n, &d| n.checked_mul(d));
    let bytes = bytes.ok_or_else(|| foreign(format!("its extents {extents:?} are too large")))?;
    Ok(Header { storage, extents, bytes })
}

fn read_exactly(path: &Path, reader: &mut dyn Read, out: &mut [u8]) -> Result<(), DataError> {
    reader.read_exact(out).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => DataError::Foreign {
            path: path.to_owned(),
            format: "IDX",
            cause: "it ends within its header".to_owned(),
        },
        _ => unreadable(path, &e),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use nnc_wgsl::Element;

    use super::*;

    fn field(element: Element, shape: &[usize], range: Option<(i64, i64)>) -> Field {
        Field { name: "x".to_owned(), element, shape: shape.to_vec(), range }
    }

    fn file(kind: u8, extents: &[u32], numbers: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, extents.len() as u8];
        bytes.extend(extents.iter().flat_map(|e| e.to_be_bytes()));
        bytes.extend(numbers);
        bytes
    }

    fn load(name: &str, content: &[u8], field: &Field) -> Result<Column, DataError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), content).unwrap();
        read_field(field, &folder.path().join("x"))
    }

    fn floats(column: &Column, index: usize) -> Vec<f32> {
        let mut out = vec![0; column.uploaded_bytes()];
        column.write_example(index, None, &mut out).unwrap();
        out.as_chunks::<4>().0.iter().map(|w| f32::from_le_bytes(*w)).collect()
    }

    #[test]
    fn every_type_of_number_is_read() {
        let cases: [(u8, Vec<u8>, [f32; 2]); 6] = [
            (0x08, vec![1, 255], [1.0, 255.0]),
            (0x09, vec![1, 255], [1.0, -1.0]),
            (0x0b, [300i16, -2].iter().flat_map(|v| v.to_be_bytes()).collect(), [300.0, -2.0]),
            (0x0c, [70_000i32, -2].iter().flat_map(|v| v.to_be_bytes()).collect(), [70_000.0, -2.0]),
            (0x0d, [0.5f32, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect(), [0.5, -2.0]),
            (0x0e, [0.5f64, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect(), [0.5, -2.0]),
        ];
        for (kind, numbers, expected) in cases {
            let column = load("x", &file(kind, &[1, 2], &numbers), &field(Element::F32, &[2], None)).unwrap();
            assert_eq!(floats(&column, 0), expected, "{kind:02x}");
        }
    }

    #[test]
    fn a_gzipped_file_is_found_and_axes_of_length_1_do_not_matter() {
        let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
        zipped.write_all(&file(0x08, &[2, 2, 1], &[1, 2, 3, 4])).unwrap();
        let column = load("x.gz", &zipped.finish().unwrap(), &field(Element::F32, &[1, 2], None)).unwrap();
        assert_eq!(floats(&column, 1), [3.0, 4.0]);
    }

    #[test]
    fn what_is_gzipped_is_told_by_its_bytes_not_its_name() {
        let good = file(0x08, &[1, 2], &[1, 2]);
        let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
        zipped.write_all(&good).unwrap();
        let zipped = zipped.finish().unwrap();
        let field = field(Element::F32, &[2], None);
        assert_eq!(floats(&load("x", &zipped, &field).unwrap(), 0), [1.0, 2.0]);
        assert_eq!(floats(&load("x.gz", &good, &field).unwrap(), 0), [1.0, 2.0]);
    }

    #[test]
    fn every_prefix_and_every_altered_byte_of_a_gzipped_file_is_an_error_or_makes_no_difference() {
        let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
        zipped.write_all(&file(0x08, &[1, 2], &[1, 2])).unwrap();
        let zipped = zipped.finish().unwrap();
        let field = field(Element::F32, &[2], None);
        for length in 0..zipped.len() {
            assert!(load("x", &zipped[..length], &field).is_err(), "{length} bytes");
        }
        for place in 0..zipped.len() {
            let mut altered = zipped.clone();
            altered[place] ^= 0x10;
            if let Ok(column) = load("x", &altered, &field) {
                assert_eq!(floats(&column, 0), [1.0, 2.0], "byte {place}");
            }
        }
    }

    #[test]
    fn bytes_travel_as_bytes() {
        let column =
            load("x", &file(0x08, &[2, 3], &[1, 2, 3, 4, 5, 6]), &field(Element::U8, &[3], None)).unwrap();
        let mut out = [0; 3];
        column.write_example(1, None, &mut out).unwrap();
        assert_eq!(out, [4, 5, 6]);
    }

    #[test]
    fn a_zipped_file_is_inflated_no_further_than_its_header_says() {
        let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
        zipped.write_all(&file(0x08, &[2, 2], &[1, 2, 3, 4])).unwrap();
        let mut whole = zipped.finish().unwrap();
        // A stream that never ends as it should: reading beyond what was announced would meet the damage.
        let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
        let bomb = bomb.finish().unwrap();
        whole.extend(&bomb[..bomb.len() - 8]);
        let error = load("x.gz", &whole, &field(Element::F32, &[2], None)).unwrap_err();
        assert!(matches!(error, DataError::Trailing { expected: 16, .. }), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let f32x2 = field(Element::F32, &[2], None);
        let good = file(0x08, &[2, 2], &[1, 2, 3, 4]);
        let message =
            |name: &str, content: &[u8], field: &Field| load(name, content, field).unwrap_err().to_string();
        assert!(message("other", &good, &f32x2).contains("there is no data file"));
        assert!(message("x", &good[..3], &f32x2).contains("ends within its header"));
        assert!(message("x", &good[..10], &f32x2).contains("ends within its header"));
        assert!(message("x", &good[..15], &f32x2).contains("says 16 bytes, it has 15"));
        assert!(message("x", &[&good[..], &[0]].concat(), &f32x2).contains("goes on after the 16 bytes"));
        assert!(message("x", b"PK\x03\x04", &f32x2).contains("begins with 50 4b"));
        assert!(message("x", &file(0x07, &[1], &[1]), &f32x2).contains("type byte is 07"));
        assert!(message("x", &file(0x08, &[u32::MAX; 3], &[]), &f32x2).contains("too large"));
        let shape = message("x", &good, &field(Element::F32, &[3], None));
        assert!(shape.contains("`x` has the shape [3]") && shape.contains("have [2]"), "{shape}");
        let floats = file(0x0d, &[1], &1f32.to_be_bytes());
        assert!(message("x", &floats, &field(Element::I32, &[], None)).contains("holds 32-bit floats"));
        let labels = file(0x08, &[3], &[9, 10, 11]);
        let range = message("x", &labels, &field(Element::I32, &[], Some((0, 10))));
        assert!(
            range.contains("in 0..10") && range.contains("example 1 of") && range.contains("has 10"),
            "{range}"
        );
    }
}
