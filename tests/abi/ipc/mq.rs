//! POSIX message queues (mq_overview(7)) and the file system of their names.

use std::fs;
use std::os::fd::{AsRawFd as _, RawFd};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::mqueue::{
    MQ_OFlag, MqAttr, MqdT, mq_close, mq_getattr, mq_open, mq_receive, mq_send, mq_set_nonblock,
    mq_timedreceive, mq_unlink,
};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Uid;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw;

cases!("ipc":
    mq_messages_come_by_priority_and_age,
    mq_checks_lengths_and_rights,
    mq_waits_for_arrival_and_for_room,
    mq_tells_one_process_once,
    mq_names_are_files_with_rights,
    mq_makers_are_held_to_limits,
    mq_names_belong_to_the_ipc_namespace,
);

const READ_WRITE: MQ_OFlag = MQ_OFlag::O_RDWR;
const OWN: Mode = Mode::from_bits_retain(0o600);

fn make(name: &str, messages: i64, size: i64) -> nix::Result<MqdT> {
    let attributes = MqAttr::new(0, messages, size, 0);
    mq_open(name, READ_WRITE | MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL, OWN, Some(&attributes))
}

fn take(queue: &MqdT) -> nix::Result<(Vec<u8>, u32)> {
    let mut buffer = [0; 64];
    let mut priority = 0;
    let len = mq_receive(queue, &mut buffer, &mut priority)?;
    Ok((buffer[..len].to_vec(), priority))
}

fn mq_messages_come_by_priority_and_age() -> Outcome {
    let queue = make("/order", 8, 64)?;
    for (text, priority) in [("a", 1), ("b", 7), ("c", 1), ("d", 0), ("e", 7), ("", 32_767)] {
        mq_send(&queue, text.as_bytes(), priority)?;
    }
    let attributes = mq_getattr(&queue)?;
    check_eq!((attributes.maxmsg(), attributes.msgsize(), attributes.curmsgs()), (8, 64, 6));
    for (text, priority) in [("", 32_767), ("b", 7), ("e", 7), ("a", 1), ("c", 1), ("d", 0)] {
        check_eq!(take(&queue)?, (text.as_bytes().to_vec(), priority));
    }
    mq_unlink("/order")?;
    Ok(())
}

fn mq_checks_lengths_and_rights() -> Outcome {
    let queue = make("/checks", 2, 16)?;
    check_fails!(make("/checks", 2, 16), EEXIST);
    check_fails!(make("/other", 0, 16), EINVAL);
    check_fails!(make("/other", 2, 0), EINVAL);
    check_fails!(mq_open("/none", READ_WRITE, OWN, None), ENOENT);
    check_fails!(mq_send(&queue, &[0; 17], 0), EMSGSIZE);
    check_fails!(mq_send(&queue, b"x", 32_768), EINVAL);
    mq_set_nonblock(&queue)?;
    let mut priority = 0;
    check_fails!(mq_receive(&queue, &mut [0; 15], &mut priority), EMSGSIZE);
    check_fails!(mq_receive(&queue, &mut [0; 16], &mut priority), EAGAIN);
    mq_send(&queue, b"one", 0)?;
    mq_send(&queue, b"two", 0)?;
    check_fails!(mq_send(&queue, b"three", 0), EAGAIN);
    let reader = mq_open("/checks", MQ_OFlag::O_RDONLY, OWN, None)?;
    check_fails!(mq_send(&reader, b"x", 0), EBADF);
    let writer = mq_open("/checks", MQ_OFlag::O_WRONLY | MQ_OFlag::O_NONBLOCK, OWN, None)?;
    check_fails!(mq_receive(&writer, &mut [0; 16], &mut priority), EBADF);
    check_eq!(take(&reader)?.0, b"one");
    mq_unlink("/checks")?;
    // It is there as long as somebody has it open.
    check_eq!(take(&reader)?.0, b"two");
    check_fails!(mq_open("/checks", READ_WRITE, OWN, None), ENOENT);
    check_fails!(mq_unlink("/checks"), ENOENT);
    Ok(())
}

fn mq_waits_for_arrival_and_for_room() -> Outcome {
    let queue = make("/waits", 1, 64)?;
    let soon = clock_gettime(ClockId::CLOCK_REALTIME)? + TimeSpec::milliseconds(50);
    check_fails!(mq_timedreceive(&queue, &mut [0; 64], &mut 0, &soon), ETIMEDOUT);
    let child = child::fork_case(|| {
        thread::sleep(Duration::from_millis(50));
        mq_send(&queue, b"first", 3)?;
        // There is room for one.
        mq_send(&queue, b"second", 4)?;
        Ok(())
    })?;
    check_eq!(take(&queue)?, (b"first".to_vec(), 3));
    thread::sleep(Duration::from_millis(50));
    check_eq!(take(&queue)?, (b"second".to_vec(), 4));
    check_eq!(child.exit_code()?, 0);
    mq_unlink("/waits")?;
    Ok(())
}

/// mq_notify(3); `None` takes the registration back.
fn notify(queue: RawFd, signal: Option<(Signal, usize)>) -> nix::Result<()> {
    let event = signal.map(|(signal, value)| {
        // SAFETY: all bytes zero are a sigevent.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = signal as i32;
        event.sigev_value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
        event
    });
    let pointer = event.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: a sigevent or NULL is what it reads.
    unsafe { raw::syscall(libc::SYS_mq_notify, [queue as usize, pointer.expose_provenance()]) }.map(drop)
}

