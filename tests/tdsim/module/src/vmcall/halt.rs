//! Instruction.HLT: until an interrupt comes.

use coffer_tdsim_rules::status::Answer;

use crate::svm;
use crate::td::Td;
use crate::vcpu::Vcpu;

/// R12: whether interrupts are blocked. They stay blocked, but one that comes ends the wait all the same.
pub fn execute(_: &Td, vcpu: &mut Vcpu) -> Answer {
    // One that the guest has not let in yet is reason enough not to wait.
    if vcpu.has_interrupt() {
        return Answer::Success;
    }
    loop {
        if let Some(vector) = svm::wait() {
            vcpu.inject_interrupt(vector);
            return Answer::Success;
        }
    }
}
