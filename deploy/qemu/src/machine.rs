//! A machine as data, and the QEMU command line that it becomes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::accelerator::Accelerator;
use crate::console::{Console, OnLine};
use crate::network::Network;
use crate::ports::Listeners;
use crate::running::Running;
use crate::{DEBUG_EXIT_PORT, Error};

pub(crate) const QEMU: &str = "qemu-system-x86_64";
pub(crate) const QEMU_PACKAGE: &str = "qemu-system-x86";

/// The 2 MiB build of OVMF: code and variables in one file, which `-bios` takes.
const FIRMWARE: &str = "/usr/share/ovmf/OVMF.fd";
const FIRMWARE_PACKAGE: &str = "ovmf";

/// How the machine comes up.
#[derive(Debug, Clone)]
pub enum Boot {
    /// QEMU loads the kernel itself (its PVH note, or bzImage for Linux); no firmware.
    Direct {
        /// The kernel.
        kernel: PathBuf,
        /// Its initramfs.
        initramfs: Option<PathBuf>,
        /// Its command line.
        command_line: String,
    },
    /// OVMF starts what it finds on this disk.
    Firmware {
        /// A GPT disk with an EFI system partition; it is not written to. Raw, unless its name ends in `.qcow2` or `.vhd`.
        disk: PathBuf,
    },
}

/// How disks are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskBus {
    /// Each on a virtio-blk device of its own.
    #[default]
    VirtioBlk,
    /// Each on an NVMe controller of its own.
    Nvme,
    /// All on one virtio SCSI adapter.
    VirtioScsi,
}

/// A read-only disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The raw file behind it.
    pub path: PathBuf,
    /// Its serial number, by which the guest recognises it (at most 20 bytes).
    pub serial: String,
}

/// Where the guest's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Real time.
    Real,
    /// One instruction, one nanosecond (`-icount shift=0,sleep=off`): repeatable; software emulation in one thread.
    Instructions,
}

/// A machine to be started. Fields may be set freely; [`Machine::new`] has what fits most.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How it comes up.
    pub boot: Boot,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// What executes it; [`Clock::Instructions`] always means software.
    pub accelerator: Accelerator,
    /// Where its time comes from.
    pub clock: Clock,
    /// Its disks, besides the one that it boots from.
    pub disks: Vec<Disk>,
    /// How these are attached, and the one that it boots from.
    pub disk_bus: DiskBus,
    /// Its network card; none, if there is nothing to talk to.
    pub network: Option<Network>,
    /// Whether it has the runtime's four ports.
    pub has_ports: bool,
    /// Whether a Ctrl-C on the caller's terminal leaves it alone, because it is for the container. Otherwise it ends the machine
    /// together with the caller.
    pub ignores_interrupt: bool,
    /// Where its serial console is logged.
    pub console_log: Option<PathBuf>,
    /// Further arguments for QEMU, at the end of the line.
    pub extra: Vec<OsString>,
}

impl Machine {
    /// Two CPUs, 2 GiB, the best accelerator, real time, no disk, no network, no ports.
    #[must_use]
    pub fn new(boot: Boot) -> Self {
        Self {
            boot,
            cpus: 2,
            memory_mib: 2048,
            accelerator: Accelerator::detect(),
            clock: Clock::Real,
            disks: Vec::new(),
            disk_bus: DiskBus::default(),
            network: None,
            has_ports: false,
            ignores_interrupt: false,
            console_log: None,
            extra: Vec::new(),
        }
    }

    /// Starts the machine; `on_line` is given each line of its console.
    ///
    /// # Errors
    /// If QEMU, the firmware or a file is missing, or QEMU ends at once.
    pub fn start(&self, on_line: impl FnMut(&str) + Send + 'static) -> Result<Running, Error> {
        let listeners = self.has_ports.then(Listeners::bind).transpose()?;
        let mut command = Command::new(QEMU);
        let ports = listeners.as_ref().map(Listeners::arguments).unwrap_or_default();
        command.args(self.arguments("stdio,id=console,signal=off", &ports)?);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.ignores_interrupt {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::MissingProgram { program: QEMU, package: QEMU_PACKAGE },
            _ => Error::system("start qemu")(error),
        })?;
        Running::adopt(child, listeners, |serial| {
            let on_line: OnLine = Box::new(on_line);
            Console::capture(serial, self.console_log.as_deref(), on_line)
        })
    }

    /// The command line, with `console` as the backend of the serial console and what makes the virtio-console ports.
    pub(crate) fn arguments(&self, console: &str, ports: &[OsString]) -> Result<Vec<OsString>, Error> {
        let accelerator = match self.clock {
            Clock::Real => self.accelerator.argument(),
            Clock::Instructions => "tcg,thread=single",
        };
        let mut line = Line::default();
        line.add(["-machine", "q35", "-cpu", "max", "-accel", accelerator]);
        line.add(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        line.add([
            "-smp".to_owned(),
            self.cpus.to_string(),
            "-m".to_owned(),
            format!("{}M", self.memory_mib),
        ]);
        line.add(["-chardev", console, "-serial", "chardev:console"]);
        line.add(["-device", &format!("isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=0x04")]);
        line.add(["-device", "virtio-rng-pci"]);
        if self.clock == Clock::Instructions {
            line.add(["-icount", "shift=0,sleep=off"]);
        }
        if self.disk_bus == DiskBus::VirtioScsi {
            line.add(["-device", "virtio-scsi-pci"]);
        }
        self.add_boot(&mut line)?;
        for (index, disk) in self.disks.iter().enumerate() {
            let property = format!("serial={}", disk.serial);
            line.add_disk(self.disk_bus, &format!("disk{index}"), &disk.path, &property);
        }
        if let Some(network) = &self.network {
            line.add(network.arguments());
        }
        line.0.extend_from_slice(ports);
        line.0.extend(self.extra.iter().cloned());
        Ok(line.0)
    }

    fn add_boot(&self, line: &mut Line) -> Result<(), Error> {
        match &self.boot {
            Boot::Direct { kernel, initramfs, command_line } => {
                line.add([OsString::from("-kernel"), kernel.into()]);
                if let Some(initramfs) = initramfs {
                    line.add([OsString::from("-initrd"), initramfs.into()]);
                }
                line.add(["-append", command_line]);
            }
            Boot::Firmware { disk } => {
                line.add([OsStr::new("-bios"), firmware()?.as_os_str()]);
                // An NVMe controller has to have a serial number.
                line.add_disk(self.disk_bus, "boot", disk, "serial=coffer-boot,bootindex=0");
            }
        }
        Ok(())
    }
}

