//! Instruction.HLT: until an interrupt comes.

use coffer_tdsim_rules::status::Answer;

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{smp, svm};

/// R12: whether interrupts are blocked. They stay blocked, but one that comes ends the wait all the same.
pub fn execute(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let _ = td;
    // One that the guest has not let in yet is reason enough not to wait.
    if vcpu.has_interrupt() {
        return Answer::Success;
    }
    loop {
        if let Some(vector) = svm::wait() {
            vcpu.inject_interrupt(vector);
            return Answer::Success;
        }
        smp::answer(vcpu.index);
    }
}
