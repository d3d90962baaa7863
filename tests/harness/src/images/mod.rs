//! OCI images assembled from Debian packages, kept in a folder: the image that `cargo xtask run` has where none is named,
//! and those of the tests. Same packages, same image.
//!
//! [`Recipe::assemble`] has mmdebstrap make a root: all of Debian's essential packages for [`DEBIAN`], and on top of that image's root
//! some packages more for the others, whose layer is then the [`difference`]; [`layout`] writes what becomes of it.

mod difference;
mod layout;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use crate::Error;

/// The distribution's release; also that of the packages that `cargo xtask setup` installs.
const RELEASE: &str = "bookworm";

/// Stands in every time stamp.
const EPOCH: &str = "1700000000";

/// An image: a minimal Debian root, or that and some packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Name of the folder.
    pub name: &'static str,
    /// Packages besides the essential ones. Where there are any, they are a layer on top of [`DEBIAN`].
    pub packages: &'static [&'static str],
    /// A shell command that runs before the packages are installed; `$1` is the root.
    pub before: Option<&'static str>,
    /// One that runs after that, for instance to remove what differs each time.
    pub after: Option<&'static str>,
    /// What the image runs.
    pub command: &'static [&'static str],
}

/// Essential packages and apt: the image of `cargo xtask run`, and what the others stand on.
pub const DEBIAN: Recipe = Recipe::new("debian", &[], &["bash"]);

impl Recipe {
    /// Packages that need nothing done before or after.
    #[must_use]
    pub const fn new(
        name: &'static str,
        packages: &'static [&'static str],
        command: &'static [&'static str],
    ) -> Self {
        Self { name, packages, before: None, after: None, command }
    }

    /// Where the OCI layout folder of this image is or will be.
    #[must_use]
    pub fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(self.name)
    }

    /// Whether it has been assembled.
    #[must_use]
    pub fn is_assembled(&self, cache: &Path) -> bool {
        self.folder(cache).join("index.json").exists()
    }

    /// The OCI layout folder of this image below `cache`; assembled if it is not there yet. That takes about a minute for [`DEBIAN`], which
    /// is assembled first where it is not there either, and about twenty seconds for the others.
    ///
    /// # Errors
    /// If mmdebstrap is missing or fails, or the folder cannot be written.
    pub fn assemble(&self, cache: &Path) -> Result<PathBuf, Error> {
        let layout = self.folder(cache);
        if self.is_assembled(cache) {
            return Ok(layout);
        }
        let below = if self.packages.is_empty() { None } else { Some(DEBIAN.layer(cache)?) };
        // Made aside and renamed, so that an interrupted attempt is not taken for an image.
        let draft = cache.join(format!("{}.draft", self.name));
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(Error::system("remove an unfinished image"))?;
        }
        fs::create_dir_all(&draft).map_err(Error::system("create a folder for the image"))?;
        let root = draft.join("root.tar");
        self.bootstrap(below.as_deref(), &root)?;
        self.write_layout(below.as_deref(), &root, &draft).map_err(Error::system("write the image"))?;
        match fs::rename(&draft, &layout) {
            // Somebody else was as fast.
            Err(_) if self.is_assembled(cache) => Ok(layout),
            result => result.map(|()| layout).map_err(Error::system("put the image in its place")),
        }
    }

    /// The file of the topmost layer.
    ///
    /// # Errors
    /// If the image cannot be assembled or read.
    pub fn layer(&self, cache: &Path) -> Result<PathBuf, Error> {
        let layers =
            layout::layers(&self.assemble(cache)?).map_err(Error::system("read an assembled image"))?;
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no layers");
        layers.into_iter().next_back().ok_or_else(missing).map_err(Error::system("read an assembled image"))
    }

    fn bootstrap(&self, below: Option<&Path>, root: &Path) -> Result<(), Error> {
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--quiet", "--dpkgopt=force-unsafe-io"])
            .arg("--aptopt=APT::Install-Recommends \"false\"")
            .args(["--dpkgopt=path-exclude=/usr/share/man/man*/*", "--dpkgopt=path-exclude=/usr/share/doc/*"])
            .env("SOURCE_DATE_EPOCH", EPOCH);
        if let Some(below) = below {
            command
                .arg("--variant=custom")
                .arg(
                    "--setup-hook=tar --extract --preserve-permissions --xattrs --numeric-owner \
                      --file \"$BELOW\" --directory \"$1\"",
                )
                .env("BELOW", below);
        } else {
            command
                .arg("--variant=minbase")
                // Some packages' scripts (update-alternatives) fail where these folders are missing.
                .arg("--setup-hook=mkdir -p \"$1/usr/share/man/man1\" \"$1/usr/share/man/man7\"");
        }
        command.args(self.before.map(|hook| format!("--setup-hook={hook}")));
        if below.is_some() {
            // Not by --include: mmdebstrap would configure the packages in any order. The host's apt downloads, the root's dpkg installs.
            command
                .arg(
                    "--customize-hook=APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get install --yes --quiet \
                      -oDPkg::Chroot-Directory=\"$1\" $PACKAGES",
                )
                .env("PACKAGES", self.packages.join(" "))
                .env("DEBIAN_FRONTEND", "noninteractive");
        }
        command
            .args(self.after.map(|hook| format!("--customize-hook={hook}")))
            // What a container engine would put there.
            .arg("--customize-hook=printf '127.0.0.1\\tlocalhost\\n' > \"$1/etc/hosts\"")
            // The host's own, which mmdebstrap has copied.
            .arg("--customize-hook=: > \"$1/etc/resolv.conf\"; : > \"$1/etc/hostname\"")
            // Their lines have times.
            .arg("--customize-hook=rm -f \"$1\"/var/log/*.log \"$1\"/var/log/apt/* \"$1\"/var/cache/ldconfig/aux-cache");
        command.arg(RELEASE).arg(root).stdin(Stdio::null());
        let output = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::MissingProgram { program: "mmdebstrap", package: "mmdebstrap" },
            _ => Error::system("start mmdebstrap")(error),
        })?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let reason = words.lines().find(|line| line.starts_with("E: ")).unwrap_or("no reason given");
        Err(Error::Bootstrap { image: self.name, reason: reason.to_owned() })
    }

    /// Makes the tar `root` the one layer of a layout in `folder`, or its difference from the layer `below` the second one.
    fn write_layout(&self, below: Option<&Path>, root: &Path, folder: &Path) -> io::Result<()> {
        let Some(below) = below else {
            return layout::write(folder, &[root.to_owned()], self.command);
        };
        let [lower, upper] = ["lower.tar", "upper.tar"].map(|name| folder.join(name));
        difference::write(below, root, &upper)?;
        fs::remove_file(root)?;
        // Another name, not another copy.
        fs::hard_link(below, &lower)?;
        layout::write(folder, &[lower, upper], self.command)
    }
}

/// The SHA-256 of what is left to read, and how much that was.
fn digest(mut reader: impl Read) -> io::Result<([u8; 32], u64)> {
    let (mut hasher, mut total) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let len = reader.read(&mut buffer)?;
        if len == 0 {
            return Ok((hasher.finalize().into(), total));
        }
        hasher.update(&buffer[..len]);
        total += len as u64;
    }
}

/// The same of a file.
fn file_digest(path: &Path) -> io::Result<([u8; 32], u64)> {
    digest(File::open(path)?)
}
