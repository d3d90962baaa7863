//! RTM_GETRULE: the three rules that every namespace begins with (ip-rule(8)); there are no others.

use super::AF_INET;
use crate::error::{Errno, Result};
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use alloc::vec::Vec;
use coffer_abi_types::netlink::{
    FR_ACT_TO_TBL, FRA_PRIORITY, FRA_PROTOCOL, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, RT_TABLE_DEFAULT,
    RT_TABLE_LOCAL, RT_TABLE_MAIN, RTM_NEWRULE, RTPROT_KERNEL, fib_rule_hdr,
};

/// Priorities and tables.
const RULES: [(u32, u8); 3] = [(0, RT_TABLE_LOCAL), (32766, RT_TABLE_MAIN), (32767, RT_TABLE_DEFAULT)];

/// RTM_GETRULE.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    if !request.wants_list() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    request.list(list(RTM_NEWRULE, Vec::from(RULES), |(priority, table), body| {
        body.push(&fib_rule_hdr {
            family: AF_INET,
            table: *table,
            action: FR_ACT_TO_TBL,
            ..fib_rule_hdr::default()
        });
        body.attribute(FRA_TABLE, &u32::from(*table));
        body.attribute(FRA_SUPPRESS_PREFIXLEN, &u32::MAX);
        body.attribute(FRA_PROTOCOL, &RTPROT_KERNEL);
        if *priority != 0 {
            body.attribute(FRA_PRIORITY, priority);
        }
    }))
}
