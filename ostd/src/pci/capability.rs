//! The capability list (PCI Local Bus Specification 3.0, 6.7).

use alloc::vec::Vec;

use super::config::{CAPABILITIES, Config, STATUS, STATUS_CAPABILITIES};

/// MSI-X.
pub(super) const MSIX: u8 = 0x11;

/// As many as fit between the header and the end of the first 256 bytes.
const MOST: usize = (0x100 - 0x40) / 4;

/// Ids and offsets, in the list's order. A list that loops or leaves its area ends there.
pub(super) fn list(config: &impl Config) -> Vec<(u8, u16)> {
    let mut found = Vec::new();
    if !config.read_u16(STATUS).has(STATUS_CAPABILITIES) {
        return found;
    }
    let mut offset = u16::from(config.read_u8(CAPABILITIES).claim()) & !3;
    while offset >= 0x40 && found.len() < MOST {
        let [id, next] = config.read_u16(offset).claim().to_le_bytes();
        found.push((id, offset));
        offset = u16::from(next) & !3;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::{MOST, list};
    use crate::pci::config::tests::Fake;

    #[test]
    fn a_list_is_followed_in_order() {
        let mut config = Fake::new();
        config.set(4, 0x0010_0000, 0);
        config.set(0x34, 0x43, 0);
        config.set(0x40, 0x7011, 0);
        config.set(0x70, 0x0009, 0);
        assert_eq!(list(&config), vec![(0x11, 0x40), (0x09, 0x70)]);
    }

    #[test]
    fn no_list_without_the_status_bit() {
        let mut config = Fake::new();
        config.set(0x34, 0x40, 0);
        assert!(list(&config).is_empty());
    }

    #[test]
    fn a_looping_list_ends() {
        let mut config = Fake::new();
        config.set(4, 0x0010_0000, 0);
        config.set(0x34, 0x40, 0);
        config.set(0x40, 0x4005, 0);
        assert_eq!(list(&config).len(), MOST);
    }
}
