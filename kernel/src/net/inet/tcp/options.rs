//! Options at IPPROTO_TCP (tcp(7)).

use super::endpoint::{Endpoint, Phase};
use crate::error::{Errno, Result};
use crate::net::options::{OptionValue, int};
use crate::net::report::State;
use alloc::vec::Vec;
use coffer_abi_types::inet::{
    IP_MTU, IPPROTO_IP, IPPROTO_TCP, TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT, TCP_FASTOPEN,
    TCP_FASTOPEN_CONNECT, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_LINGER2, TCP_MAXSEG,
    TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_SYNCNT, TCP_USER_TIMEOUT, TCP_WINDOW_CLAMP, tcp_info,
};
use zerocopy::IntoBytes;

/// The congestion control that there is.
const CONGESTION: &str = "reno";
/// The longest name of one, with its end.
const CONGESTION_NAME_MAX: usize = 16;
/// The segment size of a connection that has no better one (RFC 9293, 3.7.1).
const DEFAULT_SEGMENT: i32 = 536;

/// The values.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// TCP_NODELAY.
    pub no_delay: bool,
    /// TCP_CORK.
    pub is_corked: bool,
    /// TCP_QUICKACK.
    pub quick_ack: bool,
    /// TCP_MAXSEG, or 0.
    pub max_segment: u16,
    /// TCP_KEEPIDLE in seconds.
    pub keep_idle: u32,
    /// TCP_KEEPINTVL in seconds.
    pub keep_interval: u32,
    /// TCP_KEEPCNT.
    pub keep_count: u32,
    /// TCP_SYNCNT.
    pub syn_count: u32,
    /// TCP_LINGER2 in seconds.
    pub linger2: i32,
    /// TCP_DEFER_ACCEPT in seconds.
    pub defer_accept: u32,
    /// TCP_WINDOW_CLAMP.
    pub window_clamp: u32,
    /// TCP_USER_TIMEOUT in milliseconds, 0 for none.
    pub user_timeout_ms: u32,
    /// TCP_NOTSENT_LOWAT.
    pub not_sent_low: u32,
    /// TCP_FASTOPEN: kept only.
    pub fast_open: u32,
}

impl TcpOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            no_delay: false,
            is_corked: false,
            quick_ack: true,
            max_segment: 0,
            keep_idle: 7200,
            keep_interval: 75,
            keep_count: 9,
            syn_count: 6,
            linger2: 60,
            defer_accept: 0,
            window_clamp: 0,
            user_timeout_ms: 0,
            not_sent_low: 0,
            fast_open: 0,
        }
    }
}

/// getsockopt(2).
pub fn get(endpoint: &Endpoint, level: u32, name: u32) -> Result<OptionValue> {
    if level == IPPROTO_IP && name == IP_MTU {
        return mtu(endpoint);
    }
    if level != IPPROTO_TCP {
        return endpoint.ip.lock().get(level, name, &endpoint.ns);
    }
    let tcp = endpoint.tcp.lock();
    Ok(OptionValue::Int(match name {
        TCP_NODELAY => i32::from(tcp.no_delay),
        TCP_CORK => i32::from(tcp.is_corked),
        TCP_QUICKACK => i32::from(tcp.quick_ack),
        TCP_MAXSEG if tcp.max_segment != 0 => i32::from(tcp.max_segment),
        TCP_MAXSEG => {
            drop(tcp);
            return Ok(OptionValue::Int(segment_size(endpoint)));
        }
        TCP_KEEPIDLE => tcp.keep_idle.cast_signed(),
        TCP_KEEPINTVL => tcp.keep_interval.cast_signed(),
        TCP_KEEPCNT => tcp.keep_count.cast_signed(),
        TCP_SYNCNT => tcp.syn_count.cast_signed(),
        TCP_LINGER2 => tcp.linger2,
        TCP_DEFER_ACCEPT => tcp.defer_accept.cast_signed(),
        TCP_WINDOW_CLAMP => tcp.window_clamp.cast_signed(),
        TCP_USER_TIMEOUT => tcp.user_timeout_ms.cast_signed(),
        TCP_NOTSENT_LOWAT => tcp.not_sent_low.cast_signed(),
        TCP_FASTOPEN => tcp.fast_open.cast_signed(),
        TCP_FASTOPEN_CONNECT => 0,
        TCP_CONGESTION => {
            let mut bytes = Vec::from(CONGESTION);
            bytes.resize(CONGESTION_NAME_MAX, 0);
            return Ok(OptionValue::Bytes(bytes));
        }
        TCP_INFO => {
            drop(tcp);
            return Ok(OptionValue::Bytes(Vec::from(info(endpoint).as_bytes())));
        }
        _ => return Err(Errno::ENOPROTOOPT.into()),
    }))
}

