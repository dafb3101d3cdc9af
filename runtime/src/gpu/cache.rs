//! The pipeline cache on disk: compiled kernels that the next run need not compile again.
//!
//! One file for each adapter and driver in the user's cache folder: a checksum, then the driver's own data.
//! A file that cannot be read, is damaged or stale is ignored; one that cannot be written costs time only.

use std::path::PathBuf;

use super::device::Device;
use super::trusted;
use crate::durable;

/// An open cache and the file it came from.
pub(super) struct Cache {
    pub(super) cache: wgpu::PipelineCache,
    path: PathBuf,
    checksum: Option<u32>,
}

/// The cache of this device, where its driver has one.
pub(super) fn open(device: &Device) -> Option<Cache> {
    if !device.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
        return None;
    }
    let key = wgpu::util::pipeline_cache_key(&device.info)?;
    let path = folder()?.join(key);
    let stored = std::fs::read(&path).ok().and_then(verified);
    let checksum = stored.as_ref().map(|data| crc32fast::hash(data));
    let cache = device
        .guarded("the pipeline cache", 0, || trusted::pipeline_cache(&device.device, stored.as_deref()))
        .ok()?;
    Some(Cache { cache, path, checksum })
}

/// Writes the cache back if it has grown.
pub(super) fn save(cache: Cache) {
    let Some(data) = cache.cache.get_data() else { return };
    let checksum = crc32fast::hash(&data);
    if cache.checksum == Some(checksum) {
        return;
    }
    let mut file = checksum.to_le_bytes().to_vec();
    file.extend(data);
    let saved = cache.path.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok());
    if saved {
        // A cache that cannot be written is a slower start next time, nothing to stop for.
        let _ = durable::write(&cache.path, &file);
    }
}

fn verified(file: Vec<u8>) -> Option<Vec<u8>> {
    let (checksum, data) = file.split_first_chunk::<4>()?;
    (crc32fast::hash(data) == u32::from_le_bytes(*checksum)).then(|| data.to_vec())
}

fn folder() -> Option<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = if cfg!(target_os = "windows") {
        from("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        from("HOME").map(|home| home.join("Library/Caches"))
    } else {
        from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")))
    };
    Some(base?.join("nnc/pipelines"))
}
