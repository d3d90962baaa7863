//! The cases, a file for each part of the rules.

mod instructions;
mod memory;
pub mod processors;
mod reports;
mod timer;
mod vmm;

/// What a case says.
pub type Verdict = Result<(), &'static str>;

/// A name, and a case.
pub type Row = (&'static str, fn() -> Verdict);

/// Every case that leaves the domain alive.
pub const ALL: [Row; 40] = [
    ("call/information", vmm::information),
    ("call/unknown_leaves", vmm::unknown_leaves),
    ("call/not_in_ring_3", vmm::not_in_ring_3),
    ("call/metadata", vmm::metadata),
    ("vmm/unknown_functions", vmm::unknown_functions),
    ("vmm/hidden_registers", vmm::hidden_registers),
    ("vmm/cpuid", vmm::cpuid),
    ("vmm/registers", vmm::registers),
    ("vmm/devices", vmm::devices),
    ("instruction/cpuid", instructions::cpuid),
    ("instruction/cpuid_traps", instructions::cpuid_traps),
    ("instruction/cpuid_always_traps", instructions::cpuid_always_traps),
    ("instruction/registers", instructions::registers),
    ("instruction/registers_trap", instructions::registers_trap),
    ("instruction/registers_fault", instructions::registers_fault),
    ("instruction/efer", instructions::efer),
    ("instruction/ports", instructions::ports),
    ("instruction/traps", instructions::traps),
    ("instruction/undefined", instructions::undefined),
    ("instruction/random", instructions::random),
    ("instruction/control_registers", instructions::control_registers),
    ("instruction/xsetbv", instructions::xsetbv),
    ("exception/nested", instructions::nested),
    ("exception/none", instructions::none),
    ("exception/in_ring_3", instructions::in_ring_3),
    ("memory/accept", memory::accept),
    ("memory/accept_large", memory::accept_large),
    ("memory/accept_refusals", memory::accept_refusals),
    ("memory/small_mappings", memory::small_mappings),
    ("memory/share", memory::share),
    ("memory/share_pending", memory::share_pending),
    ("memory/retry", memory::retry),
    ("memory/map_refusals", memory::map_refusals),
    ("memory/device", memory::device),
    ("timer/crystal", timer::crystal),
    ("timer/halt", timer::halt),
    ("report/form", reports::form),
    ("report/registers", reports::registers),
    ("report/quote", reports::quote),
    ("processor/mailbox", processors::mailbox),
];

/// Cases for a domain without SEPT_VE_DISABLE.
pub const PENDING: [Row; 1] = [("pending/exception", memory::pending_exception)];

/// Cases that end the domain, and nothing may come after.
pub const FATAL: [Row; 7] = [
    ("dies/pending", memory::use_pending),
    ("dies/shared_as_private", memory::use_shared_as_private),
    ("dies/private_as_shared", memory::use_private_as_shared),
    ("dies/accept_shared", memory::accept_shared),
    ("dies/leak", memory::leak),
    ("dies/fatal_error", vmm::fatal_error),
    ("dies/triple_fault", vmm::triple_fault),
];

/// Holds, or is why it does not.
pub fn check(holds: bool, why: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(why) }
}
