//! snmp, netstat, sockstat. What is not counted here reads as zero (CAVEATS.md).

use crate::error::Result;
use crate::fs::synthetic::Text;
use crate::net::inet;
use crate::net::ns::NetNs;
use crate::net::report::State;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// /proc/net/snmp (RFC 1213's groups).
pub fn show_snmp(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    let forwarding = if namespace.settings.ip_forward.load(Ordering::Relaxed) { 1 } else { 2 };
    let is_open = |state| matches!(state, State::Established | State::CloseWait);
    let open = inet::tcp::report(namespace).iter().filter(|report| is_open(report.state)).count();
    text.add(format_args!(
        "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers \
         OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates\n\
         Ip: {forwarding} 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    ));
    text.add(format_args!(
        "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs \
         RetransSegs InErrs OutRsts InCsumErrors\n\
         Tcp: 1 200 120000 -1 0 0 0 0 {open} 0 0 0 0 0 0\n"
    ));
    text.bytes(
        b"Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n\
          Udp: 0 0 0 0 0 0 0 0 0\n",
    );
    Ok(())
}

/// /proc/net/netstat: Linux's own counters, the few that everybody looks at.
pub fn show_netstat(_: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    text.bytes(
        b"TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed ListenOverflows ListenDrops TCPTimeouts\n\
          TcpExt: 0 0 0 0 0 0\n\
          IpExt: InNoRoutes InTruncatedPkts InOctets OutOctets\n\
          IpExt: 0 0 0 0\n",
    );
    Ok(())
}

/// /proc/net/sockstat.
pub fn show_sockstat(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    let (tcp, udp) = (inet::tcp::report(namespace), inet::udp::report(namespace));
    let waiting = tcp.iter().filter(|report| report.state == State::TimeWait).count();
    let in_use = tcp.len() - waiting;
    text.add(format_args!(
        "sockets: used {}\nTCP: inuse {in_use} orphan 0 tw {waiting} alloc {in_use} mem 0\nUDP: inuse {} mem 0\n\
         UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
        in_use + udp.len(),
        udp.len()
    ));
    Ok(())
}
