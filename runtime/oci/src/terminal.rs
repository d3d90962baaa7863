//! A container's terminal: one pty in a devpts instance that becomes the container's /dev/pts.
//!
//! The instance is mounted outside first, so that the master is opened here and needs not be passed out of the container
//! over a socket. The container then has the same instance bound at /dev/pts, where programs look up the terminal's name.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::termios::Winsize;

use crate::Error;
use crate::spec::Window;

/// The outer half of a terminal.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    folder: PathBuf,
    /// The name inside the container, `/dev/pts/N`.
    name: String,
    is_mounted: bool,
}

impl Terminal {
    /// Mounts a new devpts at the new directory `folder` and takes a pty from it.
    ///
    /// # Errors
    ///
    /// What the calls return; nothing stays mounted then.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir(folder).map_err(Error::io("create the folder of the terminal"))?;
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        let options = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
        rustix::mount::mount("devpts", folder, "devpts", flags, options)
            .map_err(Error::system("mount devpts"))?;

        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let taken =
            rustix::fs::open(folder.join("ptmx"), flags, rustix::fs::Mode::empty()).and_then(|master| {
                rustix::pty::unlockpt(&master)?;
                let name = rustix::pty::ptsname(&master, Vec::new())?;
                Ok((master, name.to_string_lossy().into_owned()))
            });
        match taken {
            Ok((master, name)) => Ok(Self { master, folder: folder.to_owned(), name, is_mounted: true }),
            Err(errno) => {
                // The first error is the one to tell.
                let _ = rustix::mount::unmount(folder, UnmountFlags::DETACH);
                Err(Error::system("open a pseudo-terminal")(errno))
            }
        }
    }

    /// The master: what is written is the container's input, what is read its output.
    #[must_use]
    pub fn master(&self) -> &OwnedFd {
        &self.master
    }

    /// Another descriptor of the master.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` returns.
    pub fn clone_master(&self) -> Result<File, Error> {
        self.master.try_clone().map(File::from).map_err(Error::io("duplicate the terminal"))
    }

    /// The path of the terminal inside the container.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the devpts is mounted outside.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets the size; the kernel tells the foreground processes with SIGWINCH.
    ///
    /// # Errors
    ///
    /// What the ioctl returns.
    pub fn resize(&self, window: Window) -> Result<(), Error> {
        let size = Winsize { ws_row: window.rows, ws_col: window.columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).map_err(Error::system("resize the terminal"))
    }

    /// Takes the outer mount away; to be called once the container has its own. The terminal stays usable.
    ///
    /// # Errors
    ///
    /// What `umount2(2)` returns.
    pub fn detach(&mut self) -> Result<(), Error> {
        if self.is_mounted {
            rustix::mount::unmount(&self.folder, UnmountFlags::DETACH)
                .map_err(Error::system("unmount devpts"))?;
            self.is_mounted = false;
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Only reached with the mount in place when creating the container failed; that error is told already.
        let _ = self.detach();
    }
}
