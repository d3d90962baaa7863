//! Native asynchronous I/O (io_submit(2)), by the calls themselves, as the C library has no wrappers.

use std::fs::File;
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::{Duration, Instant};

use nix::sys::eventfd::EventFd;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw::syscall;

cases!("event":
    aio_reads_and_writes_and_tells,
    aio_contexts_have_their_room,
    aio_waits_until_its_limit,
    aio_contexts_belong_to_one_process,
    aio_refuses_what_it_does_not_know,
);

const READ: u16 = 0;
const WRITE: u16 = 1;
const SYNC: u16 = 2;
const HAS_BELL: u32 = 1;

/// struct iocb.
#[repr(C)]
#[derive(Default)]
struct Request {
    data: u64,
    key: u32,
    how: u32,
    operation: u16,
    priority: i16,
    fd: u32,
    buffer: u64,
    len: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    bell: u32,
}

/// struct io_event.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Event {
    data: u64,
    request: u64,
    result: i64,
    second: i64,
}

struct Context(usize);

impl Context {
    fn new(room: usize) -> nix::Result<Self> {
        let mut id = 0_usize;
        // SAFETY: it writes one number.
        unsafe { syscall(libc::SYS_io_setup, [room, (&raw mut id).expose_provenance()]) }?;
        Ok(Self(id))
    }

    fn submit(&self, requests: &[&Request]) -> nix::Result<usize> {
        let pointers: Vec<usize> =
            requests.iter().map(|request| (&raw const **request).expose_provenance()).collect();
        let list = pointers.as_ptr().expose_provenance();
        // SAFETY: the requests live as long as the call, and each is done when it returns; their buffers are the callers'.
        unsafe { syscall(libc::SYS_io_submit, [self.0, requests.len(), list]) }
    }

    fn events(&self, min: usize, limit: Option<Duration>) -> nix::Result<Vec<Event>> {
        let mut events = [Event::default(); 8];
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().cast_signed(),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(0, |limit| std::ptr::from_ref(limit).expose_provenance());
        let list = events.as_mut_ptr().expose_provenance();
        // SAFETY: it writes as many events as there is room for, and reads a time.
        let count = unsafe { syscall(libc::SYS_io_getevents, [self.0, min, events.len(), list, limit]) }?;
        Ok(events[..count].to_vec())
    }

    fn destroy(self) -> nix::Result<()> {
        // SAFETY: nothing refers to the context's page.
        unsafe { syscall(libc::SYS_io_destroy, [self.0]) }.map(drop)
    }
}

fn request(operation: u16, fd: RawFd, data: u64, buffer: &mut [u8], offset: i64) -> Request {
    Request {
        data,
        operation,
        fd: fd.cast_unsigned(),
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        len: buffer.len() as u64,
        offset,
        ..Request::default()
    }
}

fn aio_reads_and_writes_and_tells() -> Outcome {
    let file = File::options().read(true).write(true).create_new(true).open("file")?;
    let bell = EventFd::new()?;
    let context = Context::new(8)?;
    let (mut text, mut back) = (*b"some text", [0; 16]);
    let write = Request {
        flags: HAS_BELL,
        bell: bell.as_raw_fd().cast_unsigned(),
        ..request(WRITE, file.as_raw_fd(), 1, &mut text, 4)
    };
    let sync = Request { buffer: 0, ..request(SYNC, file.as_raw_fd(), 2, &mut [], 0) };
    check_eq!(context.submit(&[&write, &sync])?, 2);
    let events = context.events(2, None)?;
    check_eq!(events.iter().map(|event| (event.data, event.result)).collect::<Vec<_>>(), [(1, 9), (2, 0)]);
    check_eq!(events[0].request, (&raw const write).addr() as u64);
    check_eq!(bell.read()?, 1);
    let read = request(READ, file.as_raw_fd(), 3, &mut back, 0);
    context.submit(&[&read])?;
    check_eq!(context.events(1, None)?[0].result, 13);
    check_eq!(&back[..13], b"\0\0\0\0some text");
    // What goes wrong in the transfer is the request's result.
    let bad = Request { buffer: 16, ..request(READ, file.as_raw_fd(), 4, &mut back, 0) };
    context.submit(&[&bad])?;
    check_eq!(context.events(1, None)?[0].result, -i64::from(libc::EFAULT));
    context.destroy()?;
    Ok(())
}

fn aio_contexts_have_their_room() -> Outcome {
    let file = File::open("/proc/self/exe")?;
    let context = Context::new(1)?;
    let mut back = [0; 4];
    let read = request(READ, file.as_raw_fd(), 0, &mut back, 0);
    // Linux rounds up, by how many CPUs there are; but there is an end.
    let mut submitted = 0;
    while submitted < 100_000 && context.submit(&[&read]).is_ok() {
        submitted += 1;
    }
    check!((1..100_000).contains(&submitted), "{submitted} fitted");
    check_fails!(context.submit(&[&read]), EAGAIN);
    check_eq!(context.events(1, None)?[0].result, 4);
    check_fails!(Context::new(0), EINVAL);
    check_fails!(Context::new(1 << 20), EAGAIN);
    context.destroy()?;
    Ok(())
}

fn aio_waits_until_its_limit() -> Outcome {
    let context = Context::new(4)?;
    check_eq!(context.events(0, None)?.len(), 0);
    check_eq!(context.events(1, Some(Duration::ZERO))?.len(), 0);
    let start = Instant::now();
    check_eq!(context.events(1, Some(Duration::from_millis(40)))?.len(), 0);
    check!(start.elapsed() >= Duration::from_millis(40));
    context.destroy()?;
    Ok(())
}

fn aio_contexts_belong_to_one_process() -> Outcome {
    let context = Context::new(4)?;
    child::passes(|| {
        check_fails!(context.events(0, None), EINVAL);
        Ok(())
    })?;
    let id = context.0;
    context.destroy()?;
    check_fails!(Context(id).events(0, None), EINVAL);
    check_fails!(Context(id).destroy(), EINVAL);
    Ok(())
}

fn aio_refuses_what_it_does_not_know() -> Outcome {
    let file = File::open("/proc/self/exe")?;
    let context = Context::new(4)?;
    let mut back = [0; 4];
    let read = || request(READ, file.as_raw_fd(), 0, &mut [0; 4], 0);
    check_fails!(context.submit(&[&Request { fd: 999, ..read() }]), EBADF);
    check_fails!(context.submit(&[&request(WRITE, file.as_raw_fd(), 0, &mut back, 0)]), EBADF);
    check_fails!(context.submit(&[&Request { operation: 77, ..read() }]), EINVAL);
    check_fails!(context.submit(&[&Request { reserved: 1, ..read() }]), EINVAL);
    check_fails!(context.submit(&[&Request { operation: SYNC, ..read() }]), EINVAL);
    let no_bell = Request { flags: HAS_BELL, bell: file.as_raw_fd().cast_unsigned(), ..read() };
    check_fails!(context.submit(&[&no_bell]), EINVAL);
    // What came before the refused one has been done.
    let good = request(READ, file.as_raw_fd(), 5, &mut back, 0);
    check_eq!(context.submit(&[&good, &no_bell])?, 1);
    check_eq!(context.events(1, None)?[0].data, 5);
    context.destroy()?;
    Ok(())
}
