//! Whether KVM can be used here: `/dev/kvm` may exist and open, and a guest still not run (nested or emulated KVM), so the
//! only sound question is whether one did.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::machine::QEMU;
use crate::{DEBUG_EXIT_PORT, Error};

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// Software emulation, one host thread a CPU.
    Tcg,
}

impl Accelerator {
    /// The best one that works here; asked once a process.
    #[must_use]
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Accelerator> = OnceLock::new();
        *DETECTED.get_or_init(|| if kvm_runs().unwrap_or(false) { Self::Kvm } else { Self::Tcg })
    }

    /// The value of QEMU's `-accel`.
    #[must_use]
    pub fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }
}

/// How long the probe may take; it needs a few hundred milliseconds where KVM works.
const PATIENCE: Duration = Duration::from_secs(5);

const PROBE_VALUE: u8 = 0x11;

/// Starts a guest whose whole firmware writes one byte to the exit device, with the CPU model and count that real machines
/// get: emulated KVMs fail on the model's registers rather than on the first instruction.
fn kvm_runs() -> Result<bool, Error> {
    const FIRMWARE_LEN: usize = 64 << 10;
    const RESET_VECTOR: usize = FIRMWARE_LEN - 16;
    if !fs::exists("/dev/kvm").unwrap_or(false) {
        return Ok(false);
    }
    let mut firmware = vec![0xf4; FIRMWARE_LEN];
    let [port, _] = DEBUG_EXIT_PORT.to_le_bytes();
    // mov al, VALUE; out PORT, al; hlt
    firmware[RESET_VECTOR..RESET_VECTOR + 5].copy_from_slice(&[0xb0, PROBE_VALUE, 0xe6, port, 0xf4]);
    let file = tempfile::NamedTempFile::new().map_err(Error::system("create a file for the KVM probe"))?;
    fs::write(file.path(), &firmware).map_err(Error::system("write the KVM probe"))?;

    let mut probe = Command::new(QEMU)
        .args(["-accel", Accelerator::Kvm.argument(), "-machine", "q35", "-cpu", "max", "-smp", "2"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .args(["-device", &format!("isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=0x04")])
        .arg("-bios")
        .arg(file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::system("start qemu for the KVM probe"))?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = probe.try_wait().map_err(Error::system("wait for the KVM probe"))? {
            return Ok(status.code() == Some(i32::from(PROBE_VALUE) << 1 | 1));
        }
        thread::sleep(Duration::from_millis(10));
    }
    probe.kill().map_err(Error::system("end the KVM probe"))?;
    probe.wait().map_err(Error::system("wait for the KVM probe"))?;
    Ok(false)
}
