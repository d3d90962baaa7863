//! Copy-up: a new, empty volume begins with what the image has at its place.
//!
//! Nothing of the container runs yet, but the volume may be another's at the same time, and that one may put links wherever this is about to
//! write. So every step is one name in an open folder, no link is followed, and files and folders are only ever made, never opened as they
//! were: what is in the way stays.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use runtime_oci::root::Root;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
};
use rustix::io::Errno;

use crate::Error;

/// How a folder is opened to be read and changed.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Folders in folders: each level costs the engine two open files.
const DEPTH_LIMIT: usize = 256;

/// Copies the image's folder at `destination` into the folder `volume`, if that is empty.
pub fn copy_up(root: &Root, destination: &str, volume: &Path) -> Result<(), Error> {
    let what = || format!("copy the image's files at `{destination}` into its volume");
    let volume = rustix::fs::openat(CWD, volume, FOLDER, Mode::empty())
        .map_err(|errno| Error::system(what())(errno))?;
    if !is_empty(&volume).map_err(Error::system(what()))? {
        return Ok(());
    }
    // Links in the path count inside of the container only.
    let folder = match root.open(Path::new(destination), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)
    {
        Ok(folder) => folder,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(Error::system(what())(error)),
    };
    copy_folder(folder, &volume, DEPTH_LIMIT).map_err(Error::system(what()))
}

fn is_empty(folder: &OwnedFd) -> io::Result<bool> {
    for entry in Dir::read_from(folder)? {
        if !is_dots(entry?.file_name()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Copies what is in `from` into `to`, which becomes like it.
fn copy_folder(from: OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| io::Error::other(format!("folders are more than {DEPTH_LIMIT} deep")))?;
    become_like(to, &rustix::fs::fstat(&from)?)?;
    let mut folder = Dir::new(from)?;
    while let Some(entry) = folder.read() {
        let entry = entry?;
        let (name, from) = (entry.file_name(), folder.fd()?);
        if is_dots(name) {
            continue;
        }
        let status = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let inner = open_beneath(from, name, FOLDER)?;
                if let Some(made) = unless_in_the_way(make_folder(to, name))? {
                    copy_folder(inner, &made, depth)?;
                }
            }
            FileType::Symlink => copy_link(from, to, name, &status)?,
            FileType::RegularFile => copy_file(from, to, name)?,
            // Devices, sockets and FIFOs of an image have no business in a volume.
            _ => {}
        }
    }
    Ok(())
}

/// Makes a folder. Should another take its place before it is open, then that is in this volume too, and no link.
fn make_folder(to: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(to, name, Mode::RWXU)?;
    open_beneath(to.as_fd(), name, FOLDER)
}

fn copy_link(from: BorrowedFd<'_>, to: &OwnedFd, name: &CStr, status: &Stat) -> io::Result<()> {
    let target = rustix::fs::readlinkat(from, name, Vec::new())?;
    let (uid, gid) = owner(status);
    let copied = rustix::fs::symlinkat(&target, to, name)
        .and_then(|()| rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW));
    unless_in_the_way(copied)?;
    Ok(())
}

fn copy_file(from: BorrowedFd<'_>, to: &OwnedFd, name: &CStr) -> io::Result<()> {
    // What it is is asked of what was opened.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let source = open_beneath(from, name, flags)?;
    let status = rustix::fs::fstat(&source)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR);
    let Some(copy) = unless_in_the_way(opened)? else { return Ok(()) };
    let mut copy = File::from(copy);
    io::copy(&mut File::from(source), &mut copy)?;
    become_like(&copy, &status)?;
    let (tv_sec, tv_nsec) = (status.st_mtime, i64::try_from(status.st_mtime_nsec).unwrap_or_default());
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec, tv_nsec },
    };
    Ok(rustix::fs::futimens(&copy, &times)?)
}

/// Gives an open file owner and mode, the mode last: a change of the owner takes set-id bits away.
fn become_like(file: impl AsFd, status: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(status);
    rustix::fs::fchown(&file, uid, gid)?;
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(status.st_mode & 0o7777))?)
}

fn owner(status: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))
}

