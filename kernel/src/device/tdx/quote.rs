//! Quotes: reports that the host has signed by its quoting enclave. The host is asked by shared memory ([`coffer_quote_request`]) and answers when it
//! pleases, with an interrupt if it can: so there is a time limit, and nothing that it says is used before it was copied and checked.

use super::errno;
use crate::error::{Errno, Error, Result};
use crate::thread::wait;
use alloc::vec::Vec;
use coffer_quote_request::{Answer, HEADER_LEN, STATUS};
use ostd::irq::IrqLine;
use ostd::mm::dma::DmaCoherent;
use ostd::sync::{Mutex, Once, WaitQueue};
use ostd::tdx::{REPORT_DATA_LEN, REPORT_LEN};

/// Room for a request and its answer. Quotes with their certificates have about 5 KiB.
const BUFFER_LEN: usize = 16 << 10;
/// How long a host may take. Linux gives it 30 seconds.
const TIMEOUT_NS: u64 = 30_000_000_000;
/// How often we look by ourselves, should the host not tell.
const LOOK_NS: u64 = 50_000_000;

/// Told of each interrupt by which the host says that a quote is done.
static DONE: WaitQueue = WaitQueue::new();
/// One request at a time. What timed out stays the host's to write to: here until it has answered.
static SLOT: Mutex<Option<Request>> = Mutex::new(None);

/// Asks for the interrupt. Without one we look now and then.
pub fn init() {
    static LINE: Once<IrqLine> = Once::new();
    let tell = || {
        DONE.wake_all();
    };
    let line = IrqLine::new(tell).map(|line| LINE.call_once(|| line));
    if line.and_then(ostd::tdx::notify_by).is_err() {
        log::warn!("tdx: the host does not tell when quotes are done");
    }
}

/// Memory that the host may write to until it has answered. `None` is for its end only.
#[derive(Debug)]
struct Request(Option<DmaCoherent>);

/// A quote of a report that carries `data`.
///
/// # Errors
/// EBUSY while the host still owes us the answer to a request that timed out, ETIMEDOUT, ERESTARTSYS on a signal, ENODEV if the host has no quoting
/// service at present, EIO if it failed or said what makes no sense, ENOMEM.
pub fn get(data: &[u8; REPORT_DATA_LEN]) -> Result<Vec<u8>> {
    let report = ostd::tdx::report(data).map_err(errno)?;
    let mut slot = SLOT.lock();
    if slot.as_ref().is_some_and(Request::is_in_flight) {
        return Err(Error::with(Errno::EBUSY, "the host has not answered the last request for a quote"));
    }
    *slot = None;
    let request = slot.insert(Request::new(&report)?);
    ostd::tdx::ask_for_quote(request.memory()).map_err(errno)?;
    request.wait()?;
    let answer = request.answer();
    *slot = None;
    answer
}

impl Request {
    fn new(report: &[u8; REPORT_LEN]) -> Result<Self> {
        let memory = DmaCoherent::alloc(BUFFER_LEN).map_err(errno)?;
        memory.write(0, &coffer_quote_request::header(REPORT_LEN as u32));
        memory.write(HEADER_LEN, report);
        Ok(Self(Some(memory)))
    }

    fn memory(&self) -> &DmaCoherent {
        self.0.as_ref().expect("only drop takes it")
    }

    fn is_in_flight(&self) -> bool {
        coffer_quote_request::is_in_flight(self.memory().load_u64(STATUS))
    }

    fn wait(&self) -> Result<()> {
        let deadline_ns = ostd::timer::now_ns() + TIMEOUT_NS;
        loop {
            let now_ns = ostd::timer::now_ns();
            let look_ns = (now_ns + LOOK_NS).min(deadline_ns);
            match wait::wait_until(&DONE, Some(look_ns), || (!self.is_in_flight()).then_some(())) {
                Err(error) if error.errno() == Errno::ETIMEDOUT && now_ns < deadline_ns => {}
                other => return other,
            }
        }
    }

    /// The quote, out of a copy of the header and then one of the quote.
    fn answer(&self) -> Result<Vec<u8>> {
        let mut header = [0; HEADER_LEN];
        self.memory().read(0, &mut header);
        let len = match coffer_quote_request::read(&header, BUFFER_LEN - HEADER_LEN) {
            Answer::Done(len) => len,
            Answer::Unavailable => return Err(Error::with(Errno::ENODEV, "the host has no quoting service")),
            other => {
                log::warn!("tdx: no quote: {other:?}");
                return Err(Error::with(Errno::EIO, "the host gave no quote"));
            }
        };
        let mut quote = Vec::new();
        quote.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        quote.resize(len, 0);
        self.memory().read(HEADER_LEN, &mut quote);
        Ok(quote)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.is_in_flight() {
            // The host may still write to it.
            core::mem::forget(self.0.take());
        }
    }
}
