//! The four virtio-console ports between host and runtime, each a unix socket that we listen on and QEMU connects to.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use crate::Error;

/// What a port carries; its name in the guest is `coffer.` and [`Port::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The container's input.
    Stdin,
    /// The container's output (and all output of a terminal).
    Stdout,
    /// The container's error output.
    Stderr,
    /// JSON lines, both ways.
    Control,
}

impl Port {
    /// In the order of the port numbers, from 1.
    pub const ALL: [Self; 4] = [Self::Stdin, Self::Stdout, Self::Stderr, Self::Control];

    /// Its short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Control => "control",
        }
    }
}

/// The host's ends.
#[derive(Debug)]
pub struct Ports {
    /// To be written.
    pub stdin: UnixStream,
    /// To be read.
    pub stdout: UnixStream,
    /// To be read.
    pub stderr: UnixStream,
    /// Both.
    pub control: UnixStream,
}

/// Sockets that wait for QEMU, in a folder of their own that goes away with this value.
#[derive(Debug)]
pub(crate) struct Listeners {
    folder: tempfile::TempDir,
    sockets: [UnixListener; 4],
}

impl Listeners {
    pub(crate) fn bind() -> Result<Self, Error> {
        // Not under target/: the address of a unix socket has at most 107 bytes.
        let folder = tempfile::Builder::new()
            .prefix("coffer-")
            .tempdir()
            .map_err(Error::system("create a folder for the ports"))?;
        let bind = |port: Port| -> io::Result<UnixListener> {
            let listener = UnixListener::bind(folder.path().join(port.name()))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let [stdin, stdout, stderr, control] = Port::ALL.map(bind);
        let all = || io::Result::Ok([stdin?, stdout?, stderr?, control?]);
        Ok(Self { sockets: all().map_err(Error::system("listen on a port's socket"))?, folder })
    }

    /// What makes QEMU connect to them.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["-device", "virtio-serial-pci"].map(Into::into).to_vec();
        for (number, port) in (1..).zip(Port::ALL) {
            let name = port.name();
            let path = self.folder.path().join(name);
            let socket = format!("socket,id={name},path={}", path.display());
            let device = format!("virtserialport,chardev={name},name=coffer.{name},nr={number}");
            arguments.extend(["-chardev".into(), socket.into(), "-device".into(), device.into()]);
        }
        arguments
    }

    /// Waits for QEMU's connections; nothing if `has_ended` says so before all are there.
    pub(crate) fn accept(&self, mut has_ended: impl FnMut() -> bool) -> Result<Option<Ports>, Error> {
        let mut streams = Vec::with_capacity(Port::ALL.len());
        for socket in &self.sockets {
            loop {
                match socket.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).map_err(Error::system("set up a port"))?;
                        streams.push(stream);
                        break;
                    }
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                        return Err(Error::system("accept a port")(error));
                    }
                    Err(_) if has_ended() => return Ok(None),
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        }
        let streams = <[UnixStream; 4]>::try_from(streams);
        Ok(streams.ok().map(|[stdin, stdout, stderr, control]| Ports { stdin, stdout, stderr, control }))
    }
}
