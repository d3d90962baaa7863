//! Conformance: Debian's stock kernel, which nobody here wrote, as a trust domain with two processors. It reads a disk through its bounce
//! buffers, and a quote through configfs-tsm, which the verifier accepts together with the event log that it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use coffer_harness::{Disk, Ended};
use coffer_tdsim::{Accept, Domain, Payload, QuoteVersion, prepare};

use super::{guest, module, run};
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
            initramfs: guest::initramfs(INIT, modules(&kernel)?)?,
            added_words: "console=ttyS0 quiet panic=-1".to_owned(),
            ..Payload::read(&file)?
        };
        // It has no way to learn of memory that is not accepted but from UEFI.
        let domain = Domain { cpus: 2, accept: Accept::All, ..Domain::default() };
        let prepared = prepare(&domain, &payload, &module()?, QuoteVersion::V4, folder.path())?;
        let disk = folder.path().join("disk");
        let contents: Vec<u8> =
            (0_u32..1 << 18).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        fs::write(&disk, &contents).context("cannot write a disk")?;
        let mut machine = prepared.simulated.machine();
        machine.disks.push(Disk { path: disk.clone(), serial: "disk".to_owned() });
        let (ended, lines) = run(&machine)?;
        ensure!(ended == Ended::PoweredOff, "it ended by {ended:?}: {}", lines.join("\n"));

        guest::expect(&lines, "cpus: 2")?;
        guest::expect(&lines, "provider: tdx_guest")?;
        guest::expect(&lines, &format!("disk: {}", sha256(&disk)?))?;
        super::evidence::check(&guest::between(&lines, "quote")?, &guest::between(&lines, "log")?, &prepared)
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

/// The modules, unpacked.
fn modules(kernel: &Kernel) -> anyhow::Result<Vec<Vec<u8>>> {
    let unpack = |module| {
        let packed = kernel.modules.join(format!("{module}.ko.xz"));
        let output = Command::new("xz").arg("-dc").arg(&packed).output().context("cannot start xz")?;
        ensure!(output.status.success(), "cannot unpack {}", packed.display());
        Ok(output.stdout)
    };
    MODULES.iter().map(unpack).collect()
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
