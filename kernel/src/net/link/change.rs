//! Moving links between namespaces, and their end.

use super::{Device, Link, bridge};
use crate::error::{Errno, Error, Result};
use crate::net::ns::{Configuration, NetNs, configure};
use alloc::string::String;
use alloc::sync::{Arc, Weak};

impl Link {
    /// Takes a link away for good, as RTM_DELLINK does: with the other end of a veth pair; a bridge lets go of its ports.
    ///
    /// # Errors
    /// EOPNOTSUPP for links that are always there.
    pub fn delete(self: &Arc<Self>, configuration: &Configuration) -> Result<()> {
        match &self.device {
            Device::Loopback | Device::Ethernet(_) => Err(Errno::EOPNOTSUPP.into()),
            Device::Veth(_) => {
                let peer = self.peer();
                self.leave(configuration);
                if let Some(peer) = peer {
                    peer.leave(configuration);
                }
                Ok(())
            }
            Device::Bridge(_) => {
                self.release_ports(configuration);
                self.leave(configuration);
                Ok(())
            }
            Device::Dummy => {
                self.leave(configuration);
                Ok(())
            }
        }
    }

    /// Moves a link to another namespace, down and without addresses; `name`: what it is called there. Its index stays if it is free.
    ///
    /// # Errors
    /// EINVAL for links that cannot be moved; EEXIST for a name that is taken there.
    pub fn move_to(
        self: &Arc<Self>,
        configuration: &Configuration,
        target: &Arc<NetNs>,
        name: Option<&str>,
    ) -> Result<()> {
        if !matches!(self.device, Device::Ethernet(_) | Device::Veth(_) | Device::Dummy) {
            return Err(Error::with(Errno::EINVAL, "such a link stays in its namespace"));
        }
        if self.namespace().is_some_and(|namespace| Arc::ptr_eq(&namespace, target)) {
            return Ok(());
        }
        let name = target.free_name(name.unwrap_or(&self.name()))?;
        let index = Some(self.index()).filter(|index| target.link(*index).is_none());
        self.leave(configuration);
        self.set_name(name);
        target.add_link(configuration, self, index)
    }

    /// Its namespace is gone: a veth end takes the other one with it, hardware goes back to the initial namespace.
    pub(in crate::net) fn outlive_namespace(self: &Arc<Self>) {
        let configuration = configure();
        self.change_flags(0, super::flags::IFF_UP);
        self.neighbours.forget_all();
        match &self.device {
            Device::Loopback | Device::Dummy => {}
            Device::Ethernet(_) => {
                let initial = NetNs::initial();
                let index = Some(self.index()).filter(|index| initial.link(*index).is_none());
                let name = initial.free_name(&self.name()).or_else(|_| initial.free_name("dev%d"));
                self.set_name(name.unwrap_or_else(|_| String::from("lost")));
                if initial.add_link(&configuration, self, index).is_err() {
                    log::warn!("{} has no place in the initial network namespace", self.name());
                }
            }
            Device::Veth(_) => {
                if let Some(peer) = self.peer() {
                    peer.leave(&configuration);
                }
            }
            Device::Bridge(_) => self.release_ports(&configuration),
        }
    }

    /// Leaves its bridge and its namespace.
    fn leave(self: &Arc<Self>, configuration: &Configuration) {
        // Leaving a bridge cannot fail.
        let _ = bridge::set_master(configuration, self, None);
        if let Some(namespace) = self.namespace() {
            namespace.remove_link(configuration, self);
        }
    }

    fn release_ports(self: &Arc<Self>, configuration: &Configuration) {
        let Device::Bridge(bridge) = &self.device else { return };
        for port in bridge.take_ports() {
            port.set_master(Weak::new());
            if let Some(namespace) = port.namespace() {
                namespace.note_link_change(configuration, &port);
            }
        }
    }
}
