//! [`Register`]: what a digest is added to, for good.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Where a trust domain's kernel has its registers (Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest of Linux).
const MEASUREMENTS: &str = "/sys/devices/virtual/misc/tdx_guest/measurements";
const RTMR3: &str = "rtmr3:sha384";

/// Where Coffer's kernel takes leave from process 1.
const LEAVE: &str = "/proc/coffer/leave";

/// A register that can be extended and not set.
pub trait Register: std::fmt::Debug {
    /// Extends it.
    ///
    /// # Errors
    ///
    /// When the hardware refuses.
    fn extend(&mut self, digest: &[u8; 48]) -> io::Result<()>;

    /// Lets one container's first process be made: its start is measured.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    fn allow_start(&mut self) -> io::Result<()>;
}

/// RTMR3 of a trust domain; on a plain machine, none. From now on, Coffer's kernel makes no container that was not measured: pid namespaces need leave.
///
/// # Errors
///
/// When the kernel knows leave and does not take it from this process.
pub fn of_machine() -> io::Result<Box<dyn Register>> {
    let folder = Path::new(MEASUREMENTS);
    let rtmr = folder.is_dir().then(|| folder.join(RTMR3));
    // COMPAT: Linux has no such file.
    let leave = Some(Path::new(LEAVE)).filter(|path| path.exists()).map(Path::to_owned);
    if let Some(path) = &leave {
        write(path, b"close")?;
    }
    Ok(Box::new(Machine { rtmr, leave }))
}

/// The kernel's files.
#[derive(Debug)]
struct Machine {
    rtmr: Option<PathBuf>,
    leave: Option<PathBuf>,
}

impl Register for Machine {
    fn extend(&mut self, digest: &[u8; 48]) -> io::Result<()> {
        self.rtmr.as_deref().map_or(Ok(()), |path| write(path, digest))
    }

    fn allow_start(&mut self) -> io::Result<()> {
        self.leave.as_deref().map_or(Ok(()), |path| write(path, b"allow"))
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(bytes)
}
