//! How long each dispatch of a program takes, by the device's own clock.

use super::device::Device;
use super::program::Loaded;
use super::transfer;
use crate::session::DeviceError;

/// Dispatches timed in one pass: a query set holds 4,096 timestamps.
const CHUNK: usize = 4_000;

/// Runs all dispatches `times` times over and gives the shortest time of each, in nanoseconds; `None` where the adapter
/// has no timestamps.
pub(super) fn time_dispatches(
    device: &Device,
    loaded: &Loaded,
    times: usize,
) -> Result<Option<Vec<f64>>, DeviceError> {
    if !device.has_timestamps() {
        return Ok(None);
    }
    let count = loaded.program.dispatches.len();
    let mut best = vec![f64::INFINITY; count];
    let timer = Timer::new(device, count.min(CHUNK))?;
    for _ in 0..times {
        let mut start = 0;
        while start < count {
            let range = start..(start + CHUNK).min(count);
            let stamps = timer.run(device, loaded, range.clone())?;
            for (place, pair) in range.clone().zip(stamps.windows(2)) {
                best[place] = best[place].min(pair[1].saturating_sub(pair[0]) as f64 * timer.period);
            }
            start = range.end;
        }
    }
    Ok(Some(best))
}

struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Nanoseconds a tick.
    period: f64,
}

impl Timer {
    fn new(device: &Device, dispatches: usize) -> Result<Timer, DeviceError> {
        let count = dispatches as u32 + 1;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        Ok(Timer {
            queries: device.guarded("timestamps", 0, || {
                device.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: None,
                    ty: wgpu::QueryType::Timestamp,
                    count,
                })
            })?,
            resolved: device.buffer("timestamps", u64::from(count) * 8, usage, false)?,
            period: f64::from(device.queue.get_timestamp_period()),
        })
    }

    fn run(
        &self,
        device: &Device,
        loaded: &Loaded,
        range: std::ops::Range<usize>,
    ) -> Result<Vec<u64>, DeviceError> {
        let count = range.len() as u32;
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let first = range.start;
            loaded.encode_dispatches(&mut pass, range, |pass, place| {
                pass.write_timestamp(&self.queries, (place - first) as u32);
            });
            pass.write_timestamp(&self.queries, count);
        }
        encoder.resolve_query_set(&self.queries, 0..count + 1, &self.resolved, 0);
        device.queue.submit([encoder.finish()]);
        let bytes = transfer::download(device, &self.resolved, 0, u64::from(count + 1) * 8)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect())
    }
}
