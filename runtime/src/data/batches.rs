//! Batches prepared ahead on another thread, in buffers that go round.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::dataset::Dataset;
use super::error::DataError;
use super::image::Draw;
use super::order::{Order, permutation};
use crate::artifact::Program;
use crate::batch::Batch;

/// How a program is fed from a data set.
#[derive(Clone, Debug)]
pub struct Feed {
    dataset: Arc<Dataset>,
    /// For each input of the program, the column of the data set.
    columns: Vec<usize>,
    empty: Batch,
    batch: usize,
    /// The seed of shuffling and of what is drawn for each example; `None` keeps the order and the examples.
    augment: Option<u64>,
    keep_tail: bool,
}

impl Feed {
    /// For training: shuffled anew each epoch (where the reader allows it), without an incomplete last batch.
    ///
    /// # Errors
    /// If the fields do not fit the program, or there is not one whole batch.
    pub fn training(dataset: Arc<Dataset>, program: &Program, seed: u64) -> Result<Feed, DataError> {
        let feed = Feed::new(dataset, program, Some(seed), false)?;
        if feed.batches() > 0 {
            return Ok(feed);
        }
        Err(DataError::TooFew {
            part: feed.dataset.part().to_owned(),
            examples: feed.dataset.examples(),
            batch: feed.batch,
        })
    }

    /// For evaluation: in order, with an incomplete last batch.
    ///
    /// # Errors
    /// If the fields do not fit the program.
    pub fn evaluation(dataset: Arc<Dataset>, program: &Program) -> Result<Feed, DataError> {
        Feed::new(dataset, program, None, true)
    }

    /// All examples of the part.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.dataset.examples()
    }

    /// Batches in an epoch.
    #[must_use]
    pub fn batches(&self) -> usize {
        let examples = self.dataset.examples();
        if self.keep_tail { examples.div_ceil(self.batch) } else { examples / self.batch }
    }

    /// Batch number `index` of an epoch whose examples come in this `order`, into `batch`.
    ///
    /// # Errors
    /// If the file of an example cannot be read.
    pub fn fill(&self, order: &Order, index: usize, batch: &mut Batch) -> Result<(), DataError> {
        let start = index * self.batch;
        let all = order.examples();
        let examples = &all[start..(start + self.batch).min(all.len())];
        batch.examples = examples.len();
        let draw = self.augment.map(|seed| Draw::new(seed, order.epoch));
        for (input, column) in self.columns.iter().enumerate() {
            self.dataset.fill(*column, examples, draw, batch.input_mut(input))?;
        }
        Ok(())
    }

    /// The order of the examples in an epoch.
    #[must_use]
    pub fn order(&self, epoch: u64) -> Order {
        let count = self.dataset.examples();
        let examples = match self.augment.filter(|_| self.dataset.is_shuffled()) {
            Some(seed) => permutation(count, seed, epoch),
            None => (0..count as u32).collect(),
        };
        Order { epoch, examples }
    }

    /// An empty batch of the right layout.
    #[must_use]
    pub fn empty(&self) -> Batch {
        self.empty.clone()
    }

    fn new(
        dataset: Arc<Dataset>,
        program: &Program,
        augment: Option<u64>,
        keep_tail: bool,
    ) -> Result<Feed, DataError> {
        let columns = dataset.feeds(&program.inputs)?;
        Ok(Feed { dataset, columns, empty: Batch::new(program), batch: program.batch, augment, keep_tail })
    }
}

/// The batches of one epoch after another, prepared ahead.
#[derive(Debug)]
pub struct Batches {
    ready: Option<Receiver<Result<Batch, DataError>>>,
    returned: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

/// Buffers that go round: two ready, one being filled.
const BUFFERS: usize = 3;

impl Batches {
    /// Starts with batch `index` of `epoch` and goes on through `epochs` epochs.
    #[must_use]
    pub fn start(feed: Feed, epoch: u64, index: usize, epochs: u64) -> Batches {
        let (ready_sender, ready) = sync_channel(BUFFERS);
        let (returned, empty) = channel();
        for _ in 0..BUFFERS {
            // The receiver is alive: it moves into the thread below.
            let _ = returned.send(feed.empty());
        }
        let thread = std::thread::spawn(move || prepare(&feed, epoch, index, epochs, &empty, &ready_sender));
        Batches { ready: Some(ready), returned: Some(returned), thread: Some(thread) }
    }

    /// Gives a used buffer back.
    pub fn recycle(&self, batch: Batch) {
        if let Some(returned) = &self.returned {
            // After the last batch the thread is gone, and the buffer with it.
            let _ = returned.send(batch);
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    /// The next batch, in order; after an error there is none.
    fn next(&mut self) -> Option<Result<Batch, DataError>> {
        self.ready.as_ref()?.recv().ok()
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.ready = None;
        self.returned = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

fn prepare(
    feed: &Feed,
    first: u64,
    index: usize,
    epochs: u64,
    empty: &Receiver<Batch>,
    ready: &SyncSender<Result<Batch, DataError>>,
) {
    let mut start = index;
    for epoch in first..first.saturating_add(epochs) {
        let order = feed.order(epoch);
        for index in start..feed.batches() {
            let Ok(mut batch) = empty.recv() else { return };
            let filled = feed.fill(&order, index, &mut batch);
            let failed = filled.is_err();
            if ready.send(filled.map(|()| batch)).is_err() || failed {
                return;
            }
        }
        start = 0;
    }
}
