//! Generic netlink: families that are found by name. There is one: the controller, which finds them.

use super::dump::list;
use super::request::{Answer, Request};
use crate::error::{Errno, Error, Result};
use alloc::vec::Vec;
use coffer_abi_types::netlink::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_HDRSIZE, CTRL_ATTR_MAXATTR, CTRL_ATTR_VERSION,
    CTRL_CMD_GETFAMILY, CTRL_CMD_NEWFAMILY, GENL_ID_CTRL, genlmsghdr,
};
use coffer_netlink::Body;

const NAME: &str = "nlctrl";
/// The longest name of a family, without NUL.
const NAME_MAX: usize = 15;

/// Serves a request.
///
/// # Errors
/// ENOENT for a family that there is not.
pub fn serve(request: &Request<'_>) -> Result<Answer> {
    if request.message.head.nlmsg_type != GENL_ID_CTRL {
        return Err(Errno::ENOENT.into());
    }
    let (head, attributes) = request.message.split::<genlmsghdr>()?;
    if head.cmd != CTRL_CMD_GETFAMILY {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if request.wants_list() {
        return request.list(list(GENL_ID_CTRL, Vec::from([()]), |(), body| write(body)));
    }
    let is_it = match (attributes.find(CTRL_ATTR_FAMILY_ID), attributes.find(CTRL_ATTR_FAMILY_NAME)) {
        (Some(number), _) => number.u16()? == GENL_ID_CTRL,
        (None, Some(name)) => name.text(NAME_MAX)? == NAME,
        (None, None) => return Err(Error::with(Errno::EINVAL, "the family has neither number nor name")),
    };
    if !is_it {
        return Err(Errno::ENOENT.into());
    }
    request.reply(GENL_ID_CTRL, write)
}

fn write(body: &mut Body<'_>) {
    body.push(&genlmsghdr { cmd: CTRL_CMD_NEWFAMILY, version: 2, reserved: 0 });
    body.text(CTRL_ATTR_FAMILY_NAME, NAME);
    body.attribute(CTRL_ATTR_FAMILY_ID, &GENL_ID_CTRL);
    body.attribute(CTRL_ATTR_VERSION, &2_u32);
    body.attribute(CTRL_ATTR_HDRSIZE, &0_u32);
    body.attribute(CTRL_ATTR_MAXATTR, &10_u32);
}
