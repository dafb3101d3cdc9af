//! Files seen as memory, so that a large one is read only where it is used.
//!
//! Mapping is unsafe because another process could change the file meanwhile; weight and data files are
//! written once and replaced by rename (see [`crate::durable`]), which leaves an existing mapping intact.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

/// Bytes that lie in memory or in a mapped file. Clones share them.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    /// In memory.
    Owned(Arc<Vec<u8>>),
    /// A range of a mapped file.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Bytes {
    /// A whole file.
    pub(crate) fn map(path: &Path) -> io::Result<Bytes> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        if metadata.len() == 0 {
            return Ok(Bytes::Owned(Arc::default()));
        }
        // SAFETY: files are replaced by rename and not changed in place, as the module says.
        let map = unsafe { Mmap::map(&file)? };
        let length = map.len();
        Ok(Bytes::Mapped(Arc::new(map), 0..length))
    }

    /// A part of these bytes, sharing them.
    pub(crate) fn slice(&self, range: Range<usize>) -> Bytes {
        match self {
            Bytes::Owned(bytes) => Bytes::Owned(Arc::new(bytes[range].to_vec())),
            Bytes::Mapped(map, outer) => {
                Bytes::Mapped(Arc::clone(map), outer.start + range.start..outer.start + range.end)
            }
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map, range) => &map[range.clone()],
        }
    }
}
