//! Standard input, output and error: three streams, or the controlling terminal of a new session.

use std::fs;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, Uid};

use crate::Error;
use crate::lifecycle::{ExecStdio, Stdio};

/// Puts the streams at descriptors 0 to 2. `uid` will own them: a program that opens /dev/stdout again needs that.
pub fn attach(stdio: &Stdio<'_>, uid: u32) -> Result<(), Error> {
    rustix::process::setsid().map_err(Error::system("start a session"))?;
    match stdio {
        Stdio::Streams { stdin, stdout, stderr } => {
            place(stdin, stdout, stderr)?;
            [stdin, stdout, stderr].into_iter().try_for_each(|stream| own(stream, uid))
        }
        Stdio::Terminal(terminal) => {
            let name = terminal.name();
            let opened =
                rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
            let slave = opened.map_err(Error::system(format!("open `{name}`")))?;
            rustix::process::ioctl_tiocsctty(&slave)
                .map_err(Error::system("take the controlling terminal"))?;
            place(&slave, &slave, &slave)?;
            own(&slave, uid)?;
            fs::File::create("/dev/console").map_err(Error::io("create `/dev/console`"))?;
            rustix::mount::mount_bind(name, "/dev/console").map_err(Error::system("bind `/dev/console`"))
        }
    }
}

/// The same for a process that joins the container.
pub fn attach_exec(stdio: &ExecStdio, uid: u32) -> Result<(), Error> {
    rustix::process::setsid().map_err(Error::system("start a session"))?;
    match stdio {
        ExecStdio::Streams { stdin, stdout, stderr } => {
            place(stdin, stdout, stderr)?;
            [stdin, stdout, stderr].into_iter().try_for_each(|stream| own(stream, uid))
        }
        ExecStdio::Terminal(slave) => {
            rustix::process::ioctl_tiocsctty(slave)
                .map_err(Error::system("take the controlling terminal"))?;
            place(slave, slave, slave)?;
            own(slave, uid)
        }
    }
}

fn place(stdin: impl AsFd, stdout: impl AsFd, stderr: impl AsFd) -> Result<(), Error> {
    rustix::stdio::dup2_stdin(stdin)
        .and_then(|()| rustix::stdio::dup2_stdout(stdout))
        .and_then(|()| rustix::stdio::dup2_stderr(stderr))
        .map_err(Error::system("set the standard streams"))
}

fn own(stream: impl AsFd, uid: u32) -> Result<(), Error> {
    let stream = stream.as_fd();
    let status = rustix::fs::fstat(stream).map_err(Error::system("look at a standard stream"))?;
    // Not /dev/null of the machine: character devices other than our own terminal belong to others, too.
    let is_shared = rustix::fs::FileType::from_raw_mode(status.st_mode).is_char_device()
        && !rustix::termios::isatty(stream);
    if status.st_uid == uid || is_shared {
        return Ok(());
    }
    rustix::fs::fchown(stream, Some(Uid::from_raw(uid)), None)
        .map_err(Error::system("give away a standard stream"))
}
