use super::*;
use alloc::vec;
use alloc::vec::Vec;

const LEN: usize = 0x10_0000;
const RSDP: usize = 0xf_0000;

fn put(memory: &mut [u8], at: usize, bytes: &[u8]) {
    memory[at..at + bytes.len()].copy_from_slice(bytes);
}

fn seal(memory: &mut [u8], at: usize, len: usize, sum_at: usize) {
    memory[at + sum_at] = 0;
    let sum = memory[at..at + len].iter().fold(0_u8, |s, b| s.wrapping_add(*b));
    memory[at + sum_at] = 0_u8.wrapping_sub(sum);
}

fn put_table(memory: &mut [u8], at: usize, signature: &[u8], body: &[u8]) {
    put(memory, at, signature);
    put(memory, at + 4, &((HEADER_LEN + body.len()) as u32).to_le_bytes());
    put(memory, at + HEADER_LEN, body);
    seal(memory, at, HEADER_LEN + body.len(), 9);
}

fn machine(madt_entries: &[u8]) -> Vec<u8> {
    let mut m = vec![0; LEN];
    put(&mut m, RSDP, RSDP_SIGNATURE);
    put(&mut m, RSDP + 16, &0x1000_u32.to_le_bytes());
    seal(&mut m, RSDP, 20, 8);
    let pointers = [0x2000_u32, 0x3000, 0x4000].map(u32::to_le_bytes).concat();
    put_table(&mut m, 0x1000, b"RSDT", &pointers);
    put_table(&mut m, 0x2000, b"APIC", &[&[0; 8], madt_entries].concat());
    let mut fadt = vec![0; 232];
    put(&mut fadt, 64 - 36, &0x604_u32.to_le_bytes());
    put(&mut fadt, 76 - 36, &0x608_u32.to_le_bytes());
    fadt[91 - 36] = 4;
    put(&mut fadt, 112 - 36, &(RESET_SUPPORTED).to_le_bytes());
    put(&mut fadt, 116 - 36, &[1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 0x0f]);
    put_table(&mut m, 0x3000, b"FACP", &fadt);
    let mcfg = [&[0; 8][..], &0xb000_0000_u64.to_le_bytes(), &[0, 0, 0, 255, 0, 0, 0, 0]].concat();
    put_table(&mut m, 0x4000, b"MCFG", &mcfg);
    m
}

const RESET_SUPPORTED: u32 = 1 << 10;
const ENTRIES: &[u8] = &[
    0, 8, 0, 0, 1, 0, 0, 0, // CPU 0
    0, 8, 1, 2, 1, 0, 0, 0, // CPU 2
    0, 8, 2, 3, 0, 0, 0, 0, // not there
    9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, // x2APIC 256
    1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0, // I/O APIC
    2, 10, 0, 4, 20, 0, 0, 0, 13, 0, // ISA 4 is 20
];

fn read_from(memory: Vec<u8>, rsdp: Option<u64>) -> Result<Platform, &'static str> {
    let memory: &'static [u8] = memory.leak();
    read(rsdp, &|start, len| {
        let start = usize::try_from(start).ok()?;
        memory.get(start..start.checked_add(len)?)
    })
}

#[test]
fn cpus_controllers_and_registers_are_found() {
    for rsdp in [None, Some(RSDP as u64)] {
        let platform = read_from(machine(ENTRIES), rsdp).unwrap();
        assert_eq!(platform.apic_ids.as_slice(), [0, 2, 256]);
        assert_eq!(platform.io_apics.as_slice()[0].address, 0xfec0_0000);
        assert_eq!(platform.isa_overrides.as_slice()[0].gsi, 20);
        assert_eq!(
            platform.ecam.as_slice(),
            [Ecam { address: 0xb000_0000, segment: 0, first_bus: 0, last_bus: 255 }]
        );
        let fadt = platform.fadt.unwrap();
        assert_eq!((fadt.pm1a_control, fadt.pm_timer, fadt.sleep_types), (Some(0x604), Some(0x608), (0, 0)));
        assert_eq!(fadt.reset, Some((Register { space: Space::Port, address: 0xcf9 }, 0x0f)));
    }
}

#[test]
fn a_broken_checksum_drops_the_table() {
    let mut m = machine(ENTRIES);
    m[0x2030] ^= 1;
    assert!(read_from(m, None).unwrap().apic_ids.as_slice().is_empty());
    let mut m = machine(ENTRIES);
    m[0x1024] ^= 1;
    assert!(read_from(m, None).is_err());
}

#[test]
fn entries_that_lie_about_their_length_end_the_walk() {
    for liar in [&[0, 0, 0, 0][..], &[0, 1], &[0, 9, 0, 0, 1, 0, 0, 0], &[9], &[0, 4, 0, 0]] {
        let platform = read_from(machine(liar), None).unwrap();
        assert!(platform.apic_ids.as_slice().is_empty());
    }
}

#[test]
fn lengths_past_memory_are_refused() {
    let mut m = machine(ENTRIES);
    put(&mut m, 0x1004, &u32::MAX.to_le_bytes());
    assert!(read_from(m, None).is_err());
    assert!(read_from(vec![0; LEN], None).is_err());
    assert!(read_from(machine(ENTRIES), Some(LEN as u64 - 4)).is_err());
}

#[test]
fn a_trust_domain_has_a_mailbox_and_an_event_log() {
    let mut mailbox = ENTRIES.to_vec();
    mailbox.extend([16, 16, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f, 0, 0, 0, 0]);
    let mut m = machine(&mailbox);
    let log = [&[2, 0, 0, 0][..], &0x1_0000_u64.to_le_bytes(), &0x7ff0_0000_u64.to_le_bytes()].concat();
    put_table(&mut m, 0x4000, b"CCEL", &log);
    let platform = read_from(m, None).unwrap();
    assert_eq!(platform.mailbox, Some(0x7fff_8000));
    let ccel = platform.ccel.unwrap();
    assert_eq!((&ccel.table[..4], ccel.log_len, ccel.log_address), (&b"CCEL"[..], 0x1_0000, 0x7ff0_0000));
}

#[test]
fn an_event_log_table_that_is_cut_off_counts_as_none() {
    let mut m = machine(ENTRIES);
    put_table(&mut m, 0x4000, b"CCEL", &[2; 16]);
    assert_eq!(read_from(m, None).unwrap().ccel, None);
}
