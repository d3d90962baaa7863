//! What the cases of `abi/runtimes` and `abi/escape` find beside themselves in their initramfs: Debian's runc and crun with the libraries that they
//! need, and a bundle with the configuration that our engine gives containers by default.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, bail};
use coffer_images::debian;
use cpio::newc;
use oci_spec::image::{ConfigBuilder, ImageConfigurationBuilder};
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArgBuilder, LinuxSeccompOperator, LinuxSyscallBuilder,
    PosixRlimitBuilder, PosixRlimitType,
};
use runtime_oci::root::Root;
use runtime_oci::spec::{self, Network, Place, Wishes};

/// Directories, each after the one that it is in.
const DIRECTORIES: [&str; 11] = [
    "usr",
    "usr/bin",
    "usr/sbin",
    "lib",
    "lib/x86_64-linux-gnu",
    "lib64",
    "bundle",
    "bundle/rootfs",
    "bundle/rootfs/tmp",
    "bundle/rootfs/etc",
    "var",
];

/// Files of Debian's packages: beginnings of names in the folder of libraries, and programs.
const LIBRARIES: [&str; 11] = [
    "ld-linux-x86-64.so",
    "libc.so",
    "libcap.so",
    "libgcrypt.so",
    "libgpg-error.so",
    "liblz4.so",
    "liblzma.so",
    "libseccomp.so",
    "libsystemd.so",
    "libyajl.so",
    "libzstd.so",
];
const PROGRAMS: [&str; 2] = ["usr/bin/crun", "usr/sbin/runc"];
const LIBRARY_FOLDER: &str = "usr/lib/x86_64-linux-gnu/";
const LOADER: &str = "ld-linux-x86-64.so.2";

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const SYMLINK: u32 = 0o120_777;

/// Whether cases of this name need what is here.
pub fn are_wanted_by(name: &str) -> bool {
    name.starts_with("abi/runtimes/") || name.starts_with("abi/escape/")
}

/// Appends all of it to an archive.
pub fn append(archive: &mut Vec<u8>, cache: &Path) -> anyhow::Result<()> {
    let mut entries: Vec<(String, u32, Vec<u8>)> =
        DIRECTORIES.iter().map(|name| ((*name).to_owned(), DIRECTORY, Vec::new())).collect();
    for recipe in [debian::DEBIAN, debian::RUNTIMES] {
        read_layer(&recipe.layer(cache)?, &mut entries)?;
    }
    entries.push(("bundle/config.json".to_owned(), 0o100_644, configuration()?));
    for (name, mode, bytes) in entries {
        let size = u32::try_from(bytes.len()).context("a file is too large")?;
        let header = newc::Builder::new(&name).mode(mode).nlink(1);
        let mut writer = header.write(&mut *archive, size);
        std::io::Write::write_all(&mut writer, &bytes).context("cannot append to the initramfs")?;
        writer.finish().context("cannot append to the initramfs")?;
    }
    newc::trailer(&mut *archive).context("cannot append to the initramfs")?;
    Ok(())
}

fn read_layer(layer: &Path, entries: &mut Vec<(String, u32, Vec<u8>)>) -> anyhow::Result<()> {
    let mut layer = tar::Archive::new(File::open(layer).context("cannot open a layer")?);
    for entry in layer.entries().context("cannot read a layer")? {
        let mut entry = entry.context("cannot read a layer")?;
        let path = entry.path().context("an entry without a path")?.display().to_string();
        let name = path.trim_start_matches("./");
        let library = name
            .strip_prefix(LIBRARY_FOLDER)
            .filter(|file| LIBRARIES.iter().any(|library| file.starts_with(library)));
        let to = match library {
            Some(file) => format!("lib/x86_64-linux-gnu/{file}"),
            None if PROGRAMS.contains(&name) => name.to_owned(),
            None => continue,
        };
        let mut bytes = Vec::new();
        let mode = if let Some(target) = entry.link_name().context("a bad link")? {
            bytes.extend_from_slice(target.display().to_string().as_bytes());
            SYMLINK
        } else {
            entry.read_to_end(&mut bytes).context("cannot read a layer")?;
            PROGRAM
        };
        if library == Some(LOADER) {
            entries.push((format!("lib64/{LOADER}"), mode, bytes.clone()));
        }
        entries.push((to, mode, bytes));
    }
    Ok(())
}

