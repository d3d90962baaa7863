//! Machines that outlive their starter: QEMU goes into the background, its console into a file, its control port onto a socket.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

use rustix::process::{Pid, getpid, set_child_subreaper};

use crate::machine::{Machine, QEMU, QEMU_PACKAGE};
use crate::{Backend, Error, backlog};

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
        // QEMU's child becomes this process's, which may trace it then where only descendants may be traced (Yama's ptrace_scope of 1).
        let _ = set_child_subreaper(Some(getpid()));
        let output = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::MissingProgram { program: QEMU, package: QEMU_PACKAGE },
            _ => Error::system("start qemu")(error),
        })?;
        let _ = set_child_subreaper(None);
        if output.status.success() {
            // Where it is not allowed to, connections that come at once wait for each other. That is no reason to have no machine.
            let _ = self.make_room(&folder.join(places.pid));
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().rfind(|line| !line.is_empty()).unwrap_or("no reason given");
        Err(Error::NotStarted(last.trim_start_matches("qemu-system-x86_64: ").to_owned()))
    }

    /// For connections that come at once to ports of the user network.
    fn make_room(&self, pid_file: &Path) -> io::Result<()> {
        let Some(network) = self.network.as_ref().filter(|network| network.backend == Backend::User) else {
            return Ok(());
        };
        let number = fs::read_to_string(pid_file)?.trim().parse().ok().and_then(Pid::from_raw);
        backlog::deepen(number.ok_or(io::ErrorKind::InvalidData)?, &network.forwards)
    }
}

fn ports(places: &Places) -> Vec<OsString> {
    let socket = format!("socket,id=control,path={},server=on,wait=off", places.control);
    let device = "virtserialport,chardev=control,name=coffer.control,nr=4";
    ["-device", "virtio-serial-pci", "-chardev", &socket, "-device", device].map(OsString::from).to_vec()
}
