//! What weights come to the device through: a few buffers, filled one after another while the device works on what came
//! before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::device::Device;
use super::ring::{FAILED, PENDING, READY, map, mapping};
use crate::session::DeviceError;

/// How many buffers there are: one is filled, one waits, one is copied from.
const BUFFERS: usize = 3;

/// The most that one holds, in bytes.
const BYTES: u64 = 8 << 20;

/// What is read from a source at a time, in bytes.
const PIECE: usize = 1 << 20;

/// Writes the bytes of something from a place on.
pub(super) type Fill<'a> = dyn FnMut(usize, &mut [u8]) -> Result<(), DeviceError> + 'a;

/// The buffers.
#[derive(Debug)]
pub(super) struct Staging {
    buffers: Vec<Half>,
    /// The size of each, in bytes.
    room: u64,
    /// Which is filled.
    current: usize,
    piece: Vec<u8>,
}

/// A buffer on its way: filled by the host, or read by the device.
#[derive(Debug)]
struct Half {
    buffer: wgpu::Buffer,
    ready: Arc<AtomicU8>,
    submission: Option<wgpu::SubmissionIndex>,
    /// How far it is filled, in bytes.
    filled: u64,
}

impl Staging {
    /// Buffers for programs that load so many bytes.
    pub(super) fn new(device: &Device, loaded: u64) -> Result<Staging, DeviceError> {
        let room = BYTES.min(loaded.next_multiple_of(16).max(16));
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let half = || {
            let buffer = device.buffer("the way of the weights", room, usage, true)?;
            Ok(Half { buffer, ready: Arc::new(AtomicU8::new(READY)), submission: None, filled: 0 })
        };
        let buffers = (0..BUFFERS).map(|_| half()).collect::<Result<Vec<_>, DeviceError>>()?;
        Ok(Staging { buffers, room, current: 0, piece: vec![0; PIECE] })
    }

    /// The size of all buffers in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.room * BUFFERS as u64
    }

    /// Copies `bytes` bytes, a multiple of 4, to `offset` of `target` behind what is encoded. Whenever a buffer is full,
    /// what is encoded is submitted.
    pub(super) fn copy(
        &mut self,
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        target: (&wgpu::Buffer, u64),
        bytes: usize,
        fill: &mut Fill<'_>,
    ) -> Result<(), DeviceError> {
        let mut done = 0;
        while done < bytes {
            if self.buffers[self.current].filled == self.room {
                let full = std::mem::replace(encoder, super::program::encoder(device));
                self.submit(device, full);
            }
            self.wait(device)?;
            let half = &mut self.buffers[self.current];
            let free = usize::try_from(self.room - half.filled).unwrap_or(PIECE);
            let length = free.min(bytes - done).min(PIECE);
            let piece = &mut self.piece[..length];
            fill(done, piece)?;
            let range = half.filled..half.filled + length as u64;
            let mut view = half.buffer.slice(range.clone()).get_mapped_range_mut().map_err(mapping)?;
            view.slice(..length).copy_from_slice(piece);
            drop(view);
            let (buffer, at) = target;
            encoder.copy_buffer_to_buffer(&half.buffer, range.start, buffer, at + done as u64, length as u64);
            half.filled = range.end.next_multiple_of(16).min(self.room);
            done += length;
        }
        Ok(())
    }

    /// Submits what is encoded, with the buffer that is being filled.
    pub(super) fn submit(&mut self, device: &Device, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        let half = &mut self.buffers[self.current];
        let used = half.filled > 0;
        if used {
            half.buffer.unmap();
        }
        let submission = device.queue.submit([encoder.finish()]);
        if used {
            map(&half.buffer, wgpu::MapMode::Write, &half.ready);
            (half.submission, half.filled) = (Some(submission.clone()), 0);
            self.current = (self.current + 1) % BUFFERS;
        }
        submission
    }

    /// Forgets what was filled but not submitted.
    pub(super) fn abandon(&mut self) {
        self.buffers[self.current].filled = 0;
    }

    /// Waits until the buffer that is to be filled is free.
    fn wait(&self, device: &Device) -> Result<(), DeviceError> {
        let half = &self.buffers[self.current];
        while half.ready.load(Ordering::Acquire) == PENDING {
            device.wait(half.submission.clone())?;
        }
        if half.ready.load(Ordering::Acquire) == FAILED {
            device.check()?;
            return Err(DeviceError::Lost { cause: "its memory could not be mapped".to_owned() });
        }
        Ok(())
    }
}
