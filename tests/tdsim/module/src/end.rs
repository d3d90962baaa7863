//! How a run ends: by the guest's wish, by a rule that it broke, or by a fault of the module's own.

use crate::td::{Search, Td};
use crate::vcpu::Vcpu;
use crate::{console, ports, smp};

/// Where QEMU's debug exit device is.
pub const DEBUG_EXIT_PORT: u16 = 0xf4;
/// The guest broke a rule.
pub const BROKEN_RULE: u32 = 0x60;
/// The guest reported a fatal error.
pub const FATAL_ERROR: u32 = 0x61;
/// The guest shut down (a triple fault).
pub const TRIPLE_FAULT: u32 = 0x62;
/// A bug here.
pub const MODULE_FAULT: u32 = 0x63;
/// A canary was in shared memory.
pub const LEAK: u32 = 0x64;

/// Ends QEMU with a code: of a domain that does not end by itself.
pub fn exit(code: u32) -> ! {
    if let Some(td) = smp::TD.get().filter(|_| code != MODULE_FAULT) {
        before(td);
    }
    end(code)
}

fn end(code: u32) -> ! {
    loop {
        ports::write(DEBUG_EXIT_PORT, 1, code);
    }
}

/// The domain ends because the guest broke a rule.
pub fn broken_rule(vcpu: &Vcpu, rule: core::fmt::Arguments) -> ! {
    console::say(format_args!("TD exit: {rule} (vCPU {}, rip {:#x})", vcpu.index, vcpu.vmcb.rip));
    exit(BROKEN_RULE)
}

/// Before the end: what the host did is told, and canaries that are found end the run in another way.
pub fn before(td: &Td) {
    td.hostile.report();
    match td.find_canary() {
        Search::Found(gpa) => {
            console::say(format_args!("a canary is in shared memory at {gpa:#x}"));
            end(LEAK)
        }
        Search::Impossible => console::say(format_args!("shared memory was not searched for canaries")),
        Search::Clean { canaries: 0, .. } => {}
        Search::Clean { pages, canaries } => {
            console::say(format_args!("none of {canaries} canaries is in {pages} shared pages"));
        }
    }
}
