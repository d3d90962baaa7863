//! The same machine as a domain of libvirt's (<https://libvirt.org/formatdomain.html>), which `virsh` creates in the session of the user who
//! calls: QEMU runs as that user, and needs nothing that is somebody else's. The domain is gone when the machine ends.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use quick_xml::Writer;

use crate::accelerator::Accelerator;
use crate::machine::{Boot, Clock, Disk, DiskBus, Machine, driver, firmware};
use crate::{Error, Places};

const VIRSH: &str = "virsh";
const VIRSH_PACKAGE: &str = "libvirt-clients";

/// The connection that needs no privileges.
pub const SESSION: &str = "qemu:///session";

/// The file of the description, in the machine's folder.
pub const DESCRIPTION: &str = "domain.xml";

/// Where on the root bus the network card goes that libvirt knows nothing of: it gives away low slots and the last ones itself.
const NETWORK_SLOT: &str = "bus=pcie.0,addr=0x10";

impl Machine {
    /// Has libvirt start the machine as the domain `name`, and returns when it runs. Paths must be absolute. Its files are those of
    /// [`launch`](Self::launch), and its description beside them.
    ///
    /// # Errors
    /// If libvirt is not installed or refuses, with its own words, or the machine is of a kind that is never one of libvirt's: it boots from a
    /// virtio-blk disk under firmware, in real time.
    pub fn create_domain(&self, name: &str, folder: &Path, places: &Places) -> Result<(), Error> {
        let description = folder.join(DESCRIPTION);
        std::fs::write(&description, self.domain(name, folder, places)?)
            .map_err(Error::system("write the description for libvirt"))?;
        let mut command = Command::new(VIRSH);
        command.args(["--quiet", "--connect", SESSION, "create"]).arg(description).stdin(Stdio::null());
        let output = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::MissingProgram { program: VIRSH, package: VIRSH_PACKAGE },
            _ => Error::system("start virsh")(error),
        })?;
        if output.status.success() {
            return Ok(());
        }
        // The first line says what was to be done, the second why it was not.
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().rfind(|line| !line.is_empty()).unwrap_or("no reason given");
        Err(Error::NoDomain(last.trim_start_matches("error: ").to_owned()))
    }

    /// The description.
    fn domain(&self, name: &str, folder: &Path, places: &Places) -> Result<Vec<u8>, Error> {
        let Boot::Firmware { disk: boot } = &self.boot else {
            return Err(Error::NoDomain("the machine does not boot from a disk".to_owned()));
        };
        if self.disk_bus != DiskBus::VirtioBlk || self.clock != Clock::Real {
            return Err(Error::NoDomain("disks have to be virtio-blk, and time real".to_owned()));
        }
        let firmware = text(firmware()?)?;
        let boot = Disk { path: boot.clone(), serial: "coffer-boot".to_owned() };
        let disks = [&boot].into_iter().chain(&self.disks).zip('a'..='z');
        let disks =
            disks.map(|(disk, letter)| Ok((text(&disk.path)?, driver(&disk.path), &disk.serial, letter)));
        let disks = disks.collect::<Result<Vec<_>, Error>>()?;
        let place = |name: &str| text(&folder.join(name)).map(str::to_owned);
        let (console, control) = (place(places.console)?, place(places.control)?);
        let further = self.further(&place(places.pid)?)?;
        let kind = if self.accelerator == Accelerator::Kvm { "kvm" } else { "qemu" };

        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        let domain = writer
            .create_element("domain")
            .with_attribute(("type", kind))
            .with_attribute(("xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0"));
        let written = domain.write_inner_content(|writer| {
            leaf(writer, "name", &[], name)?;
            leaf(writer, "memory", &[("unit", "MiB")], &self.memory_mib.to_string())?;
            leaf(writer, "vcpu", &[], &self.cpus.to_string())?;
            branch(writer, "os", &[], |writer| {
                leaf(writer, "type", &[("arch", "x86_64"), ("machine", "q35")], "hvm")?;
                leaf(writer, "loader", &[("readonly", "yes"), ("type", "rom")], firmware)
            })?;
            branch(writer, "features", &[], |writer| {
                empty(writer, "acpi", &[])?;
                empty(writer, "apic", &[])
            })?;
            empty(writer, "cpu", &[("mode", "maximum")])?;
            for event in ["on_poweroff", "on_reboot", "on_crash"] {
                leaf(writer, event, &[], "destroy")?;
            }
            branch(writer, "devices", &[], |writer| {
                for (path, form, serial, letter) in &disks {
                    branch(writer, "disk", &[("type", "file"), ("device", "disk")], |writer| {
                        empty(writer, "driver", &[("name", "qemu"), ("type", form)])?;
                        empty(writer, "source", &[("file", path)])?;
                        empty(writer, "target", &[("dev", &format!("vd{letter}")), ("bus", "virtio")])?;
                        empty(writer, "readonly", &[])?;
                        leaf(writer, "serial", &[], serial)?;
                        if *letter == 'a' { empty(writer, "boot", &[("order", "1")]) } else { Ok(()) }
                    })?;
                }
                // What libvirt would add by itself.
                empty(writer, "controller", &[("type", "usb"), ("model", "none")])?;
                empty(writer, "memballoon", &[("model", "none")])?;
                branch(writer, "rng", &[("model", "virtio")], |writer| {
                    leaf(writer, "backend", &[("model", "random")], "/dev/urandom")
                })?;
                branch(writer, "serial", &[("type", "file")], |writer| {
                    empty(writer, "source", &[("path", &console)])
                })?;
                branch(writer, "channel", &[("type", "unix")], |writer| {
                    empty(writer, "source", &[("mode", "bind"), ("path", &control)])?;
                    empty(writer, "target", &[("type", "virtio"), ("name", "coffer.control")])
                })
            })?;
            branch(writer, "qemu:commandline", &[], |writer| {
                further.iter().try_for_each(|argument| empty(writer, "qemu:arg", &[("value", argument)]))
            })
        });
        written.map_err(Error::system("write the description for libvirt"))?;
        Ok(writer.into_inner())
    }

    /// What libvirt has no words for, or none in this version, and leaves to QEMU: the file with its process identifier, a user network that
    /// forwards ports, and what the caller adds.
    fn further(&self, pid_file: &str) -> Result<Vec<String>, Error> {
        let mut arguments = vec!["-pidfile".to_owned(), pid_file.to_owned()];
        if let Some(network) = &self.network {
            let [netdev, backend, device, card] = network.arguments();
            arguments.extend([netdev, backend, device, format!("{card},{NETWORK_SLOT}")]);
        }
        let extra = self.extra.iter().map(OsString::as_os_str).map(Path::new);
        for argument in extra {
            arguments.push(text(argument)?.to_owned());
        }
        Ok(arguments)
    }
}