fn mq_tells_one_process_once() -> Outcome {
    let queue = make("/tells", 4, 64)?;
    let fd = queue.as_raw_fd();
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGUSR1);
    signals.thread_block()?;
    notify(fd, Some((Signal::SIGUSR1, 77)))?;
    child::passes(|| {
        check_fails!(notify(fd, Some((Signal::SIGUSR1, 1))), EBUSY);
        mq_send(&queue, b"x", 0)?;
        Ok(())
    })?;
    let wait = |timeout_ms: i64| -> nix::Result<libc::siginfo_t> {
        let timeout = libc::timespec { tv_sec: 0, tv_nsec: timeout_ms * 1_000_000 };
        // SAFETY: all bytes zero are a siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: a set, room for what is told, and a time.
        Errno::result(unsafe { libc::sigtimedwait(signals.as_ref(), &raw mut info, &raw const timeout) })?;
        Ok(info)
    };
    let info = wait(500)?;
    check_eq!(info.si_code, -3);
    // SAFETY: a signal of a message queue has a value.
    let value = unsafe { info.si_value() }.sival_ptr.addr();
    // SAFETY: and a sender.
    let uid = unsafe { info.si_uid() };
    check_eq!((value, uid), (77, 0));
    // Once only; and not while the queue has messages.
    mq_send(&queue, b"y", 0)?;
    check_fails!(wait(50), EAGAIN);
    notify(fd, Some((Signal::SIGUSR1, 78)))?;
    mq_send(&queue, b"z", 0)?;
    check_fails!(wait(50), EAGAIN);
    for _ in 0..3 {
        take(&queue)?;
    }
    notify(fd, None)?;
    mq_send(&queue, b"x", 0)?;
    check_fails!(wait(50), EAGAIN);
    take(&queue)?;
    // Closing any descriptor of it takes the registration back.
    notify(fd, Some((Signal::SIGUSR1, 79)))?;
    mq_close(mq_open("/tells", READ_WRITE, OWN, None)?)?;
    mq_send(&queue, b"x", 0)?;
    check_fails!(wait(50), EAGAIN);
    mq_unlink("/tells")?;
    Ok(())
}

fn mq_names_are_files_with_rights() -> Outcome {
    let queue = make("/named", 4, 64)?;
    mq_send(&queue, b"twelve bytes", 0)?;
    fs::create_dir("names")?;
    mount(Some("mqueue"), "names", Some("mqueue"), MsFlags::empty(), None::<&str>)?;
    let names: Vec<_> =
        fs::read_dir("names")?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    check_eq!(names, ["named"]);
    let text = fs::read_to_string("names/named")?;
    check!(text.starts_with("QSIZE:12 "), "{text}");
    check!(text.contains("NOTIFY:0 ") && text.contains("NOTIFY_PID:0 "), "{text}");
    // A file that is made there is a queue.
    fs::File::create("names/made")?;
    check_eq!(mq_getattr(&mq_open("/made", READ_WRITE, OWN, None)?)?.maxmsg(), 10);
    fs::remove_file("names/made")?;
    check_fails!(mq_open("/made", READ_WRITE, OWN, None), ENOENT);
    child::passes(|| {
        nix::unistd::setuid(Uid::from_raw(1000))?;
        check_fails!(mq_open("/named", MQ_OFlag::O_RDONLY, OWN, None), EACCES);
        // The C library makes EACCES of the EPERM that a sticky directory gives.
        check_fails!(mq_unlink("/named"), EACCES);
        // Whoever makes one has it, whatever its mode is.
        let attributes = MqAttr::new(0, 1, 64, 0);
        let own = mq_open("/own", READ_WRITE | MQ_OFlag::O_CREAT, Mode::empty(), Some(&attributes))?;
        mq_send(&own, b"x", 0)?;
        check_fails!(mq_open("/own", MQ_OFlag::O_RDONLY, OWN, None), EACCES);
        mq_unlink("/own")?;
        Ok(())
    })?;
    umount2("names", MntFlags::empty())?;
    mq_unlink("/named")?;
    Ok(())
}

fn mq_makers_are_held_to_limits() -> Outcome {
    child::passes(|| {
        setrlimit(Resource::RLIMIT_MSGQUEUE, 20_000, 20_000)?;
        check_fails!(make("/large", 10, 8192), EMFILE);
        let one = make("/one", 10, 1024)?;
        check_fails!(make("/two", 10, 1024), EMFILE);
        mq_unlink("/one")?;
        mq_close(one)?;
        make("/two", 10, 1024)?;
        mq_unlink("/two")?;
        nix::unistd::setuid(Uid::from_raw(1000))?;
        check_fails!(make("/three", 11, 16), EINVAL);
        check_fails!(make("/three", 1, 8193), EINVAL);
        Ok(())
    })
}

fn mq_names_belong_to_the_ipc_namespace() -> Outcome {
    make("/outside", 4, 64)?;
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWIPC)?;
        check_fails!(mq_open("/outside", READ_WRITE, OWN, None), ENOENT);
        make("/outside", 1, 1)?;
        Ok(())
    })?;
    mq_unlink("/outside")?;
    Ok(())
}
