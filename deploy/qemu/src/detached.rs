//! Machines that outlive their starter: QEMU goes into the background, its console into a file, its control port onto a socket.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;
use crate::machine::{Machine, QEMU, QEMU_PACKAGE};

/// Where a machine leaves what others need to know of it: names of files in one folder, which QEMU starts in. They are relative
/// because the address of a unix socket has at most 107 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// The log of its serial console.
    pub console: &'static str,
    /// The socket on which QEMU listens for the control port.
    pub control: &'static str,
    /// QEMU's process identifier.
    pub pid: &'static str,
}

impl Machine {
    /// Starts the machine in the background and returns when it runs. Paths must be absolute.
    ///
    /// # Errors
    /// If QEMU, the firmware or a file is missing, or QEMU refuses, with its own words.
    pub fn launch(&self, folder: &Path, places: &Places) -> Result<(), Error> {
        let mut command = Command::new(QEMU);
        command
            .args(self.arguments(&format!("file,id=console,path={}", places.console), &ports(places))?)
            .args(["-daemonize", "-pidfile", places.pid])
            .current_dir(folder)
            .stdin(Stdio::null());
        let output = command.output().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::MissingProgram { program: QEMU, package: QEMU_PACKAGE },
            _ => Error::system("start qemu")(error),
        })?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().rfind(|line| !line.is_empty()).unwrap_or("no reason given");
        Err(Error::NotStarted(last.trim_start_matches("qemu-system-x86_64: ").to_owned()))
    }
}

fn ports(places: &Places) -> Vec<OsString> {
    let socket = format!("socket,id=control,path={},server=on,wait=off", places.control);
    let device = "virtserialport,chardev=control,name=coffer.control,nr=4";
    ["-device", "virtio-serial-pci", "-chardev", &socket, "-device", device].map(OsString::from).to_vec()
}
