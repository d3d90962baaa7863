//! GetQuote: a report goes to the host side, which has a quoting enclave, by the second serial port; the quote comes back there.
//!
//! The guest goes on meanwhile, with its buffer's status "in flight" (GHCI, TDG.VP.VMCALL<GetQuote>).

use coffer_tdsim_rules::hostile::{Fault, odd_value};
use coffer_tdsim_rules::layout::PAGE;
use coffer_tdsim_rules::pack::TURN_HOSTILE;
use coffer_tdsim_rules::report::LEN;
use coffer_tdsim_rules::status::Answer;
use spin::Mutex;

use crate::ports;
use crate::td::Td;
use crate::tdcall::is_genuine;
use crate::vcpu::Vcpu;
use crate::{apic, memory};

const COM2: u16 = 0x2f8;
const FIFO_CONTROL: u16 = COM2 + 2;
const LINE_STATUS: u16 = COM2 + 5;
const HAS_DATA: u32 = 1;
const IS_EMPTY: u32 = 1 << 5;

/// In front of each report.
const REQUEST: u8 = b'Q';
/// The longest quote that is taken.
const MAX_QUOTE: usize = 16 << 10;

/// The buffer's header: version, status, length in, length out.
const HEADER_LEN: u64 = 24;
const VERSION: u64 = 1;

mod status {
    pub const DONE: u64 = 0;
    pub const IN_FLIGHT: u64 = u64::MAX;
    pub const ERROR: u64 = 0x8000_0000_0000_0000;
    pub const UNAVAILABLE: u64 = 0x8000_0000_0000_0001;
}

/// The one request that is in flight, and whom to tell.
#[derive(Debug)]
pub struct Quoting {
    request: Option<Request>,
    received: usize,
    bytes: [u8; 4 + MAX_QUOTE],
    notification: Option<Notification>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    gpa: u64,
    len: u64,
}

#[derive(Clone, Copy, Debug)]
struct Notification {
    processor: u32,
    vector: u8,
}

impl Quoting {
    /// Nothing in flight, nobody to tell.
    pub const fn new() -> Mutex<Self> {
        Mutex::new(Self { request: None, received: 0, bytes: [0; 4 + MAX_QUOTE], notification: None })
    }

    /// Whether somebody waits for a quote.
    pub fn is_busy(&self) -> bool {
        self.request.is_some()
    }
}

/// GetQuote: R12 a shared buffer, R13 its length.
pub fn get(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let (address, len) = (vcpu.registers.r12, vcpu.registers.r13);
    let gpa = address & !td.shared_bit();
    if gpa == address || len == 0 || len > 1 << 20 {
        return Answer::InvalidOperand;
    }
    if !gpa.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
        return Answer::AlignError;
    }
    if !(0..len).step_by(PAGE as usize).all(|offset| td.backing(address + offset).is_some()) {
        return Answer::InvalidOperand;
    }
    let mut report = [0; LEN];
    memory::read(gpa + HEADER_LEN, &mut report);
    let in_len = memory::read_u64(gpa + 16) & 0xffff_ffff;
    let mut quoting = td.vmm.quoting.lock();
    let request = Request { gpa, len };
    if memory::read_u64(gpa) != VERSION || in_len != LEN as u64 || !is_genuine(td, &report) {
        finish(request, status::ERROR, &[]);
    } else if quoting.is_busy() {
        finish(request, status::UNAVAILABLE, &[]);
    } else {
        memory::write_u64(gpa + 8, status::IN_FLIGHT);
        quoting.request = Some(request);
        quoting.received = 0;
        send(&report);
    }
    Answer::Success
}

/// SetupEventNotifyInterrupt: R12 the vector.
pub fn set_notification(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let Ok(vector @ 32..) = u8::try_from(vcpu.registers.r12) else { return Answer::InvalidOperand };
    td.vmm.quoting.lock().notification = Some(Notification { processor: vcpu.index as u32, vector });
    Answer::Success
}

fn send(report: &[u8]) {
    const ENABLE: u32 = 1;
    ports::write(FIFO_CONTROL, 1, ENABLE);
    for byte in [REQUEST].iter().chain(report) {
        while ports::read(LINE_STATUS, 1) & IS_EMPTY == 0 {
            core::hint::spin_loop();
        }
        ports::write(COM2, 1, u32::from(*byte));
    }
}

/// Takes what has come of the quote. When it is whole the guest gets it, and is told.
pub fn advance(td: &Td) {
    let Some(mut quoting) = td.vmm.quoting.try_lock() else { return };
    let Some(request) = quoting.request else {
        if td.hostile.is_friendly_yet() && has_data() && ports::read(COM2, 1) == u32::from(TURN_HOSTILE) {
            td.hostile.turn();
        }
        return;
    };
    while has_data() {
        let byte = ports::read(COM2, 1) as u8;
        let at = quoting.received;
        if let Some(place) = quoting.bytes.get_mut(at) {
            *place = byte;
            quoting.received += 1;
        }
        let len = u32::from_le_bytes(*quoting.bytes.first_chunk().unwrap_or(&[0; 4])) as usize;
        if quoting.received >= 4 && quoting.received >= len.min(MAX_QUOTE) + 4 {
            quoting.request = None;
            let quote = quoting.bytes.get(4..4 + len).unwrap_or_default();
            if td.hostile.strikes(Fault::QuoteLost).is_some() {
                return;
            }
            finish(request, if quote.is_empty() { status::UNAVAILABLE } else { status::DONE }, quote);
            if let Some(random) = td.hostile.strikes(Fault::QuoteLength) {
                let length = odd_value(random, quote.len() as u64) as u32;
                memory::write(request.gpa + 20, &length.to_le_bytes());
            }
            if let Some(random) = td.hostile.strikes(Fault::QuoteStatus) {
                memory::write_u64(request.gpa + 8, odd_value(random, status::DONE));
            }
            if let Some(Notification { processor, vector }) = quoting.notification {
                apic::send(processor, u32::from(vector));
            }
            return;
        }
    }
}

fn has_data() -> bool {
    ports::read(LINE_STATUS, 1) & HAS_DATA != 0
}

/// Writes the outcome; the status last, for the guest may be watching it.
fn finish(request: Request, status: u64, quote: &[u8]) {
    let fits = HEADER_LEN + quote.len() as u64 <= request.len;
    let (status, quote) = if fits { (status, quote) } else { (status::ERROR, [].as_slice()) };
    memory::write(request.gpa + HEADER_LEN, quote);
    memory::write(request.gpa + 20, &(quote.len() as u32).to_le_bytes());
    memory::write_u64(request.gpa + 8, status);
}