/// XML is text, and holds no control characters, escaped or not.
fn text(path: &Path) -> Result<&str, Error> {
    let is_sound = |text: &&str| !text.chars().any(char::is_control);
    path.to_str()
        .filter(is_sound)
        .ok_or_else(|| Error::NoDomain(format!("it takes no such name: {}", path.display())))
}

type Attributes<'a> = [(&'a str, &'a str)];

fn branch(
    writer: &mut Writer<Vec<u8>>,
    name: &str,
    attributes: &Attributes,
    inner: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>,
) -> io::Result<()> {
    writer.create_element(name).with_attributes(attributes.iter().copied()).write_inner_content(inner)?;
    Ok(())
}

fn leaf(writer: &mut Writer<Vec<u8>>, name: &str, attributes: &Attributes, text: &str) -> io::Result<()> {
    let element = writer.create_element(name).with_attributes(attributes.iter().copied());
    element.write_text_content(quick_xml::events::BytesText::new(text))?;
    Ok(())
}

fn empty(writer: &mut Writer<Vec<u8>>, name: &str, attributes: &Attributes) -> io::Result<()> {
    writer.create_element(name).with_attributes(attributes.iter().copied()).write_empty()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::accelerator::Accelerator;
    use crate::{Boot, Disk, DiskBus, Error, Forward, Machine, Network, Places, Protocol};

    const PLACES: Places = Places { console: "console.log", control: "control.sock", pid: "qemu.pid" };

    fn machine(disk: &str) -> Machine {
        let boot = Boot::Firmware { disk: disk.into() };
        let mut machine = Machine { accelerator: Accelerator::Tcg, ..Machine::new(boot) };
        machine.disks.push(Disk { path: "/a \"b\" <c> & d.img".into(), serial: "x".to_owned() });
        let forward = Forward { protocol: Protocol::Tcp, host: 8080, guest: 80 };
        machine.network = Some(Network { forwards: vec![forward], ..Network::default() });
        machine
    }

    #[test]
    fn a_domain_has_what_the_machine_has() {
        let text = machine("/i/coffer.qcow2").domain("coffer-demo", Path::new("/m"), &PLACES).unwrap();
        let text = String::from_utf8(text).unwrap();
        for part in [
            "<domain type=\"qemu\"",
            "<name>coffer-demo</name>",
            "<memory unit=\"MiB\">2048</memory>",
            "<driver name=\"qemu\" type=\"qcow2\"/>",
            "<source file=\"/i/coffer.qcow2\"/>",
            "<source file=\"/a &quot;b&quot; &lt;c&gt; &amp; d.img\"/>",
            "<source mode=\"bind\" path=\"/m/control.sock\"/>",
            "<qemu:arg value=\"/m/qemu.pid\"/>",
            "<qemu:arg value=\"user,id=net,hostfwd=tcp:127.0.0.1:8080-:80\"/>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_machine_that_libvirt_cannot_have_is_refused() {
        let refused = |machine: &Machine| {
            let result = machine.domain("coffer-demo", Path::new("/m"), &PLACES);
            assert!(matches!(result, Err(Error::NoDomain(_))), "{result:?}");
        };
        let mut nvme = machine("/i/coffer.raw");
        nvme.disk_bus = DiskBus::Nvme;
        refused(&nvme);
        refused(&machine("/i/coffer\n.raw"));
        refused(&Machine::new(Boot::Direct {
            kernel: "k".into(),
            initramfs: None,
            command_line: String::new(),
        }));
    }
}