/// Opens what has that name in the folder itself: nowhere above it, on no other file system, through no link.
fn open_beneath(folder: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_XDEV
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve) {
            // A rename somewhere at the same time; the call asks to be repeated.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// None when somebody else put something there, or took away what was just made: then the volume is no longer empty, and theirs.
fn unless_in_the_way<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(made) => Ok(Some(made)),
        Err(Errno::EXIST | Errno::LOOP | Errno::NOTDIR | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    /// An image with files at `/data`, an empty volume, and a folder of the machine that nobody may touch.
    struct Place {
        _folder: tempfile::TempDir,
        image: PathBuf,
        volume: PathBuf,
        machine: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let [image, volume, machine] =
                ["image", "volume", "machine"].map(|name| folder.path().join(name));
            fs::create_dir_all(image.join("data/sub")).unwrap();
            fs::write(image.join("data/file"), "image").unwrap();
            fs::write(image.join("data/sub/file"), "image").unwrap();
            symlink("/no/such/place", image.join("data/link")).unwrap();
            fs::create_dir(&volume).unwrap();
            fs::create_dir(&machine).unwrap();
            fs::write(machine.join("file"), "machine").unwrap();
            fs::set_permissions(machine.join("file"), Permissions::from_mode(0o640)).unwrap();
            Self { _folder: folder, image, volume, machine }
        }

        /// The walk alone, after the volume was found to be empty.
        fn walk(&self) -> io::Result<()> {
            let open = |path: &Path| rustix::fs::openat(CWD, path, FOLDER, Mode::empty()).unwrap();
            copy_folder(open(&self.image.join("data")), &open(&self.volume), DEPTH_LIMIT)
        }

        fn assert_machine_is_untouched(&self) {
            let names = fs::read_dir(&self.machine).unwrap().map(|entry| entry.unwrap().file_name());
            assert_eq!(names.collect::<Vec<_>>(), ["file"]);
            assert_eq!(fs::read(self.machine.join("file")).unwrap(), b"machine");
            assert_eq!(fs::metadata(self.machine.join("file")).unwrap().mode() & 0o7777, 0o640);
        }
    }

    #[test]
    fn an_empty_volume_begins_as_the_image_has_it() {
        let place = Place::new();
        let file = place.image.join("data/sub/file");
        fs::set_permissions(&file, Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(place.image.join("data"), Permissions::from_mode(0o1777)).unwrap();
        copy_up(&Root::new(&place.image), "/data", &place.volume).unwrap();

        let (old, new) = (fs::metadata(&file).unwrap(), fs::metadata(place.volume.join("sub/file")).unwrap());
        assert_eq!(fs::read(place.volume.join("sub/file")).unwrap(), b"image");
        assert_eq!(new.mode(), old.mode());
        assert_eq!((new.mtime(), new.mtime_nsec()), (old.mtime(), old.mtime_nsec()));
        assert_eq!(fs::read_link(place.volume.join("link")).unwrap(), Path::new("/no/such/place"));
        assert_eq!(fs::metadata(&place.volume).unwrap().mode() & 0o7777, 0o1777);

        fs::write(place.volume.join("file"), "volume").unwrap();
        fs::remove_file(place.volume.join("link")).unwrap();
        copy_up(&Root::new(&place.image), "/data", &place.volume).unwrap();
        assert_eq!(fs::read(place.volume.join("file")).unwrap(), b"volume");
        assert!(!fs::exists(place.volume.join("link")).unwrap());
    }

    #[test]
    fn planted_links_lead_nowhere() {
        let place = Place::new();
        symlink(place.machine.join("file"), place.volume.join("file")).unwrap();
        symlink(&place.machine, place.volume.join("sub")).unwrap();
        symlink(place.machine.join("made"), place.volume.join("link")).unwrap();
        place.walk().unwrap();
        place.assert_machine_is_untouched();
        assert_eq!(fs::read_link(place.volume.join("file")).unwrap(), place.machine.join("file"));
    }

    /// Another container exchanges all that is made for links, all the time.
    #[test]
    fn links_planted_meanwhile_lead_nowhere() {
        let place = Place::new();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for (name, target) in
                        [("file", place.machine.join("file")), ("sub", place.machine.clone())]
                    {
                        let name = place.volume.join(name);
                        let _ = fs::remove_file(&name);
                        let _ = fs::remove_dir_all(&name);
                        let _ = symlink(target, &name);
                        let _ = fs::remove_file(&name);
                    }
                }
            });
            let results: Vec<_> = (0..500).map(|_| place.walk()).collect();
            is_over.store(true, Ordering::Relaxed);
            results.into_iter().for_each(|result| result.unwrap());
        });
        place.assert_machine_is_untouched();
    }
}
