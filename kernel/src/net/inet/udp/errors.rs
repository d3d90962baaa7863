//! What went wrong with datagrams that were sent: the queue behind MSG_ERRQUEUE (ip(7), IP_RECVERR).

use crate::error::Errno;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// The most reports that are kept.
const REPORTS_MAX: usize = 64;

/// One report.
#[derive(Clone, Debug)]
pub struct ErrorReport {
    pub errno: Errno,
    /// SO_EE_ORIGIN_*.
    pub origin: u8,
    /// ICMP type and code.
    pub kind: u8,
    pub code: u8,
    /// The MTU, of EMSGSIZE.
    pub info: u32,
    /// Who says so.
    pub offender: Ipv4Addr,
    /// Where the datagram was sent.
    pub to: SocketAddrV4,
    /// What is known of its payload.
    pub bytes: Vec<u8>,
}

/// Reports, oldest first.
#[derive(Debug)]
pub struct Errors {
    reports: SpinLock<VecDeque<ErrorReport>>,
    len: AtomicUsize,
}

impl Errors {
    /// None.
    pub const fn new() -> Self {
        Self { reports: SpinLock::new(VecDeque::new()), len: AtomicUsize::new(0) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// Adds one; too many are lost.
    pub fn push(&self, report: ErrorReport) {
        let mut reports = self.reports.lock();
        if reports.len() < REPORTS_MAX {
            reports.push_back(report);
            self.len.store(reports.len(), Ordering::SeqCst);
        }
    }

    /// Takes the oldest.
    pub fn pop(&self) -> Option<ErrorReport> {
        let mut reports = self.reports.lock();
        let report = reports.pop_front();
        self.len.store(reports.len(), Ordering::SeqCst);
        report
    }
}
