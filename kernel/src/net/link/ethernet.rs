//! Hardware: a driver's [`NetDevice`] as a link, and the task that polls it.
//!
//! An interrupt wakes the task; it takes frames in with a budget, so that a flood leaves the CPU to others now and then. What the device
//! has no room for waits in a bounded queue until the device says so.

use super::merge::Merge;
use super::{Device, ETHERNET_MTU, Link, flags, frame, segment};
use crate::error::{Errno, Result};
use crate::net::backlog;
use crate::net::ns::{NetNs, configure};
use crate::net::packet::{Checksum, Packet, Segmentation, checksum_offset};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use coffer_netdev::{ChecksumClaim, Left, NetDevice, Received, SendError};
use core::sync::atomic::{AtomicBool, Ordering};
use ostd::sync::SpinLock;
use ostd::task::Task;
use smoltcp::wire::{EthernetAddress, EthernetProtocol, IpProtocol, Ipv4Packet};

/// Frames that are taken in before others may run.
const BUDGET: usize = 64;
/// Bytes that wait for the device at most.
const WAITING_LIMIT: usize = 4 << 20;
/// Room in front of received frames: it puts the IP header on a multiple of four.
const HEADROOM: usize = 18;

/// A device, and what waits for it.
#[derive(Debug)]
pub struct Hardware {
    device: Arc<dyn NetDevice>,
    waiting: SpinLock<Waiting>,
    had_carrier: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    packets: VecDeque<Packet>,
    bytes: usize,
}

/// Makes a link `eth%d` of a device, in the initial namespace and down, and starts its task.
///
/// # Errors
/// ENOMEM.
pub fn add(device: Arc<dyn NetDevice>) -> Result<()> {
    let (initial, configuration) = (NetNs::initial(), configure());
    let name = initial.free_name("eth%d")?;
    let (mac, mtu) = (EthernetAddress(device.mac()), device.max_mtu().min(ETHERNET_MTU));
    let had_carrier = AtomicBool::new(device.has_carrier());
    let hardware = Hardware { device, waiting: SpinLock::default(), had_carrier };
    let flags = flags::IFF_BROADCAST | flags::IFF_MULTICAST;
    let link = Link::new(Device::Ethernet(hardware), name, flags, mtu, mac);
    initial.add_link(&configuration, &link, None)?;
    drop(configuration);
    log::info!("{}: {mac}, MTU up to {}", link.name(), link.mtu_limits().1);
    Task::new(move || serve(&link), Arc::new(()), crate::sched::start_values(false))?.start();
    Ok(())
}

/// The task.
fn serve(link: &Arc<Link>) {
    let Device::Ethernet(hardware) = &link.device else { return };
    loop {
        let is_over = hardware.device.wait().is_err();
        hardware.note_carrier(link);
        if is_over {
            return;
        }
        hardware.send_waiting(link);
        while backlog::run(|| hardware.take_in(link)) == BUDGET {
            ostd::task::yield_now();
        }
    }
}

impl Hardware {
    pub(super) fn has_carrier(&self) -> bool {
        self.device.has_carrier()
    }

    pub(super) fn max_mtu(&self) -> u32 {
        self.device.max_mtu()
    }

    pub(super) fn set_mac(&self, mac: EthernetAddress) -> Result<()> {
        self.device.set_mac(mac.0).map_err(|_| Errno::EOPNOTSUPP.into())
    }

    /// Lets everything in, or what is for this machine and for groups. Which groups is not the device's to know: there are few frames for
    /// them, and a list that it has to be told would be one more thing to keep right.
    pub(super) fn set_filter(&self, promiscuous: bool) {
        if self.device.set_filter(promiscuous, true).is_err() {
            log::debug!("the device has no filters to set");
        }
    }

    fn note_carrier(&self, link: &Arc<Link>) {
        let has_carrier = self.device.has_carrier();
        if self.had_carrier.swap(has_carrier, Ordering::Relaxed) == has_carrier {
            return;
        }
        log::info!("{}: carrier {}", link.name(), if has_carrier { "found" } else { "lost" });
        let configuration = configure();
        if let Some(namespace) = link.namespace() {
            namespace.note_link_change(&configuration, link);
        }
    }

