//! Attributes: values with a type and a length, which may hold others.

use crate::{ALIGNMENT, Refusal, Result};
use coffer_abi_types::netlink::{NLA_F_NESTED, NLA_F_NET_BYTEORDER, nlattr};
use core::ffi::CStr;
use zerocopy::FromBytes;

const HEAD: usize = size_of::<nlattr>();

/// Attributes in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a>(&'a [u8]);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type, without flags.
    pub kind: u16,
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Those in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The last of type `kind`: a later one replaces an earlier one.
    pub fn find(self, kind: u16) -> Option<Attribute<'a>> {
        self.filter(|attribute| attribute.kind == kind).last()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    /// The next; one whose length is impossible ends them.
    fn next(&mut self) -> Option<Attribute<'a>> {
        let (head, _) = nlattr::read_from_prefix(self.0).ok()?;
        let len = usize::from(head.nla_len);
        let Some(value) = self.0.get(HEAD..len) else {
            self.0 = &[];
            return None;
        };
        self.0 = self.0.get(len.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some(Attribute { kind: head.nla_type & !(NLA_F_NESTED | NLA_F_NET_BYTEORDER), value })
    }
}

impl<'a> Attribute<'a> {
    fn chunk<const LEN: usize>(self) -> Result<[u8; LEN]> {
        self.value.first_chunk().copied().ok_or(Refusal::Range("an attribute is too short"))
    }

    /// A byte.
    ///
    /// # Errors
    /// Range if it is shorter.
    pub fn u8(self) -> Result<u8> {
        self.chunk().map(u8::from_ne_bytes)
    }

    /// A number of 16 bits.
    ///
    /// # Errors
    /// Range if it is shorter.
    pub fn u16(self) -> Result<u16> {
        self.chunk().map(u16::from_ne_bytes)
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// Range if it is shorter.
    pub fn u32(self) -> Result<u32> {
        self.chunk().map(u32::from_ne_bytes)
    }

    /// An IPv4 address.
    ///
    /// # Errors
    /// Range if it is no four bytes.
    pub fn ipv4(self) -> Result<core::net::Ipv4Addr> {
        if self.value.len() != 4 {
            return Err(Refusal::Range("an IPv4 address has four bytes"));
        }
        self.chunk::<4>().map(core::net::Ipv4Addr::from)
    }

    /// A hardware address of Ethernet.
    ///
    /// # Errors
    /// Range if it is no six bytes.
    pub fn mac(self) -> Result<[u8; 6]> {
        if self.value.len() != 6 {
            return Err(Refusal::Range("a hardware address has six bytes"));
        }
        self.chunk()
    }

    /// Text, up to its NUL or its end.
    ///
    /// # Errors
    /// Range if it is longer than `max` bytes, Invalid if it is no UTF-8.
    pub fn text(self, max: usize) -> Result<&'a str> {
        let bytes = CStr::from_bytes_until_nul(self.value).map_or(self.value, CStr::to_bytes);
        if bytes.len() > max {
            return Err(Refusal::Range("a name is too long"));
        }
        core::str::from_utf8(bytes).map_err(|_| Refusal::Invalid("a name is no UTF-8"))
    }

    /// The attributes in it.
    pub fn nested(self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}
