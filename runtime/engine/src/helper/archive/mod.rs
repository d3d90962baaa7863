//! The helper of `docker cp`: looks at, packs and unpacks files as the container's own processes see them.
//!
//! It is a process of its own that enters the container's mount namespace, or makes one with the container's file systems when it does not
//! run, and has the container's root as its root from then on. Whatever links the container puts in the way, and whenever, they lead to its
//! own files only. [`pack`] makes the tar.

mod pack;

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use runtime_image::Snapshot;
use runtime_oci::root::{Root, path_of};
use rustix::fs::OFlags;
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use self::pack::{Extent, pack};
use crate::container::PathStat;
use crate::time::Time;

/// What to do, and where.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub place: Place,
    pub task: Task,
    pub path: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The container of this process.
    Running { pid: i32 },
    /// A container that does not run: its overlay, and what is mounted in it.
    Stopped { snapshot: PathBuf, layers: Vec<PathBuf>, mounts: Vec<(PathBuf, String)> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Prints a [`PathStat`].
    Stat,
    /// Prints a [`PathStat`] and, on the next line, a tar.
    Get,
    /// The same of the container's own file system, without what is mounted in it.
    Export,
    /// Reads a tar.
    Put { no_overwrite_dir_non_dir: bool },
}

/// What is printed to standard error when it fails.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub is_missing: bool,
    pub is_request: bool,
    pub message: String,
}

impl Failure {
    fn io(what: &str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self {
            is_missing: matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
            is_request: false,
            message: format!("cannot {what}: {error}"),
        }
    }

    fn request(message: String) -> Self {
        Self { is_missing: false, is_request: true, message }
    }
}

pub fn main(job: &str) -> ExitCode {
    let job: Result<Job, _> = serde_json::from_str(job);
    let done = job
        .map_err(|error| Failure::request(format!("cannot understand the job: {error}")))
        .and_then(|job| enter(&job.place).and_then(|()| run(&job)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = serde_json::to_string(&failure).unwrap_or(failure.message);
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the container's root this process's.
fn enter(place: &Place) -> Result<(), Failure> {
    let what = "enter the container";
    match place {
        Place::Running { pid } => {
            let namespace = fs::File::open(format!("/proc/{pid}/ns/mnt")).map_err(Failure::io(what))?;
            let file = std::os::fd::AsFd::as_fd(&namespace);
            move_into_link_name_space(file, Some(LinkNameSpaceType::Mount))
                .map_err(|errno| Failure::io(what)(errno.into()))
        }
        Place::Stopped { snapshot, layers, mounts } => {
            runtime_sys::clone::unshare_mounts().map_err(Failure::io(what))?;
            let flags = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
            mount_change("/", flags).map_err(|errno| Failure::io(what)(errno.into()))?;
            let snapshot = Snapshot::mount(snapshot, layers).map_err(|error| Failure {
                is_missing: false,
                is_request: false,
                message: error.to_string(),
            })?;
            let root = Root::new(snapshot.root());
            for (source, destination) in mounts {
                // One that was never started may lack the place; then nothing is at it.
                let Ok(target) = root.open(Path::new(destination), OFlags::PATH | OFlags::CLOEXEC) else {
                    continue;
                };
                mount_bind_recursive(source, path_of(&target))
                    .map_err(|errno| Failure::io(what)(errno.into()))?;
            }
            rustix::process::chroot(snapshot.root()).map_err(|errno| Failure::io(what)(errno.into()))
        }
    }
    .and_then(|()| rustix::process::chdir("/").map_err(|errno| Failure::io(what)(errno.into())))
}

fn run(job: &Job) -> Result<(), Failure> {
    let path = Path::new("/").join(job.path.trim_start_matches('/'));
    match job.task {
        Task::Stat => print_stat(&job.path, &path).map(drop),
        Task::Get | Task::Export => {
            print_stat(&job.path, &path)?;
            let extent = if job.task == Task::Export { Extent::OneFileSystem } else { Extent::Files };
            let name = match name_of(&path).as_str() {
                "/" => PathBuf::from("."),
                name => PathBuf::from(name),
            };
            let follows = follows(&job.path) || path == Path::new("/");
            pack(&path, follows, &name, extent, io::stdout()).map_err(Failure::io("pack the files"))
        }
        Task::Put { no_overwrite_dir_non_dir } => unpack(&path, no_overwrite_dir_non_dir),
    }
}

/// Whether the path asks for what a link leads to: `/link/` and `/link/.`.
fn follows(text: &str) -> bool {
    text.ends_with('/') || text.ends_with("/.")
}

fn print_stat(text: &str, path: &Path) -> Result<Metadata, Failure> {
    let what = "look at the path";
    let found = if follows(text) { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let metadata = found.map_err(Failure::io(what))?;
    let target =
        if metadata.is_symlink() { fs::read_link(path).map_err(Failure::io(what))? } else { PathBuf::new() };
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let stat = PathStat {
        name: name_of(path),
        size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
        mode: go_mode(&metadata),
        mtime: Time::from_nanoseconds(modified).to_string(),
        link_target: target.display().to_string(),
    };
    let mut line = serde_json::to_vec(&stat).map_err(|error| Failure::io(what)(error.into()))?;
    line.push(b'\n');
    io::stdout().write_all(&line).map_err(Failure::io(what))?;
    Ok(metadata)
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The bits of Go's `os.FileMode` (<https://pkg.go.dev/io/fs#FileMode>).
fn go_mode(metadata: &Metadata) -> u32 {
    let (kind, mode) = (metadata.file_type(), metadata.mode());
    let bits = [
        (kind.is_dir(), 31),
        (kind.is_symlink(), 27),
        (kind.is_block_device() || kind.is_char_device(), 26),
        (kind.is_fifo(), 25),
        (kind.is_socket(), 24),
        (mode & 0o4000 != 0, 23),
        (mode & 0o2000 != 0, 22),
        (kind.is_char_device(), 21),
        (mode & 0o1000 != 0, 20),
    ];
    bits.iter().filter(|(is_set, _)| *is_set).fold(mode & 0o777, |all, (_, bit)| all | 1 << bit)
}

fn unpack(folder: &Path, no_overwrite_dir_non_dir: bool) -> Result<(), Failure> {
    let metadata = fs::metadata(folder).map_err(Failure::io("find the folder"))?;
    if !metadata.is_dir() {
        return Err(Failure::request("extraction point is not a directory".to_owned()));
    }
    let broken = |error: io::Error| Failure::request(format!("cannot unpack the archive: {error}"));
    let mut archive = tar::Archive::new(io::BufReader::new(io::stdin()));
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    archive.set_overwrite(true);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        if let (true, Ok(there)) = (no_overwrite_dir_non_dir, fs::symlink_metadata(folder.join(&name))) {
            let is_folder = entry.header().entry_type().is_dir();
            if there.is_dir() != is_folder {
                let (old, new) =
                    if is_folder { ("non-directory", "directory") } else { ("directory", "non-directory") };
                let name = name.display();
                return Err(Failure::request(format!(
                    "cannot overwrite {old} \"{name}\" with {new} \"{name}\""
                )));
            }
        }
        // False for what would leave the folder, which it does not.
        if !entry.unpack_in(folder).map_err(broken)? {
            let name = name.display();
            return Err(Failure::request(format!("path `{name}` of the archive leaves the folder")));
        }
    }
    Ok(())
}
