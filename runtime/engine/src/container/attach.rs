//! Attach and resize.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::PoisonError;

use tokio::net::UnixStream;

use super::entry::Status;
use super::{AttachOptions, Attachment, LogsOptions, TerminalSize};
use crate::shim::detach;
use crate::shim::protocol::{Attach, Request, Size};
use crate::{Engine, Error};

/// How many clients may wait for the start of one container.
const MAX_PENDING: usize = 64;

impl Engine {
    /// Connects with its streams, whether it runs yet or not.
    ///
    /// # Errors
    ///
    /// [`Error::Paused`], [`Error::Restarting`].
    pub async fn container_attach(
        &self,
        reference: &str,
        options: AttachOptions,
    ) -> Result<Attachment, Error> {
        let entry = self.find(reference)?;
        let detach_keys = detach::parse(options.detach_keys.as_deref())?;
        match entry.status() {
            Status::Paused => return Err(Error::Paused { id: entry.id.clone(), action: "attach" }),
            Status::Restarting => return Err(Error::Restarting(entry.id.clone())),
            _ => {}
        }
        let logs = if options.logs {
            let wanted =
                LogsOptions { stdout: options.stdout, stderr: options.stderr, ..LogsOptions::default() };
            Some(self.container_logs(&entry.id, wanted).await?)
        } else {
            None
        };
        let (ours, theirs) = pair()?;
        let (has_stdin, is_terminal) = {
            let record = entry.record();
            (record.config.open_stdin.unwrap_or_default(), record.config.tty.unwrap_or_default())
        };
        let wants = Attach {
            stdin: options.stdin && has_stdin,
            stdout: options.stdout,
            stderr: options.stderr,
            // Without a terminal bytes are bytes.
            detach_keys: if is_terminal { detach_keys } else { Vec::new() },
        };
        if options.stream {
            // Whatever happens to it in between: either it runs, or the next start takes the client along.
            let _guard = entry.lifecycle.lock().await;
            if entry.status() == Status::Running {
                entry.shim().ask(&Request::Attach(wants), Some(OwnedFd::from(theirs))).await?;
            } else {
                let mut pending = entry.pending.lock().unwrap_or_else(PoisonError::into_inner);
                pending.retain(|(socket, _)| is_connected(socket));
                if pending.len() >= MAX_PENDING {
                    return Err(Error::Conflict(format!("too many clients wait for container {}", entry.id)));
                }
                pending.push((theirs, wants));
            }
        }
        self.tell(&entry, "attach", &[]);
        Ok(Attachment { is_terminal, logs, stream: ours, ended: None })
    }

    /// Sets the size of its terminal. Before the terminal is there the size is kept for it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchContainer`].
    pub async fn container_resize(&self, reference: &str, size: TerminalSize) -> Result<(), Error> {
        let entry = self.find(reference)?;
        let size = Size { rows: size.rows, columns: size.columns };
        *entry.window.lock().unwrap_or_else(PoisonError::into_inner) = Some(size);
        if entry.status().is_alive() {
            // One that has just ended has nothing to resize.
            let _ = entry.shim().ask(&Request::Resize { exec: None, size }, None).await;
        }
        self.tell(
            &entry,
            "resize",
            &[("height", size.rows.to_string()), ("width", size.columns.to_string())],
        );
        Ok(())
    }
}

/// Two connected sockets: ours, and the one that a shim will have.
pub(crate) fn pair() -> Result<(UnixStream, StdStream), Error> {
    let what = "make a pair of sockets";
    let (ours, theirs) = StdStream::pair().map_err(Error::system(what))?;
    ours.set_nonblocking(true).map_err(Error::system(what))?;
    Ok((UnixStream::from_std(ours).map_err(Error::system(what))?, theirs))
}

/// Whether the other end is still there.
fn is_connected(socket: &StdStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut set = [PollFd::new(socket, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut set, Some(&now)).is_ok() && !set.iter().any(|it| it.revents().contains(PollFlags::HUP))
}
