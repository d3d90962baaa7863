//! Instruction.CPUID: what a VMM says of itself, and nothing else.

use coffer_tdsim_rules::status::Answer;

use crate::td::Td;
use crate::vcpu::Vcpu;

/// The last leaf of the hypervisor's range, and a signature: "CofferTDSim ".
const SIGNATURE: [u64; 4] = [0x4000_0001, 0x6666_6f43, 0x4454_7265, 0x206d_6953];

/// R12 leaf, R13 subleaf; R12 to R15 the answer.
pub fn execute(_: &Td, vcpu: &mut Vcpu) -> Answer {
    let registers = &mut vcpu.registers;
    let values = if registers.r12 == 0x4000_0000 { SIGNATURE } else { [0; 4] };
    [registers.r12, registers.r13, registers.r14, registers.r15] = values;
    Answer::Success
}
