//! Every format is opened by a tool that nobody here wrote. A tool that the machine lacks is named and passed over;
//! `cargo xtask setup` installs them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::diff::{Difference, diff};
use super::format::Format;
use super::identity::sha256;
use super::inspect::inspect;
use super::{Image, sample};

fn image() -> Image {
    image_with(&[0x5a; 300_000])
}

fn image_with(init: &[u8]) -> Image {
    sample::image(init).unwrap()
}

/// Output of `program`, or nothing where the machine lacks it. Panics where it fails.
fn tool(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).env("LC_ALL", "C").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        output => output.unwrap(),
    };
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    Some(text)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn objdump_sees_the_sections_of_systemd_stub() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coffer.efi");
    fs::write(&path, image().uki).unwrap();
    let Some(sections) = tool("objdump", &["-h", text(&path)]) else { return };
    for name in [".osrel", ".uname", ".cmdline", ".initrd", ".linux"] {
        assert!(sections.contains(name), "{name} is missing in:\n{sections}");
    }
}

#[test]
fn sgdisk_finds_no_fault_in_the_partition_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coffer.raw");
    fs::write(&path, image().disk).unwrap();
    let Some(verdict) = tool("sgdisk", &["-v", text(&path)]) else { return };
    assert!(verdict.contains("No problems found"), "{verdict}");
}

#[test]
fn fsck_finds_no_fault_and_mtools_reads_the_uki_back() {
    let image = image();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("esp");
    let copy = folder.path().join("copy.efi");
    fs::write(&path, &image.disk[1 << 20..65 << 20]).unwrap();
    if let Some(verdict) = tool("fsck.vfat", &["-n", "-v", text(&path)]) {
        assert!(!verdict.contains("nvalid") && !verdict.contains("uninitialized"), "{verdict}");
    }
    if tool("mcopy", &["-i", text(&path), "::/EFI/BOOT/BOOTX64.EFI", text(&copy)]).is_some() {
        assert!(fs::read(&copy).unwrap() == image.uki);
    }
}

#[test]
fn cpio_unpacks_the_initramfs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("initramfs.cpio");
    fs::write(&path, image().initramfs).unwrap();
    let Some(names) = tool("cpio", &["-t", "--quiet", "-F", text(&path)]) else { return };
    assert_eq!(names.split_whitespace().next_back(), Some("init"));
    assert_eq!(names.lines().count(), 9);
}

#[test]
fn qemu_img_knows_the_size_of_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coffer.raw");
    fs::write(&path, image().disk).unwrap();
    let Some(info) = tool("qemu-img", &["info", "-f", "raw", text(&path)]) else { return };
    assert!(info.contains("(69206016 bytes)"), "{info}");
}

#[test]
fn qemu_img_finds_the_disk_in_each_form() {
    let disk = image().disk;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("coffer.raw"), &disk).unwrap();
    for (format, qemu) in [(Format::Qcow2, "qcow2"), (Format::Vhd, "vpc")] {
        let file = path(format.file_name());
        fs::write(&file, format.write(&disk).unwrap()).unwrap();
        if format == Format::Qcow2 {
            let Some(verdict) = tool("qemu-img", &["check", "-f", qemu, text(&file)]) else { return };
            assert!(verdict.contains("No errors were found"), "{verdict}");
        }
        let raw = path("coffer.raw");
        let same = tool("qemu-img", &["compare", "-f", "raw", "-F", qemu, text(&raw), text(&file)]);
        assert!(same.unwrap().contains("Images are identical"));
        let back = path("back.raw");
        tool("qemu-img", &["convert", "-f", qemu, "-O", "raw", text(&file), text(&back)]).unwrap();
        assert!(fs::read(&back).unwrap() == disk, "{qemu}");
    }
}

#[test]
fn tar_unpacks_the_archive_for_google() {
    let disk = image().disk;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coffer-gcp.tar.gz");
    fs::write(&path, Format::Gcp.write(&disk).unwrap()).unwrap();
    tool("tar", &["-xzf", text(&path), "-C", text(folder.path())]).unwrap();
    let unpacked = fs::File::open(folder.path().join("disk.raw")).unwrap();
    let metadata = unpacked.metadata().unwrap();
    assert_eq!(metadata.len(), 1 << 30, "a whole number of GiB");
    assert!(metadata.blocks() * 512 <= 70 << 20, "and a hole");
    let mut start = vec![0; disk.len()];
    unpacked.read_exact_at(&mut start, 0).unwrap();
    assert!(start == disk);
    let list = tool("tar", &["--utc", "-tvzf", text(&path)]).unwrap();
    assert!(list.contains("1970-01-01") && list.contains("0/0"), "{list}");
}

/// Cargo unites the features that all packages of one build ask of a crate, and a feature can change what a library writes. This holds
/// whichever packages are built beside this one, or it fails; a change on purpose changes the hashes here.
#[test]
fn bytes_do_not_depend_on_what_else_is_built() {
    let image = image_with(b"init");
    let hash = |bytes: &[u8]| sha256(bytes)[..16].to_owned();
    let disks = Format::ALL.map(|format| hash(&format.write(&image.disk).unwrap()));
    assert_eq!(hash(&image.uki), "01cd67e67b781b5c");
    assert_eq!(disks, ["93100e109bc8e248", "24b758d622dc8489", "d296006f192379cb", "5866cb1f1ef1b186"]);
}

#[test]
fn every_form_of_an_image_has_the_same_parts() {
    let image = image();
    let uki = inspect(&image.uki).unwrap();
    assert_eq!(uki.command_line, image.command_line);
    assert_eq!(uki.version, "1.2.3");
    assert_eq!(uki.parts["initramfs/init"].size, 300_000);
    for format in Format::ALL {
        let mut report = inspect(&format.write(&image.disk).unwrap()).unwrap();
        assert!(report.parts.remove("disk").is_some());
        assert_eq!(report.parts, uki.parts, "{format:?}");
        assert_eq!(report.authenticode_sha384, uki.authenticode_sha384);
    }
}

#[test]
fn a_difference_is_named_by_its_innermost_part() {
    let (one, other) = (image(), image_with(&[[0x5a; 1000].as_slice(), &[0x5b; 1000]].concat()));
    let expected = Difference { part: "initramfs/init".to_owned(), offset: 1000, sizes: [300_000, 2000] };
    let vhd = Format::Vhd.write(&other.disk).unwrap();
    assert_eq!(diff(&one.disk, &vhd).unwrap(), Some(expected));
    assert_eq!(diff(&one.disk, &Format::Gcp.write(&one.disk).unwrap()).unwrap(), None);
    assert_eq!(diff(&one.uki, &one.disk).unwrap(), None);
    let mut disk = one.disk.clone();
    *disk.last_mut().unwrap() ^= 1;
    assert_eq!(diff(&one.disk, &disk).unwrap().unwrap().part, "disk");
}

#[test]
fn what_is_no_image_is_refused() {
    for file in [b"".as_slice(), b"MZ", b"hello", &[0; 70_000]] {
        assert!(inspect(file).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_damaged_uki_is_survived(at in 0_usize..4096, value: u8) {
        let mut uki = image_with(b"init").uki;
        if let Some(byte) = uki.get_mut(at) {
            *byte = value;
        }
        let _ = inspect(&uki);
    }
}