    /// Takes in at most [`BUDGET`] frames; returns how many.
    fn take_in(&self, link: &Arc<Link>) -> usize {
        let mut merge = Merge::default();
        let mut receive = |packet| link.receive(packet);
        let mut count = 0;
        while count < BUDGET
            && let Some(received) = self.device.receive(HEADROOM)
        {
            count += 1;
            match packet_from(received) {
                Some(packet) => merge.take(packet, &mut receive),
                None => link.counters.receive_error(),
            }
        }
        merge.flush(&mut receive);
        count
    }

    pub(super) fn send(&self, link: &Arc<Link>, packet: Packet) {
        match packet.segmentation {
            Some(Segmentation { size }) if !self.device.offloads().segmentation => {
                segment::split(&packet, size, &mut |segment| self.put(link, segment));
            }
            _ => self.put(link, packet),
        }
        self.device.flush();
    }

    /// Hands a frame to the device, after those that wait.
    fn put(&self, link: &Link, mut packet: Packet) {
        if !self.device.offloads().checksum && packet.checksum != Checksum::InPacket {
            let _ = packet.pull(frame::HEADER_LEN);
            packet.complete_checksum();
            // It was pulled off a moment ago, so there is room for it.
            let _ = packet.push(frame::HEADER_LEN);
        }
        let mut waiting = self.waiting.lock();
        let result =
            if waiting.packets.is_empty() { self.hand_over(link, &packet) } else { Err(SendError::Full) };
        match result {
            Ok(()) => {}
            Err(SendError::Full) => {
                let bytes = waiting.bytes + packet.footprint();
                if bytes > WAITING_LIMIT || waiting.packets.try_reserve(1).is_err() {
                    link.counters.drop_sent();
                    return;
                }
                waiting.bytes = bytes;
                waiting.packets.push_back(packet);
            }
            Err(SendError::TooLong | SendError::Broken) => link.counters.drop_sent(),
        }
    }

    /// Hands over what waits, as far as there is room.
    fn send_waiting(&self, link: &Link) {
        let mut waiting = self.waiting.lock();
        while let Some(packet) = waiting.packets.front() {
            if self.hand_over(link, packet) == Err(SendError::Full) {
                break;
            }
            let footprint = packet.footprint();
            waiting.bytes = waiting.bytes.saturating_sub(footprint);
            waiting.packets.pop_front();
        }
        drop(waiting);
        self.device.flush();
    }

    fn hand_over(&self, link: &Link, packet: &Packet) -> core::result::Result<(), SendError> {
        let header_len = frame::HEADER_LEN as u16;
        let checksum = match packet.checksum {
            Checksum::Partial { start, field } => Some((start + header_len, field - start)),
            _ => None,
        };
        let segmentation = packet.segmentation.and_then(|segmentation| {
            Some((segmentation.size, u16::try_from(segment::headers_len(packet)?).ok()?))
        });
        self.device.send(packet.bytes(), Left { checksum, segmentation })?;
        link.counters.send(packet.len());
        Ok(())
    }
}

/// A packet of what a device gave; `None` if what it says of it makes no sense.
fn packet_from(received: Received) -> Option<Packet> {
    let mut packet = Packet::from_bytes(received.bytes, HEADROOM)?;
    let header = frame::header(&packet)?;
    let bytes = packet.bytes().get(frame::HEADER_LEN..)?;
    // The transport's protocol and where it starts; `None`: not IPv4.
    let transport = Some(header.protocol)
        .filter(|protocol| *protocol == EthernetProtocol::Ipv4)
        .and_then(|_| Ipv4Packet::new_checked(bytes).ok())
        .map(|ip| (ip.next_header(), u16::from(ip.header_len())));
    packet.checksum = match (received.checksum, transport) {
        (ChecksumClaim::Verified, _) => Checksum::Verified,
        // Only where a sender of such a packet would have left it; else it counts as there, and wrong.
        (ChecksumClaim::Partial(at, offset), Some((protocol, start)))
            if usize::from(at) == frame::HEADER_LEN + usize::from(start)
                && checksum_offset(protocol) == Some(offset.into()) =>
        {
            Checksum::Partial { start, field: start + offset }
        }
        _ => Checksum::InPacket,
    };
    if let Some(size) = received.segment_size {
        if transport.is_none_or(|(protocol, _)| protocol != IpProtocol::Tcp) {
            return None;
        }
        packet.segmentation = Some(Segmentation { size });
    }
    Some(packet)
}
