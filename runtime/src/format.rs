//! The artifact on disk: a header, the artifact as JSON, and the bytes of given values.
//!
//! The header is `NNCA`, the format version (u32), the length of the JSON in bytes (u64), the CRC-32 of the JSON and
//! that of the values (u32 each), and the length of the values in bytes (u64), all little-endian. A file that is cut
//! short, altered, foreign or of another format is told apart by its error, and what was read is
//! [validated](Artifact::validate). Its kernels are trusted: a checksum tells an accident, not an intention.

use std::sync::Arc;

use crate::artifact::Artifact;
use crate::validate::Invalid;

/// The first four bytes of an artifact file.
pub const MAGIC: [u8; 4] = *b"NNCA";

/// The version of the format that this runtime writes and reads.
pub const VERSION: u32 = 6;

pub(crate) const HEADER_BYTES: usize = 32;

/// A file that is no usable artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It does not begin as an artifact does.
    #[error("this is not an artifact: it does not begin with `NNCA`; make one with `nnc build`")]
    Foreign,
    /// It was written for a later runtime.
    #[error(
        "the artifact has format {found}, this runtime reads {VERSION}; update the runtime or compile again"
    )]
    Newer {
        /// Its format.
        found: u32,
    },
    /// It was written for an earlier runtime.
    #[error("the artifact has format {found}, this runtime reads {VERSION}; compile it again")]
    Older {
        /// Its format.
        found: u32,
    },
    /// Its end is missing.
    #[error("the artifact is cut short: {found} bytes of {expected}; copy or compile it again")]
    Truncated {
        /// The bytes that it should have, as far as known.
        expected: u64,
        /// The bytes it has.
        found: u64,
    },
    /// It is longer than its header says.
    #[error("the artifact has {found} bytes after its end; copy or compile it again")]
    Trailing {
        /// Bytes too many.
        found: u64,
    },
    /// Its content is not what was written.
    #[error(
        "the artifact was altered: its checksum is {found:08x}, not {expected:08x}; copy or compile it again"
    )]
    Altered {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the content.
        found: u32,
    },
    /// The content is intact but no artifact.
    #[error("the artifact cannot be read: {cause}; compile it again with this version of `nnc`")]
    Content {
        /// What the reader says.
        cause: String,
    },
    /// Its parts do not fit together.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// The bytes of an artifact file; equal artifacts give equal bytes.
///
/// # Panics
/// Never: every artifact can be written as JSON.
#[must_use]
pub fn write(artifact: &Artifact) -> Vec<u8> {
    let json = serde_json::to_vec(artifact).expect("an artifact has no maps and no failing serializers");
    let values = artifact.values.as_slice();
    let mut file = Vec::with_capacity(HEADER_BYTES + json.len() + values.len());
    file.extend(MAGIC);
    file.extend(VERSION.to_le_bytes());
    file.extend((json.len() as u64).to_le_bytes());
    file.extend(crc32fast::hash(&json).to_le_bytes());
    file.extend(crc32fast::hash(values).to_le_bytes());
    file.extend((values.len() as u64).to_le_bytes());
    file.extend(json);
    file.extend(values);
    file
}

/// The artifact in these bytes.
///
/// # Errors
/// If they are not a whole, unaltered, valid artifact of a format this runtime knows.
pub fn read(file: &[u8]) -> Result<Artifact, FormatError> {
    let header = header(file, file.len() as u64)?;
    // Both lengths are those of parts of the file, so they fit.
    let (json, values) = file[HEADER_BYTES..].split_at(header.json_bytes as usize);
    let mut artifact = content(json, header.json_crc)?;
    unaltered(header.values_crc, crc32fast::hash(values))?;
    artifact.values = Arc::new(values.to_vec());
    artifact.validate()?;
    Ok(artifact)
}

/// What the header of a file says.
pub(crate) struct Header {
    /// The length of the JSON, in bytes.
    pub(crate) json_bytes: u64,
    /// The checksum of the JSON.
    pub(crate) json_crc: u32,
    /// The length of the values, in bytes.
    #[cfg_attr(not(feature = "data"), allow(dead_code, reason = "only files are read in parts"))]
    pub(crate) values_bytes: u64,
    /// The checksum of the values.
    pub(crate) values_crc: u32,
}

