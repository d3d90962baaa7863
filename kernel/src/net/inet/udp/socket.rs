//! The socket itself.

use super::endpoint::Endpoint;
use super::{receive, send};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::inet::{address, bind};
use crate::net::ip::RouteKind;
use crate::net::message::{Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::net::ns::NetNs;
use crate::net::options::{OptionValue, int};
use crate::net::{Kind, Options, Shutdown, Socket, ioctl};
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::inet::{AF_INET, IP_MTU, IPPROTO_IP, IPPROTO_UDP, UDP_CORK};
use coffer_abi_types::net::{AF_UNSPEC, SO_BROADCAST, ucred};
use core::net::{Ipv4Addr, SocketAddrV4};

/// A socket.
#[derive(Debug)]
pub struct UdpSocket {
    endpoint: Arc<Endpoint>,
}

impl UdpSocket {
    /// Neither bound nor connected.
    pub fn new(ns: Arc<NetNs>) -> Arc<Self> {
        Arc::new(Self { endpoint: Endpoint::new(ns) })
    }

    fn connect_to(&self, to: SocketAddrV4) -> Result<()> {
        let endpoint = &self.endpoint;
        let _control = endpoint.control.lock();
        let link = endpoint.ip.lock().link;
        let inner = endpoint.inner.lock();
        let source = if inner.has_fixed_address { *inner.local.ip() } else { Ipv4Addr::UNSPECIFIED };
        let has_port = inner.binding.is_some();
        drop(inner);
        let route = bind::route(&endpoint.ns, *to.ip(), source, link)?;
        if route.kind == RouteKind::Broadcast && !endpoint.options.is_on(SO_BROADCAST) {
            return Err(Errno::EACCES.into());
        }
        if !has_port {
            endpoint.take_port(0)?;
        }
        let mut inner = endpoint.inner.lock();
        if inner.local.ip().is_unspecified() || !inner.has_fixed_address {
            inner.local.set_ip(route.source);
        }
        inner.peer = Some(SocketAddrV4::new(route.destination, to.port()));
        let old = inner.route.take();
        drop(inner);
        drop(old);
        Ok(())
    }

    fn disconnect(&self) {
        let endpoint = &self.endpoint;
        let _control = endpoint.control.lock();
        let mut inner = endpoint.inner.lock();
        inner.peer = None;
        if !inner.has_fixed_address {
            inner.local.set_ip(Ipv4Addr::UNSPECIFIED);
        }
        let old = inner.route.take();
        let keeps_port = inner.has_fixed_port || inner.binding.is_none();
        drop(inner);
        drop(old);
        if !keeps_port {
            endpoint.leave_port();
        }
    }
}

impl Socket for UdpSocket {
    fn family(&self) -> u16 {
        AF_INET
    }

    fn kind(&self) -> Kind {
        Kind::Datagram
    }

    fn protocol(&self) -> u32 {
        IPPROTO_UDP
    }

    fn options(&self) -> &Options {
        &self.endpoint.options
    }

    fn bind(&self, address: &[u8], thread: &Thread) -> Result<()> {
        let endpoint = &self.endpoint;
        let address = address::parse_for_bind(address)?;
        let ip = endpoint.ip.lock().clone();
        bind::check(&endpoint.ns, &ip, address, thread.process())?;
        let _control = endpoint.control.lock();
        let mut inner = endpoint.inner.lock();
        if inner.binding.is_some() {
            return Err(Errno::EINVAL.into());
        }
        inner.local.set_ip(*address.ip());
        drop(inner);
        let taken = endpoint.take_port(address.port());
        let mut inner = endpoint.inner.lock();
        if let Err(error) = taken {
            inner.local.set_ip(Ipv4Addr::UNSPECIFIED);
            return Err(match error.errno() {
                Errno::EAGAIN => Errno::EADDRINUSE.into(),
                _ => error,
            });
        }
        inner.has_fixed_address = !address.ip().is_unspecified();
        // One of the kernel's choice is given up again with the peer (connect(2) to AF_UNSPEC), as on Linux.
        inner.has_fixed_port = address.port() != 0;
        Ok(())
    }

    fn listen(&self, _backlog: usize, _thread: &Thread) -> Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn connect(&self, address: &[u8], _is_nonblocking: bool, _thread: &Thread) -> Result<()> {
        if address::family(address)? == AF_UNSPEC {
            self.disconnect();
            return Ok(());
        }
        self.connect_to(address::parse(address)?)
    }

    fn accept(&self, _is_nonblocking: bool) -> Result<Arc<dyn Socket>> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address::to_bytes(self.endpoint.inner.lock().local))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        let peer = self.endpoint.inner.lock().peer.filter(|peer| peer.port() != 0);
        Ok(address::to_bytes(peer.ok_or(Errno::ENOTCONN)?))
    }

    fn peer_credentials(&self) -> Result<ucred> {
        Ok(ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })
    }

    fn send(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        send::send(&self.endpoint, source, &message)
    }

    fn receive(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        receive::receive(&self.endpoint, sink, how)
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        self.endpoint.shut(how);
        // It has its effect without a peer as well, as on Linux: readers wake up.
        if self.endpoint.inner.lock().peer.is_some() { Ok(()) } else { Err(Errno::ENOTCONN.into()) }
    }

    fn is_listening(&self) -> bool {
        false
    }

    fn take_error(&self) -> Option<Errno> {
        self.endpoint.take_error()
    }

    fn option(&self, level: u32, name: u32) -> Result<OptionValue> {
        let endpoint = &self.endpoint;
        match (level, name) {
            (IPPROTO_UDP, UDP_CORK) => Ok(OptionValue::Int(0)),
            (IPPROTO_UDP, _) => Err(Errno::ENOPROTOOPT.into()),
            (IPPROTO_IP, IP_MTU) => {
                let peer = endpoint.inner.lock().peer.ok_or(Errno::ENOTCONN)?;
                let route = bind::route(&endpoint.ns, *peer.ip(), Ipv4Addr::UNSPECIFIED, 0)?;
                Ok(OptionValue::Int(route.mtu.cast_signed()))
            }
            _ => endpoint.ip.lock().get(level, name, &endpoint.ns),
        }
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        let endpoint = &self.endpoint;
        match (level, name) {
            (IPPROTO_UDP, UDP_CORK) if int(value)? == 0 => Ok(()),
            (IPPROTO_UDP, _) => Err(Errno::ENOPROTOOPT.into()),
            _ => endpoint.ip.lock().set(level, name, value, &endpoint.ns),
        }
    }

    fn ioctl(&self, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
        ioctl::link_ioctl(command, argument, context)
    }

    fn unread_bytes(&self) -> usize {
        self.endpoint.next_len()
    }

    fn unsent_bytes(&self) -> usize {
        0
    }

    fn poll(&self) -> IoEvents {
        self.endpoint.events()
    }

    fn pollee(&self) -> &Pollee {
        &self.endpoint.pollee
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        if self.endpoint.inner.lock().binding.is_some() {
            self.endpoint.leave_port();
        }
    }
}
