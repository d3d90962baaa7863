//! What our kernel shows of a trust domain, to a process 1 that is not ours: by the same files as stock Linux does (`linux.rs`).

use anyhow::{Context as _, ensure};
use coffer_harness::{Artifacts, DEBUG_EXIT_PORT, Ended};
use coffer_tdsim::{Domain, Payload, QuoteVersion, prepare};

use super::{guest, module, run};
use crate::suite::Suite;

/// Registers are extended last: what the firmware's log says is then no longer all of it.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
exec < /dev/console > /dev/console 2>&1
mount -t configfs config /sys/kernel/config
reports=/sys/kernel/config/tsm/report
mkdir $reports/one $reports/two
mkdir $reports/one 2>/dev/null || echo "second: refused"
head -c 64 /dev/zero | tr '\0' x > $reports/one/inblob
echo "provider: $(cat $reports/one/provider), generation: $(cat $reports/one/generation)"
cat $reports/two/outblob 2>/dev/null || echo "empty: refused"
head -c 65 /dev/zero > $reports/two/inblob 2>/dev/null; echo "generation of two: $(cat $reports/two/generation)"
echo quote-begin; base64 $reports/one/outblob; echo quote-end
echo log-begin; base64 /sys/firmware/acpi/tables/data/CCEL; echo log-end
echo "table: $(head -c 4 /sys/firmware/acpi/tables/CCEL), $(wc -c < /sys/firmware/acpi/tables/CCEL)"
rmdir $reports/one $reports/two; echo "left: $(ls $reports | wc -l)"
cd /sys/class/misc/tdx_guest/measurements
show() { od -An -tx1 -N 4 $1:sha384 | tr -d ' '; }
old2=$(show rtmr2)
sh -c 'printf %048d 0 > rtmr2:sha384'; test "$(show rtmr2)" != "$old2" && echo "register 2: extended"
sh -c 'printf %048d 0 > rtmr3:sha384' 2>/dev/null; test "$(show rtmr3)" = 00000000 && echo "register 3: refused"
printf %047d 0 > rtmr3:sha384 2>/dev/null; test "$(show rtmr3)" = 00000000 && echo "47 bytes: refused"
printf %048d 0 > rtmr3:sha384; test "$(show rtmr3)" != 00000000 && echo "register 3: extended"
ls /dev/tdx_guest
poweroff -f
"#;

const EXPECTED: [&str; 12] = [
    "second: refused",
    "provider: tdx_guest, generation: 1",
    "empty: refused",
    "generation of two: 0",
    "table: CCEL, 56",
    "left: 0",
    "register 2: extended",
    "register 3: refused",
    "47 bytes: refused",
    "register 3: extended",
    "/dev/tdx_guest",
    "platform: an Intel TDX trust domain, attributes 0x10000000",
];

pub fn add(suite: &mut Suite, artifacts: &Artifacts) {
    for (name, version) in [("v4", QuoteVersion::V4), ("v5", QuoteVersion::V5)] {
        let artifacts = artifacts.clone();
        suite.add(&format!("tdx/kernel/quote_{name}_log_and_registers"), move || {
            let file = std::fs::read(artifacts.uki()).context("cannot read the unified kernel image")?;
            let payload = Payload {
                initramfs: guest::initramfs(INIT, Vec::new())?,
                added_words: format!("coffer.debug_exit={DEBUG_EXIT_PORT:#x}"),
                ..Payload::read(&file)?
            };
            let folder = tempfile::tempdir()?;
            let domain = Domain { cpus: 2, gpaw: 52, ..Domain::default() };
            let prepared = prepare(&domain, &payload, &module()?, version, folder.path())?;
            let (ended, lines) = run(&prepared.simulated.machine())?;
            ensure!(ended == Ended::DebugExit(0x10), "it ended by {ended:?}: {}", lines.join("\n"));
            for wanted in EXPECTED {
                guest::expect(&lines, wanted)?;
            }
            super::evidence::check(
                &guest::between(&lines, "quote")?,
                &guest::between(&lines, "log")?,
                &prepared,
            )
        });
    }
}