/// The firmware, which has to be there.
pub(crate) fn firmware() -> Result<&'static Path, Error> {
    let path = Path::new(FIRMWARE);
    if path.exists() {
        Ok(path)
    } else {
        Err(Error::MissingFile { path: path.into(), package: FIRMWARE_PACKAGE })
    }
}

/// A command line being written.
#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn add<const N: usize>(&mut self, arguments: [impl Into<OsString>; N]) {
        self.0.extend(arguments.map(Into::into));
    }

    /// The backend is given as JSON because a comma in a path would end QEMU's other form.
    fn add_disk(&mut self, bus: DiskBus, node: &str, path: &Path, properties: &str) {
        let backend = json!({
            "driver": driver(path), "node-name": node, "read-only": true,
            "file": { "driver": "file", "filename": path, "read-only": true },
        });
        self.add(["-blockdev".to_owned(), backend.to_string()]);
        let device = match bus {
            DiskBus::VirtioBlk => "virtio-blk-pci",
            DiskBus::Nvme => "nvme",
            DiskBus::VirtioScsi => "scsi-hd",
        };
        self.add(["-device".to_owned(), format!("{device},drive={node},{properties}")]);
    }
}

/// QEMU's name for the form of a disk. By the file's name, never by its contents: those may be the guest's.
pub(crate) fn driver(path: &Path) -> &'static str {
    match path.extension().and_then(OsStr::to_str) {
        Some("qcow2") => "qcow2",
        Some("vhd") => "vpc",
        _ => "raw",
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::{Boot, Clock, Disk, DiskBus, Machine, driver};
    use crate::accelerator::Accelerator;

    #[test]
    fn each_thing_is_one_argument() {
        let boot = Boot::Direct { kernel: "k".into(), initramfs: None, command_line: "a b".to_owned() };
        let mut machine = Machine { accelerator: Accelerator::Tcg, ..Machine::new(boot) };
        machine.disks.push(Disk { path: Path::new("/tmp/a,b").into(), serial: "x".to_owned() });
        machine.clock = Clock::Instructions;
        let arguments = machine.arguments("stdio,id=console", &[]).unwrap();
        let text = |argument: &OsString| argument.to_str().unwrap().to_owned();
        let line: Vec<_> = arguments.iter().map(text).collect();
        assert!(line.iter().any(|argument| argument.contains("\"/tmp/a,b\"")), "{line:?}");
        assert!(line.contains(&"tcg,thread=single".to_owned()));
        assert!(line.contains(&"a b".to_owned()));
    }
    #[test]
    fn disks_go_where_the_machine_says() {
        let boot = Boot::Direct { kernel: "k".into(), initramfs: None, command_line: String::new() };
        let mut machine = Machine { accelerator: Accelerator::Tcg, ..Machine::new(boot) };
        machine.disks.push(Disk { path: "a".into(), serial: "x".to_owned() });
        for (bus, device) in [
            (DiskBus::VirtioBlk, "virtio-blk-pci,drive=disk0,serial=x"),
            (DiskBus::Nvme, "nvme,drive=disk0,serial=x"),
            (DiskBus::VirtioScsi, "scsi-hd,drive=disk0,serial=x"),
        ] {
            machine.disk_bus = bus;
            let line = machine.arguments("stdio,id=console", &[]).unwrap();
            assert!(line.iter().any(|argument| argument == device), "{line:?}");
        }
    }

    #[test]
    fn the_form_of_a_disk_is_in_its_name() {
        let forms = ["coffer.raw", "coffer.qcow2", "coffer.vhd", "qcow2"].map(|name| driver(Path::new(name)));
        assert_eq!(forms, ["raw", "qcow2", "vpc", "raw"]);
    }
}
