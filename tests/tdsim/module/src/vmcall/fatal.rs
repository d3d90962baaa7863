//! ReportFatalError: the guest gives up.

use coffer_tdsim_rules::status::Answer;

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{console, end};

/// ReportFatalError: R12 the code; text in registers, as Linux passes it.
pub fn report(_: &Td, vcpu: &mut Vcpu) -> Answer {
    let r = &vcpu.registers;
    let words = [r.r14, r.r15, r.rbx, r.rdi, r.rsi, r.r8, r.r9, r.rdx];
    let mut text = [0; 64];
    for (word, place) in words.iter().zip(text.as_chunks_mut::<8>().0) {
        *place = word.to_le_bytes();
    }
    let len = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let words = core::str::from_utf8(&text[..len]).unwrap_or("?");
    console::say(format_args!("the guest reports a fatal error {:#x}: {words}", r.r12));
    end::exit(end::FATAL_ERROR)
}
