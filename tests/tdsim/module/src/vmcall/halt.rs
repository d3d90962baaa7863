//! Instruction.HLT: until an interrupt comes.

use coffer_tdsim_rules::hostile::Fault;
use coffer_tdsim_rules::status::Answer;

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{apic, svm};

/// R12: whether interrupts are blocked. They stay blocked, but one that comes ends the wait all the same.
pub fn execute(td: &Td, vcpu: &mut Vcpu) -> Answer {
    // One that the guest has not let in yet is reason enough not to wait.
    while !vcpu.has_interrupt() {
        super::advance(td);
        // With a quote in flight this processor looks for it rather than sleep.
        let is_busy = td.vmm.quoting.lock().is_busy();
        if let Some(vector) = if is_busy { svm::poll() } else { svm::wait() } {
            if td.hostile.strikes(Fault::LostInterrupt).is_some() {
                apic::end_of_interrupt();
                continue;
            }
            vcpu.inject_interrupt(vector);
        }
    }
    Answer::Success
}
