//! Conformance: Debian's stock kernel, which nobody here wrote, as a trust domain with two processors. It reads a disk through its bounce
//! buffers, and a quote through configfs-tsm, which the verifier accepts together with the event log that it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use coffer_harness::{Disk, Ended};
use coffer_tdsim::{Accept, Domain, Payload, QuoteVersion, prepare};

use super::{module, run};
use crate::programs::root;
use crate::suite::Suite;

/// The meta-package that names the newest kernel with support for TDX: bookworm's own is too old, backports' is not.
const PACKAGE: &str = "linux-image-6.12-cloud-amd64";

/// Modules that the guest loads, each after those that it needs.
const MODULES: [&str; 4] = [
    "fs/configfs/configfs",
    "drivers/block/virtio_blk",
    "drivers/virt/coco/tsm",
    "drivers/virt/coco/tdx-guest/tdx-guest",
];

/// What the guest runs; what it prints in Base64 stands between marks.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for number in 1 2 3 4; do insmod /module$number.ko; done
while [ ! -b /dev/vda ]; do sleep 0.1; done
echo "cpus: $(grep -c tdx_guest /proc/cpuinfo)"
echo "disk: $(dd if=/dev/vda bs=1M 2>/dev/null | sha256sum)"
mount -t configfs config /sys/kernel/config
report=/sys/kernel/config/tsm/report/one
mkdir $report
head -c 64 /dev/zero | tr '\0' x > $report/inblob
echo "provider: $(cat $report/provider)"
echo quote-begin; base64 $report/outblob; echo quote-end
echo log-begin; base64 /sys/firmware/acpi/tables/data/CCEL; echo log-end
poweroff -f
"#;

pub fn add(suite: &mut Suite) {
    suite.add("tdx/linux/two_cpus_disk_and_quote", || {
        let folder = tempfile::tempdir()?;
        let kernel = kernel()?;
        let file = fs::read(&kernel.image).context("cannot read Debian's kernel")?;
        let payload = Payload {
            initramfs: initramfs(&kernel, folder.path())?,
            added_words: "console=ttyS0 quiet panic=-1".to_owned(),
            ..Payload::read(&file)?
        };
        // It has no way to learn of memory that is not accepted but from UEFI.
        let domain = Domain { cpus: 2, accept: Accept::All, ..Domain::default() };
        let mut prepared = prepare(&domain, &payload, &module()?, QuoteVersion::V4, folder.path())?;
        let disk = folder.path().join("disk");
        let contents: Vec<u8> =
            (0_u32..1 << 18).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        fs::write(&disk, &contents).context("cannot write a disk")?;
        prepared.machine.disks.push(Disk { path: disk.clone(), serial: "disk".to_owned() });
        let (ended, lines) = run(&prepared.machine)?;
        ensure!(ended == Ended::PoweredOff, "it ended by {ended:?}: {}", lines.join("\n"));

        expect(&lines, "cpus: 2")?;
        expect(&lines, "provider: tdx_guest")?;
        expect(&lines, &format!("disk: {}", sha256(&disk)?))?;
        super::evidence::check(&between(&lines, "quote")?, &between(&lines, "log")?, &prepared)
    });
}

/// The kernel, unpacked.
struct Kernel {
    image: PathBuf,
    modules: PathBuf,
}

/// Debian's, from its package; kept in the target folder.
fn kernel() -> anyhow::Result<Kernel> {
    let folder = root().join("target/linux-tdx");
    if let Some(kernel) = find(&folder) {
        return Ok(kernel);
    }
    fs::create_dir_all(&folder).context("cannot make a folder for Debian's kernel")?;
    let dependencies = text(Command::new("apt-cache").args(["depends", PACKAGE]))?;
    let package = dependencies
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .with_context(|| format!("there is no package {PACKAGE}: it is in bookworm-backports"))?;
    text(Command::new("apt-get").args(["download", package]).current_dir(&folder))?;
    for entry in fs::read_dir(&folder)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "deb"))
    {
        text(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(folder.join("root")))?;
    }
    find(&folder).context("the package has no kernel")
}

fn find(folder: &Path) -> Option<Kernel> {
    let entries = fs::read_dir(folder.join("root/boot")).ok()?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let release = names.filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned)).max()?;
    let modules = ["root/usr/lib/modules", "root/lib/modules"]
        .map(|lib| folder.join(lib).join(&release).join("kernel"));
    let modules = modules.into_iter().find(|folder| folder.exists())?;
    Some(Kernel { image: folder.join(format!("root/boot/vmlinuz-{release}")), modules })
}

/// Busybox, the script, the modules.
fn initramfs(kernel: &Kernel, folder: &Path) -> anyhow::Result<Vec<u8>> {
    const PROGRAM: u32 = 0o100_755;
    const FOLDER: u32 = 0o40_755;
    let busybox = fs::read("/bin/busybox").context("busybox is in the package busybox-static")?;
    let mut files: Vec<(String, u32, Vec<u8>)> =
        ["bin", "dev", "proc", "sys"].map(|name| (name.to_owned(), FOLDER, Vec::new())).to_vec();
    files.push(("bin/busybox".to_owned(), PROGRAM, busybox));
    files.push(("init".to_owned(), PROGRAM, INIT.as_bytes().to_vec()));
    for (number, module) in (1..).zip(MODULES) {
        let packed = kernel.modules.join(format!("{module}.ko.xz"));
        let unpacked = folder.join(format!("module{number}.ko"));
        let output = Command::new("xz").arg("-dc").arg(&packed).output().context("cannot start xz")?;
        ensure!(output.status.success(), "cannot unpack {}", packed.display());
        fs::write(&unpacked, &output.stdout).context("cannot write a module")?;
        files.push((format!("module{number}.ko"), PROGRAM, output.stdout));
    }
    let mut archive = Vec::new();
    for (number, (name, mode, bytes)) in (1..).zip(files) {
        let header = cpio::newc::Builder::new(&name).ino(number).mode(mode).nlink(1);
        let mut writer = header.write(&mut archive, u32::try_from(bytes.len())?);
        std::io::Write::write_all(&mut writer, &bytes)?;
        writer.finish()?;
    }
    cpio::newc::trailer(&mut archive).context("cannot end the initramfs")?;
    Ok(archive)
}

fn expect(lines: &[String], wanted: &str) -> anyhow::Result<()> {
    ensure!(
        lines.iter().any(|line| line.contains(wanted)),
        "it does not say {wanted:?}: {}",
        lines.join("\n")
    );
    Ok(())
}

/// What stands in Base64 between two marks.
fn between(lines: &[String], name: &str) -> anyhow::Result<Vec<u8>> {
    let (begin, end) = (format!("{name}-begin"), format!("{name}-end"));
    let text: String = lines
        .iter()
        .skip_while(|line| **line != begin)
        .skip(1)
        .take_while(|line| **line != end)
        .map(String::as_str)
        .collect();
    super::evidence::base64(&text).with_context(|| format!("there is no {name}: {}", lines.join("\n")))
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let text = text(Command::new("sha256sum").arg(file))?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

fn text(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
