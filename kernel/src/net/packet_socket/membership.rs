//! PACKET_ADD_MEMBERSHIP: what a link is to let in beside what is for it.
//!
//! Links let in all groups anyway (see [`crate::net::link::ethernet`]); to let in everything is asked of them.

use crate::error::{Errno, Error, Result};
use crate::net::link::Link;
use crate::net::ns::NetNs;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::packet::{
    PACKET_MR_ALLMULTI, PACKET_MR_MULTICAST, PACKET_MR_PROMISC, PACKET_MR_UNICAST, packet_mreq,
};
use ostd::sync::Mutex;
use zerocopy::FromBytes;

/// Of one socket at most.
const MAX: usize = 1024;

/// The memberships of a socket.
#[derive(Debug, Default)]
pub struct Memberships(Mutex<Vec<Membership>>);

#[derive(Debug)]
struct Membership {
    what: packet_mreq,
    link: Weak<Link>,
}

impl Memberships {
    /// Adds one; the same again counts twice.
    ///
    /// # Errors
    /// EINVAL, ENODEV, ENOBUFS.
    pub fn add(&self, ns: &NetNs, value: &[u8]) -> Result<()> {
        let what = read(value)?;
        let link = ns.link(what.mr_ifindex).ok_or(Errno::ENODEV)?;
        let is_valid = match what.mr_type {
            PACKET_MR_MULTICAST | PACKET_MR_UNICAST => what.mr_alen == 6,
            PACKET_MR_PROMISC | PACKET_MR_ALLMULTI => what.mr_alen <= 6,
            _ => true,
        };
        if !is_valid {
            return Err(Error::with(Errno::EINVAL, "not an Ethernet address"));
        }
        let mut all = self.0.lock();
        if all.len() >= MAX || all.try_reserve(1).is_err() {
            return Err(Errno::ENOBUFS.into());
        }
        if what.mr_type == PACKET_MR_PROMISC {
            link.begin_letting_all_in();
        }
        all.push(Membership { what, link: Arc::downgrade(&link) });
        Ok(())
    }

    /// Takes one back, if there is one: Linux says nothing either.
    ///
    /// # Errors
    /// EINVAL.
    pub fn drop(&self, value: &[u8]) -> Result<()> {
        let what = read(value)?;
        let mut all = self.0.lock();
        if let Some(at) = all.iter().position(|one| one.what == what) {
            all.swap_remove(at).end();
        }
        Ok(())
    }

    /// Takes all back.
    pub fn drop_all(&self) {
        self.0.lock().drain(..).for_each(Membership::end);
    }
}

impl Membership {
    fn end(self) {
        if self.what.mr_type == PACKET_MR_PROMISC
            && let Some(link) = self.link.upgrade()
        {
            link.end_letting_all_in();
        }
    }
}

/// The request, without what its length says is no part of its address.
fn read(value: &[u8]) -> Result<packet_mreq> {
    let (mut what, _) = packet_mreq::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
    let len = usize::from(what.mr_alen);
    what.mr_address.get_mut(len..).ok_or(Errno::EINVAL)?.fill(0);
    Ok(what)
}