/// setsockopt(2).
pub fn set(endpoint: &Endpoint, level: u32, name: u32, value: &[u8]) -> Result<()> {
    if level != IPPROTO_TCP {
        return endpoint.ip.lock().set(level, name, value, &endpoint.ns);
    }
    if name == TCP_CONGESTION {
        return set_congestion(value);
    }
    let value = int(value)?;
    let within = |range: core::ops::RangeInclusive<i32>| {
        if range.contains(&value) { Ok(value.cast_unsigned()) } else { Err(Errno::EINVAL) }
    };
    let mut tcp = endpoint.tcp.lock();
    match name {
        TCP_NODELAY => tcp.no_delay = value != 0,
        TCP_CORK => tcp.is_corked = value != 0,
        TCP_QUICKACK => tcp.quick_ack = value != 0,
        TCP_MAXSEG if value == 0 => tcp.max_segment = 0,
        TCP_MAXSEG => tcp.max_segment = within(88..=32767)? as u16,
        TCP_KEEPIDLE => tcp.keep_idle = within(1..=32767)?,
        TCP_KEEPINTVL => tcp.keep_interval = within(1..=32767)?,
        TCP_KEEPCNT => tcp.keep_count = within(1..=127)?,
        TCP_SYNCNT => tcp.syn_count = within(1..=127)?,
        TCP_LINGER2 => tcp.linger2 = if value < 0 { -1 } else { value.min(120) },
        TCP_DEFER_ACCEPT => tcp.defer_accept = value.max(0).cast_unsigned(),
        TCP_WINDOW_CLAMP => tcp.window_clamp = within(0..=i32::MAX)?,
        TCP_USER_TIMEOUT => tcp.user_timeout_ms = within(0..=i32::MAX)?,
        TCP_NOTSENT_LOWAT => tcp.not_sent_low = value.cast_unsigned(),
        TCP_FASTOPEN => {
            let may = matches!(endpoint.phase(), Phase::Closed | Phase::Listening);
            tcp.fast_open = if may { within(0..=i32::MAX)? } else { return Err(Errno::EINVAL.into()) };
        }
        // COMPAT: connections are made the long way round, which nobody can tell but by the clock.
        TCP_FASTOPEN_CONNECT => drop(within(0..=1)?),
        _ => return Err(Errno::ENOPROTOOPT.into()),
    }
    drop(tcp);
    endpoint.options_changed();
    Ok(())
}

fn set_congestion(value: &[u8]) -> Result<()> {
    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
    match name {
        [] => Err(Errno::EINVAL.into()),
        // Whoever asks for the usual one gets what there is.
        b"reno" | b"cubic" => Ok(()),
        _ => Err(Errno::ENOENT.into()),
    }
}

fn mtu(endpoint: &Endpoint) -> Result<OptionValue> {
    if endpoint.phase() != Phase::Connected {
        return Err(Errno::ENOTCONN.into());
    }
    Ok(OptionValue::Int(endpoint.mtu().cast_signed()))
}

fn segment_size(endpoint: &Endpoint) -> i32 {
    let headers = 20 + 20 + 12;
    match endpoint.phase() {
        Phase::Connected => endpoint.mtu().cast_signed() - headers,
        _ => DEFAULT_SEGMENT,
    }
}

/// What is known of the connection; of what there is no such thing, 0.
fn info(endpoint: &Endpoint) -> tcp_info {
    let report = endpoint.report();
    let is_connected = report.state != State::Close && report.state != State::Listen;
    let segment = segment_size(endpoint).cast_unsigned();
    let mut info = tcp_info { tcpi_state: report.state as u8, ..tcp_info::default() };
    if report.state == State::Listen {
        info.tcpi_unacked = report.receive_queue;
        info.tcpi_sacked = report.send_queue;
    }
    if is_connected {
        info.tcpi_snd_mss = segment;
        info.tcpi_rcv_mss = segment;
        info.tcpi_advmss = segment;
        info.tcpi_pmtu = endpoint.mtu();
        info.tcpi_rto = 200_000;
        info.tcpi_snd_cwnd = 10;
        info.tcpi_snd_ssthresh = i32::MAX.cast_unsigned();
        info.tcpi_rcv_space = endpoint.options.receive_buffer() as u32;
        info.tcpi_pacing_rate = u64::MAX;
        info.tcpi_max_pacing_rate = u64::MAX;
        endpoint.fill_info(&mut info);
    }
    info
}
