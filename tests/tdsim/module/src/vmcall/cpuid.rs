//! Instruction.CPUID: what a VMM says of itself, and nothing else.

use coffer_tdsim_rules::hostile::Fault;
use coffer_tdsim_rules::status::Answer;

use crate::td::Td;
use crate::vcpu::Vcpu;

/// The last leaf of the hypervisor's range, and KVM's signature, without any of its features. Linux has to see one that it knows: only
/// then does it believe, rather than program, that all memory is cached.
const SIGNATURE: [u64; 4] = [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d];

/// R12 leaf, R13 subleaf; R12 to R15 the answer.
pub fn execute(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let registers = &mut vcpu.registers;
    let values = if registers.r12 == 0x4000_0000 { SIGNATURE } else { [0; 4] };
    let values = values.map(|value| td.hostile.value(Fault::Cpuid, value));
    [registers.r12, registers.r13, registers.r14, registers.r15] = values;
    Answer::Success
}