/// config.json: an image that says nothing, a user who wishes nothing but a network of its own and a name.
fn configuration() -> anyhow::Result<Vec<u8>> {
    let root = tempfile::tempdir().context("cannot make a temporary folder")?;
    let image = ImageConfigurationBuilder::default()
        .architecture("amd64")
        .os("linux")
        .config(ConfigBuilder::default().build().context("an image's configuration")?)
        .rootfs(
            oci_spec::image::RootFsBuilder::default()
                .typ("layers")
                .diff_ids(Vec::<String>::new())
                .build()
                .context("an image's layers")?,
        )
        .build()
        .context("an image's configuration")?;
    let wishes = Wishes {
        args: Some(vec!["/abi".to_owned(), "@arguments-here".to_owned()]),
        hostname: Some("contained".to_owned()),
        network: Network::Own,
        ..Wishes::default()
    };
    let own_root = Root::new(root.path());
    let place = Place { id: "0123456789abcdef", root: &own_root, pty_folder: None };
    let mut spec = spec::build(&image, &wishes, place)?;
    let Some(rootfs) = spec.root_mut() else { bail!("a configuration without a root") };
    rootfs.set_path("rootfs".into());
    // crun 1.8 knows no later version, and nothing here is of one.
    spec.set_version("1.0.2".to_owned());
    if let Some(filter) = spec.linux_mut().as_mut().and_then(|linux| linux.seccomp_mut().as_mut()) {
        *filter = as_docker_writes_it(filter)?;
    }
    // The default limits are what the machine that this runs on allows.
    let files = PosixRlimitBuilder::default()
        .typ(PosixRlimitType::RlimitNofile)
        .soft(1024_u64)
        .hard(2048_u64)
        .build()
        .context("a limit")?;
    if let Some(process) = spec.process_mut() {
        process.set_rlimits(Some(vec![files]));
    }
    serde_json::to_vec(&spec).context("cannot write the configuration")
}

/// The same filter in the form of docker's own. libseccomp, which runc and crun compile it with, takes a rule without conditions for the last word on
/// a call, so calls that depend on arguments are in rules that allow, and the rest of them is left to the default.
fn as_docker_writes_it(filter: &LinuxSeccomp) -> anyhow::Result<LinuxSeccomp> {
    const EPERM: u32 = 1;
    const ENOSYS: u32 = 38;
    /// CLONE_NEW*.
    const NEW_NAMESPACES: u64 = 0x7e02_0080;
    const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    const AF_VSOCK: u64 = 40;
    const CONDITIONAL: [&str; 4] = ["clone", "clone3", "personality", "socket"];
    let rule = |name: &str, action, errno: Option<u32>, condition: Option<(LinuxSeccompOperator, u64)>| {
        let mut rule = LinuxSyscallBuilder::default().names(vec![name.to_owned()]).action(action);
        if let Some(errno) = errno {
            rule = rule.errno_ret(errno);
        }
        if let Some((op, value)) = condition {
            // What is left under a mask is 0.
            let argument =
                LinuxSeccompArgBuilder::default().index(0_usize).op(op).value(value).value_two(0_u64);
            rule = rule.args(vec![argument.build().context("a condition of the filter")?]);
        }
        rule.build().context("a rule of the filter")
    };
    let allow = LinuxSeccompAction::ScmpActAllow;
    let mut rules = Vec::new();
    for old in
        filter.syscalls().iter().flatten().filter(|rule| rule.args().as_ref().is_none_or(Vec::is_empty))
    {
        let mut old = old.clone();
        old.set_names(
            old.names().iter().filter(|name| !CONDITIONAL.contains(&name.as_str())).cloned().collect(),
        );
        rules.push(old);
    }
    rules.push(rule("clone", allow, None, Some((LinuxSeccompOperator::ScmpCmpMaskedEq, NEW_NAMESPACES)))?);
    rules.push(rule("clone3", LinuxSeccompAction::ScmpActErrno, Some(ENOSYS), None)?);
    for personality in PERSONALITIES {
        rules.push(rule("personality", allow, None, Some((LinuxSeccompOperator::ScmpCmpEq, personality)))?);
    }
    rules.push(rule("socket", allow, None, Some((LinuxSeccompOperator::ScmpCmpNe, AF_VSOCK)))?);
    let mut filter = filter.clone();
    filter.set_default_errno_ret(Some(EPERM));
    filter.set_syscalls(Some(rules));
    Ok(filter)
}
