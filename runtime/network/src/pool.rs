//! Subnets for networks that ask for none: docker's default address pools
//! (<https://docs.docker.com/engine/network/#subnet-allocation>).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::Error;

/// Each pool, and the prefix length of the subnets that are cut from it.
const POOLS: [(Ipv4Addr, u8, u8); 7] = [
    (Ipv4Addr::new(172, 17, 0, 0), 16, 16),
    (Ipv4Addr::new(172, 18, 0, 0), 16, 16),
    (Ipv4Addr::new(172, 19, 0, 0), 16, 16),
    (Ipv4Addr::new(172, 20, 0, 0), 14, 16),
    (Ipv4Addr::new(172, 24, 0, 0), 14, 16),
    (Ipv4Addr::new(172, 28, 0, 0), 14, 16),
    (Ipv4Addr::new(192, 168, 0, 0), 16, 20),
];

/// The first subnet that overlaps with none of `used`: other networks' subnets and what the machine has routes to.
///
/// # Errors
/// If all pools are used up.
pub fn next(used: &[Ipv4Net]) -> Result<Ipv4Net, Error> {
    POOLS
        .iter()
        .filter_map(|&(start, pool_len, subnet_len)| {
            Ipv4Net::new(start, pool_len).ok()?.subnets(subnet_len).ok()
        })
        .flatten()
        .find(|subnet| !used.iter().any(|other| overlap(subnet, other)))
        .ok_or(Error::NoPool)
}

/// Whether two networks have an address in common.
#[must_use]
pub fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_come_in_dockers_order_and_pass_over_what_is_used() {
        let mut used: Vec<Ipv4Net> = vec!["172.18.5.0/24".parse().unwrap(), "10.0.2.0/24".parse().unwrap()];
        for expected in ["172.17.0.0/16", "172.19.0.0/16", "172.20.0.0/16", "172.21.0.0/16"] {
            let next = next(&used).unwrap();
            assert_eq!(next.to_string(), expected);
            used.push(next);
        }
        used.push("172.16.0.0/12".parse().unwrap());
        assert_eq!(next(&used).unwrap().to_string(), "192.168.0.0/20");
        used.push("192.0.0.0/8".parse().unwrap());
        assert!(matches!(next(&used), Err(Error::NoPool)));
    }
}
