//! The artifact on disk: a header, and the artifact as JSON.
//!
//! The header is `NNCA`, the format version (u32), the length of the JSON in bytes (u64) and its CRC-32 (u32),
//! all little-endian. A file that is cut short, altered, foreign or of a newer format is told apart by its
//! error, and what was read is [validated](Artifact::validate), so that executing it can neither panic nor
//! touch memory outside its buffers.

use crate::artifact::Artifact;
use crate::validate::Invalid;

/// The first four bytes of an artifact file.
pub const MAGIC: [u8; 4] = *b"NNCA";

/// The version of the format that this runtime writes; it reads this one and those before.
pub const VERSION: u32 = 1;

const HEADER_BYTES: usize = 20;

/// A file that is no usable artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It does not begin as an artifact does.
    #[error("this is not an artifact: it does not begin with `NNCA`; make one with `nnc build`")]
    Foreign,
    /// It was written for a later runtime.
    #[error(
        "the artifact has format {found}, this runtime reads up to {VERSION}; update it or compile again"
    )]
    Newer {
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
    let body = serde_json::to_vec(artifact).expect("an artifact has no maps and no failing serializers");
    let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
    file.extend(MAGIC);
    file.extend(VERSION.to_le_bytes());
    file.extend((body.len() as u64).to_le_bytes());
    file.extend(crc32fast::hash(&body).to_le_bytes());
    file.extend(body);
    file
}

/// The artifact in these bytes.
///
/// # Errors
/// If they are not a whole, unaltered, valid artifact of a format this runtime knows.
pub fn read(file: &[u8]) -> Result<Artifact, FormatError> {
    let known = file.len().min(MAGIC.len());
    if file.is_empty() || file[..known] != MAGIC[..known] {
        return Err(FormatError::Foreign);
    }
    let Some((header, body)) = file.split_at_checked(HEADER_BYTES) else {
        return Err(FormatError::Truncated { expected: HEADER_BYTES as u64, found: file.len() as u64 });
    };
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let version = word(4);
    if version == 0 || version > VERSION {
        return Err(FormatError::Newer { found: version });
    }
    let length = u64::from(word(8)) | u64::from(word(12)) << 32;
    let found = body.len() as u64;
    if found < length {
        let expected = length.saturating_add(HEADER_BYTES as u64);
        return Err(FormatError::Truncated { expected, found: file.len() as u64 });
    }
    if found > length {
        return Err(FormatError::Trailing { found: found - length });
    }
    let (expected, found) = (word(16), crc32fast::hash(body));
    if expected != found {
        return Err(FormatError::Altered { expected, found });
    }
    let artifact: Artifact =
        serde_json::from_slice(body).map_err(|e| FormatError::Content { cause: e.to_string() })?;
    artifact.validate()?;
    Ok(artifact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn what_was_written_is_read_back() {
        let artifact = example::linear();
        assert_eq!(read(&write(&artifact)).unwrap(), artifact);
        assert_eq!(write(&artifact), write(&artifact.clone()));
    }

    #[test]
    fn every_prefix_is_refused() {
        let file = write(&example::linear());
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
        let file = write(&example::linear());
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
                altered[16..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
                if let Ok(artifact) = read(&altered) {
                    assert!(artifact.validate().is_ok(), "byte {place}");
                }
            }
        }
    }

    #[test]
    fn a_newer_format_says_so() {
        let mut file = write(&example::linear());
        file[4] = 2;
        let message = read(&file).unwrap_err().to_string();
        assert!(message.contains("format 2") && message.contains("up to 1"), "{message}");
    }
}
