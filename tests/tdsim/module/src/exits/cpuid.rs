//! CPUID.

use coffer_tdsim_rules::cpuid::{Processor, Source, masked, source};
use coffer_tdsim_rules::ve::{Info, Reason};

use crate::svm;
use crate::td::Td;
use crate::vcpu::Vcpu;

const LENGTH: u32 = 2;

/// Answers, or lets the guest ask the VMM.
pub fn execute(td: &Td, vcpu: &mut Vcpu) {
    let leaf = vcpu.vmcb.rax as u32;
    let subleaf = vcpu.registers.rcx as u32;
    let [in_ring_0, in_others] = vcpu.cpuid_ve;
    let is_wanted = if vcpu.vmcb.cpl == 0 { in_ring_0 } else { in_others };
    let Some(source) = source(leaf).filter(|_| !is_wanted) else {
        vcpu.inject_ve(Info::instruction(Reason::Cpuid, LENGTH));
        return;
    };
    let [eax, ebx, ecx, edx] = match source {
        Source::Fixed(values) => values,
        Source::Zero => [0; 4],
        Source::Processor => {
            let processor = Processor {
                index: vcpu.index as u32,
                count: td.header.cpus as u32,
                xfam: td.header.xfam,
                tsc_ratio: td.tsc_ratio,
            };
            masked(leaf, subleaf, svm::cpuid(leaf, subleaf), &processor)
        }
    };
    vcpu.vmcb.rax = u64::from(eax);
    vcpu.registers.rbx = u64::from(ebx);
    vcpu.registers.rcx = u64::from(ecx);
    vcpu.registers.rdx = u64::from(edx);
    vcpu.advance(u64::from(LENGTH));
}
