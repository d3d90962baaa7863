//! As much of DER as the platform's extension needs. rcgen takes an extension's contents as bytes.

pub const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;

/// A value of one tag.
pub fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    match significant.as_slice() {
        [] => encoded.push(0),
        [short] if *short < 0x80 => encoded.push(*short),
        long => {
            encoded.push(0x80 | u8::try_from(long.len()).expect("a length has at most 8 bytes"));
            encoded.extend_from_slice(long);
        }
    }
    encoded.extend_from_slice(content);
    encoded
}

pub fn integer(value: u16) -> Vec<u8> {
    let mut bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_none_or(|first| *first >= 0x80) {
        bytes.insert(0, 0);
    }
    tagged(INTEGER, &bytes)
}

pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tagged(OCTETS, bytes)
}

pub fn enumerated(value: u8) -> Vec<u8> {
    tagged(ENUMERATED, &[value])
}

/// A pair of an identifier below 1.2.840.113741.1.13.1 and a value.
pub fn attribute(arcs: &[u8], value: &[u8]) -> Vec<u8> {
    let mut id = vec![0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
    id.extend_from_slice(arcs);
    tagged(SEQUENCE, &[tagged(0x06, &id), value.to_vec()].concat())
}
