//! Blocking copies between host and device memory, outside of steps: weights in and out, tests, traces.

use std::sync::mpsc;

use super::device::Device;
use crate::session::DeviceError;

/// The most that one staging buffer holds, in bytes.
const CHUNK: u64 = 64 << 20;

/// The `bytes` bytes from `offset` on; both multiples of 4.
pub(super) fn download(
    device: &Device,
    buffer: &wgpu::Buffer,
    offset: u64,
    bytes: u64,
) -> Result<Vec<u8>, DeviceError> {
    let mut all = Vec::with_capacity(bytes as usize);
    if bytes == 0 {
        return Ok(all);
    }
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let staging = device.buffer("a copy to the host", bytes.min(CHUNK), usage, false)?;
    let mut done = 0;
    while done < bytes {
        let length = (bytes - done).min(CHUNK);
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset + done, &staging, 0, length);
        device.queue.submit([encoder.finish()]);
        let slice = staging.slice(0..length);
        let (sender, receiver) = mpsc::channel();
        slice.map_async(wgpu::MapMode::Read, move |result| {
            // The receiver waits below; it is gone only if this thread is.
            let _ = sender.send(result);
        });
        device.wait(None)?;
        // Another thread that waits for the same device may be the one that reports it, a little later.
        match receiver.recv() {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(DeviceError::Command { cause: format!("a copy to the host: {e}") }),
            Err(e) => return Err(DeviceError::Command { cause: format!("a copy to the host: {e}") }),
        }
        let view = slice
            .get_mapped_range()
            .map_err(|e| DeviceError::Command { cause: format!("a copy to the host: {e}") })?;
        all.extend_from_slice(&view);
        drop(view);
        staging.unmap();
        done += length;
    }
    Ok(all)
}

/// Writes `bytes` (a multiple of 4 of them) at `offset` and waits until they are there.
pub(super) fn upload(
    device: &Device,
    buffer: &wgpu::Buffer,
    offset: u64,
    bytes: &[u8],
) -> Result<(), DeviceError> {
    let mut done = offset;
    for chunk in bytes.chunks(CHUNK as usize) {
        device.queue.write_buffer(buffer, done, chunk);
        device.queue.submit([]);
        device.wait(None)?;
        done += chunk.len() as u64;
    }
    Ok(())
}
