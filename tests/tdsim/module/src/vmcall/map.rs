//! MapGPA: pages become shared or private. Now and then only some of them, and the guest is told to come again.

use core::sync::atomic::Ordering;

use coffer_tdsim_rules::hostile::{Fault, odd_value};
use coffer_tdsim_rules::layout::{LARGE_PAGE, PAGE};
use coffer_tdsim_rules::status::Answer;

use crate::td::Td;
use crate::vcpu::Vcpu;

/// R12 address (with the shared bit: to shared), R13 length; R11 where to go on after RETRY.
pub fn execute(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let (address, len) = (vcpu.registers.r12, vcpu.registers.r13);
    let start = address & !td.shared_bit();
    let is_shared = start != address;
    if !start.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
        return Answer::AlignError;
    }
    let Some(end) = start.checked_add(len).filter(|end| len != 0 && *end <= td.shared_bit()) else {
        return Answer::InvalidOperand;
    };
    if td.hostile.strikes(Fault::MapRefusal).is_some() {
        return Answer::InvalidOperand;
    }
    if let Some(random) = td.hostile.strikes(Fault::MapRetry) {
        vcpu.registers.r11 = odd_value(random, address);
        return Answer::Retry;
    }
    let is_memory = |gpa: &u64| td.header.memory.page(*gpa).is_some();
    let end = if should_retry(td, len) { start + (len / 2).next_multiple_of(PAGE) } else { end };
    let requested_end = start + len;
    for gpa in (start..end).step_by(PAGE as usize).filter(is_memory) {
        td.convert(gpa, is_shared);
    }
    if !is_shared {
        join(td, start, end);
    }
    if end != requested_end {
        vcpu.registers.r11 = end | address & td.shared_bit();
        return Answer::Retry;
    }
    Answer::Success
}

fn should_retry(td: &Td, len: u64) -> bool {
    let every = td.header.retry_every;
    if every == 0 || len == PAGE {
        return false;
    }
    td.vmm.conversions.fetch_add(1, Ordering::Relaxed) % every == every - 1
}

/// Large pages all of which came back are mapped in one piece.
fn join(td: &Td, start: u64, end: u64) {
    let mut mapping = td.mapping.lock();
    let first = start - start % LARGE_PAGE;
    for page in (first..end).step_by(LARGE_PAGE as usize).filter_map(|gpa| td.header.memory.page(gpa)) {
        mapping.pages.join(page);
    }
}
