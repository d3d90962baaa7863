//! A queue as a file: its attributes, and what it is when it is open.

use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::synthetic::Text;
use crate::fs::vfs::inode::{Attributes, Inode, Metadata, Timestamp};
use crate::ipc::mq::Queue;
use crate::thread::Thread;
use alloc::sync::Arc;
use ostd::mm::VmWriter;
use ostd::sync::SpinLock;

/// Bytes that stat(2) says a queue's file has.
const SIZE: u64 = 80;

/// A queue with its name's attributes.
#[derive(Debug)]
pub struct Node {
    metadata: SpinLock<Metadata>,
    queue: Arc<Queue>,
}

/// An open queue.
#[derive(Debug)]
struct QueueFile(Arc<Queue>);

/// The queue behind `file`, if it is one.
pub fn of(file: &OpenFile) -> Option<&Arc<Queue>> {
    file.downcast::<QueueFile>().map(|file| &file.0)
}

impl Node {
    /// A queue with these attributes.
    pub fn new(metadata: Metadata, queue: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self { metadata: SpinLock::new(Metadata { size: SIZE, ..metadata }), queue })
    }

    /// Its name is gone.
    pub fn unlinked(&self) {
        let mut metadata = self.metadata.lock();
        metadata.links = 0;
        metadata.changed = Timestamp::now();
    }
}

impl Inode for Node {
    fn metadata(&self) -> Metadata {
        *self.metadata.lock()
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        let mut metadata = self.metadata.lock();
        let old = *metadata;
        // open(2) with O_TRUNC asks for size 0, which changes nothing here.
        *metadata = Metadata {
            permissions: change.permissions.unwrap_or(old.permissions),
            uid: change.uid.unwrap_or(old.uid),
            gid: change.gid.unwrap_or(old.gid),
            accessed: change.accessed.unwrap_or(old.accessed),
            modified: change.modified.unwrap_or(old.modified),
            changed: Timestamp::now(),
            ..old
        };
        Ok(())
    }

    fn open(&self, _flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        Ok(Some(Arc::new(QueueFile(self.queue.clone()))))
    }
}

impl FileOps for QueueFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let thread = Thread::current().ok_or(Errno::EINVAL)?;
        let mut text = Text::default();
        self.0.show(&mut text, thread.process());
        let mut position = file.position().lock();
        let bytes = text.into_bytes()?;
        let rest = usize::try_from(*position).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let read = writer.write(&rest[..rest.len().min(writer.remaining())])?;
        *position += read as u64;
        Ok(read)
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        self.0.events()
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(self.0.pollee())
    }

    /// A process that closes any of its descriptors of a queue is not told of it any more (mq_close(3)).
    fn flush(&self, _file: &OpenFile) {
        if let Some(thread) = Thread::current() {
            self.0.unregister(thread.process());
        }
    }
}
