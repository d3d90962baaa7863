//! Addresses for containers.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::Error;

/// An address in `subnet` that is not in `used` (which has the gateway's): the one that is `wanted`, or the lowest in `range`
/// where that is given and in the subnet otherwise.
///
/// # Errors
/// If the wanted one is taken, outside or not a host's, or none is left.
pub fn assign(
    subnet: Ipv4Net,
    range: Option<Ipv4Net>,
    used: &[Ipv4Addr],
    wanted: Option<Ipv4Addr>,
) -> Result<Ipv4Addr, Error> {
    let is_host = |address: &Ipv4Addr| {
        subnet.contains(address)
            && (subnet.prefix_len() >= 31 || (*address != subnet.network() && *address != subnet.broadcast()))
    };
    if let Some(wanted) = wanted {
        return match (is_host(&wanted), used.contains(&wanted)) {
            (false, _) => Err(Error::OutOfRange(wanted, subnet)),
            (true, true) => Err(Error::AddressInUse(wanted)),
            (true, false) => Ok(wanted),
        };
    }
    let range = range.unwrap_or(subnet);
    let (first, last) = (u32::from(range.network()), u32::from(range.broadcast()));
    (first..=last)
        .map(Ipv4Addr::from)
        .find(|address| is_host(address) && !used.contains(address))
        .ok_or(Error::NoAddress(subnet))
}

/// The gateway of a subnet that names none: its first host address.
///
/// # Errors
/// If the subnet has no host address.
pub fn gateway(subnet: Ipv4Net) -> Result<Ipv4Addr, Error> {
    assign(subnet, None, &[], None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_address_is_taken() {
        let subnet = "10.1.0.0/29".parse().unwrap();
        let mut used = vec![gateway(subnet).unwrap()];
        assert_eq!(used, [Ipv4Addr::new(10, 1, 0, 1)]);
        while let Ok(address) = assign(subnet, None, &used, None) {
            used.push(address);
        }
        assert_eq!(used.last(), Some(&Ipv4Addr::new(10, 1, 0, 6)));
        used.remove(2);
        assert_eq!(assign(subnet, None, &used, None).unwrap(), Ipv4Addr::new(10, 1, 0, 3));
        let range = "10.1.0.4/30".parse().unwrap();
        assert!(matches!(assign(subnet, Some(range), &used, None), Err(Error::NoAddress(_))));
    }

    #[test]
    fn a_wanted_address_must_be_free_and_a_hosts() {
        let subnet = "10.1.0.0/24".parse().unwrap();
        let wanted =
            |last| assign(subnet, None, &[Ipv4Addr::new(10, 1, 0, 1)], Some(Ipv4Addr::new(10, 1, 0, last)));
        assert_eq!(wanted(9).unwrap(), Ipv4Addr::new(10, 1, 0, 9));
        assert!(matches!(wanted(1), Err(Error::AddressInUse(_))));
        assert!(matches!(wanted(0), Err(Error::OutOfRange(..))));
        assert!(matches!(wanted(255), Err(Error::OutOfRange(..))));
        let outside = assign(subnet, None, &[], Some(Ipv4Addr::new(10, 2, 0, 1)));
        assert!(matches!(outside, Err(Error::OutOfRange(..))));
    }
}