/// The header of a file of `found` bytes that begins with these.
pub(crate) fn header(file: &[u8], found: u64) -> Result<Header, FormatError> {
    let known = file.len().min(MAGIC.len());
    if file.is_empty() || file[..known] != MAGIC[..known] {
        return Err(FormatError::Foreign);
    }
    let word = |at: usize| file.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    match word(4) {
        Some(found) if found > VERSION => return Err(FormatError::Newer { found }),
        Some(found) if found < VERSION => return Err(FormatError::Older { found }),
        _ => {}
    }
    let truncated = |expected: u64| FormatError::Truncated { expected, found };
    let (Some(low), Some(high), Some(json_crc), Some(values_crc), Some(values_low), Some(values_high)) =
        (word(8), word(12), word(16), word(20), word(24), word(28))
    else {
        return Err(truncated(HEADER_BYTES as u64));
    };
    let json_bytes = u64::from(low) | u64::from(high) << 32;
    let values_bytes = u64::from(values_low) | u64::from(values_high) << 32;
    let expected = json_bytes.saturating_add(values_bytes).saturating_add(HEADER_BYTES as u64);
    if found < expected {
        return Err(truncated(expected));
    }
    if found > expected {
        return Err(FormatError::Trailing { found: found - expected });
    }
    Ok(Header { json_bytes, json_crc, values_bytes, values_crc })
}

/// The artifact in this JSON, without given values, not yet validated.
pub(crate) fn content(json: &[u8], crc: u32) -> Result<Artifact, FormatError> {
    unaltered(crc, crc32fast::hash(json))?;
    serde_json::from_slice(json).map_err(|e| FormatError::Content { cause: e.to_string() })
}

/// Compares two checksums.
pub(crate) fn unaltered(expected: u32, found: u32) -> Result<(), FormatError> {
    if expected == found { Ok(()) } else { Err(FormatError::Altered { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    /// The example with its weight given as numbers.
    fn given() -> Artifact {
        let mut artifact = example::linear();
        assert!(artifact.give("w", &[0, 0, 0, 63, 0, 0, 192, 191]));
        artifact
    }

    #[test]
    fn what_was_written_is_read_back() {
        for artifact in [example::linear(), given()] {
            assert_eq!(read(&write(&artifact)).unwrap(), artifact);
            assert_eq!(write(&artifact), write(&artifact.clone()));
        }
    }

    #[test]
    fn given_values_are_bytes_behind_the_json() {
        let mut artifact = given();
        assert!(write(&artifact).ends_with(&[0, 0, 0, 63, 0, 0, 192, 191]));
        assert!(!artifact.give("w", &[0; 4]) && !artifact.give("v", &[0; 8]));
        let small = write(&artifact).len();
        artifact.tensors[1].shape = vec![1 << 20];
        artifact.regions[1].bytes = 4 << 20;
        assert!(artifact.give("last", &vec![7; 4 << 20]));
        let large = write(&artifact).len();
        assert!(large - small < (4 << 20) + 100, "{small} {large}");
        let first = crate::init::first_value(&artifact.tensors[0], 1, &artifact.values);
        assert_eq!(first, [0, 0, 0, 63, 0, 0, 192, 191]);
    }

    #[test]
    fn every_prefix_is_refused() {
        let file = write(&given());
        for length in 0..file.len() {
            let error = read(&file[..length]).unwrap_err();
            let expected = if length == 0 {
                matches!(error, FormatError::Foreign)
            } else {
                matches!(error, FormatError::Truncated { .. })
            };
            assert!(expected, "{length}: {error}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = write(&given());
        for place in 0..file.len() {
            for bit in 0..8 {
                let mut altered = file.clone();
                altered[place] ^= 1 << bit;
                assert!(read(&altered).is_err(), "byte {place}, bit {bit}");
            }
        }
    }

    /// A right checksum over any content is an error or a valid artifact.
    #[test]
    fn altered_content_with_its_own_checksum_is_read_or_refused() {
        let file = write(&example::linear());
        for place in HEADER_BYTES..file.len() {
            for mask in [1, 4, 16, 0x7f] {
                let mut altered = file.clone();
                altered[place] ^= mask;
                let crc = crc32fast::hash(&altered[HEADER_BYTES..]);
                altered[16..20].copy_from_slice(&crc.to_le_bytes());
                if let Ok(artifact) = read(&altered) {
                    assert!(artifact.validate().is_ok(), "byte {place}");
                }
            }
        }
    }

    #[test]
    fn another_format_says_so() {
        let mut file = write(&example::linear());
        file[4] = 9;
        let message = read(&file).unwrap_err().to_string();
        assert!(message.contains("format 9") && message.contains(&format!("reads {VERSION}")), "{message}");
        // A file of format 1 had a header of 20 bytes.
        for length in [8, 20, 25, file.len()] {
            file[4] = 1;
            let message = read(&file[..length]).unwrap_err().to_string();
            assert!(message.contains("has format 1") && message.contains("compile it again"), "{message}");
        }
    }
}
