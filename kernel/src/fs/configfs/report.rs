//! `tsm/report` (Linux's Documentation/ABI/testing/configfs-tsm-report): mkdir(2) makes a request, its `inblob` takes the caller's data, and its `outblob` is
//! the quote of that. `generation` counts what was written, so that who shares a request notices that somebody else has changed it.

use crate::device::tdx::quote;
use crate::error::{Errno, Error, Result};
use crate::fs::synthetic::{Directory, Face, Source, Text, Volume};
use crate::fs::vfs::inode::{Attributes, DirEntry, FileType, Inode, Metadata, NewInode};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use ostd::sync::{Mutex, SpinLock};
use ostd::tdx::REPORT_DATA_LEN;

/// Requests that there may be: each costs kernel memory, and nobody needs many.
const MAX_REQUESTS: usize = 1024;

/// The directory of requests.
#[derive(Debug)]
pub struct Reports {
    volume: Arc<Volume>,
    face: Face,
    requests: SpinLock<BTreeMap<Box<[u8]>, Arc<Directory>>>,
}

impl Reports {
    /// Without any.
    pub fn new(volume: &Arc<Volume>) -> Arc<Self> {
        let face = volume.next_face(FileType::Directory, 0o755);
        Arc::new(Self { volume: volume.clone(), face, requests: SpinLock::default() })
    }

    /// The files of one request.
    fn request(&self) -> Arc<Directory> {
        let directory = Directory::new(&self.volume);
        let request: Arc<Mutex<Request>> = Arc::default();
        for (name, permissions, attribute) in [
            ("generation", 0o444, Attribute::Generation),
            ("inblob", 0o200, Attribute::Input),
            ("outblob", 0o444, Attribute::Output),
            ("provider", 0o444, Attribute::Provider),
        ] {
            directory.file(name, permissions, AttributeFile { request: request.clone(), attribute });
        }
        directory
    }
}

/// What was asked for, and what came of it.
#[derive(Debug, Default)]
struct Request {
    /// At most as long as what a report carries.
    input: Vec<u8>,
    /// Writes so far.
    generation: u64,
    /// The quote, and which generation it is of.
    quote: Option<(u64, Vec<u8>)>,
}

impl Request {
    fn quote(&mut self) -> Result<&[u8]> {
        let input = self.input.as_slice().try_into();
        let input = input.map_err(|_| Error::with(Errno::EINVAL, "`inblob` must be 64 bytes"))?;
        let quote = match self.quote.take() {
            Some((of, quote)) if of == self.generation => quote,
            _ => quote::get(input)?,
        };
        Ok(&self.quote.insert((self.generation, quote)).1)
    }
}

#[derive(Clone, Copy, Debug)]
enum Attribute {
    Generation,
    Input,
    Output,
    Provider,
}

#[derive(Debug)]
struct AttributeFile {
    request: Arc<Mutex<Request>>,
    attribute: Attribute,
}

impl Source for AttributeFile {
    fn show(&self, text: &mut Text) -> Result<()> {
        match self.attribute {
            Attribute::Generation => text.add(format_args!("{}\n", self.request.lock().generation)),
            Attribute::Input => return Err(Errno::EACCES.into()),
            Attribute::Output => text.bytes(self.request.lock().quote()?),
            Attribute::Provider => text.bytes(b"tdx_guest\n"),
        }
        Ok(())
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        let Attribute::Input = self.attribute else { return Err(Errno::EACCES.into()) };
        if bytes.len() > REPORT_DATA_LEN {
            return Err(Errno::EINVAL.into());
        }
        let mut request = self.request.lock();
        request.input = bytes.to_vec();
        request.generation += 1;
        Ok(())
    }
}

impl Inode for Reports {
    fn metadata(&self) -> Metadata {
        self.face.metadata((0, 0), 2 + self.requests.lock().len() as u32, 0)
    }

    fn set_attributes(&self, _: &Attributes) -> Result<()> {
        Err(Errno::EPERM.into())
    }

    fn must_revalidate(&self) -> bool {
        true
    }

    fn revalidate(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        self.lookup(name).is_ok_and(|now| Arc::ptr_eq(&now, child))
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let request = self.requests.lock().get(name).cloned().ok_or(Errno::ENOENT)?;
        Ok(request)
    }

    fn create(
        &self,
        name: &[u8],
        what: NewInode<'_>,
        _permissions: u32,
        _owner: (u32, u32),
    ) -> Result<Arc<dyn Inode>> {
        let NewInode::Directory = what else { return Err(Errno::EPERM.into()) };
        let new = self.request();
        let mut requests = self.requests.lock();
        if requests.contains_key(name) {
            return Err(Errno::EEXIST.into());
        }
        if requests.len() >= MAX_REQUESTS || ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        requests.insert(name.into(), new.clone());
        Ok(new)
    }

    fn rmdir(&self, name: &[u8], victim: &Arc<dyn Inode>) -> Result<()> {
        let mut requests = self.requests.lock();
        let known = requests.get(name).ok_or(Errno::ENOENT)?;
        let victim: &dyn Any = &**victim;
        if !victim.downcast_ref::<Directory>().is_some_and(|victim| core::ptr::eq(victim, &raw const **known))
        {
            return Err(Errno::ENOENT.into());
        }
        let gone = requests.remove(name);
        drop(requests);
        drop(gone);
        Ok(())
    }

    fn read_dir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        // Emitting copies to user space, which no spin lock may be held for.
        let requests = self.requests.lock();
        let mut entries: Vec<(u64, Box<[u8]>)> = Vec::new();
        entries.try_reserve_exact(2 + requests.len()).map_err(|_| Errno::ENOMEM)?;
        let own = self.face.metadata((0, 0), 0, 0).ino;
        entries.extend([&b"."[..], b".."].map(|name| (own, name.into())));
        entries.extend(requests.iter().map(|(name, request)| (request.metadata().ino, name.clone())));
        drop(requests);
        let skipped = usize::try_from(from).unwrap_or(usize::MAX);
        for (at, (ino, name)) in entries.iter().enumerate().skip(skipped) {
            let entry = DirEntry { name, ino: *ino, file_type: FileType::Directory, next: at as u64 + 1 };
            if !emit(entry) {
                break;
            }
        }
        Ok(())
    }
}
