//! The loader: places a payload in a domain's memory, as td-shim does by the Linux boot protocol, and writes the pack.
//!
//! Documentation/arch/x86/{boot,zero-page}.rst.

use std::ops::Range;

use anyhow::ensure;
use coffer_tdsim_rules::layout::{HIGH_BASE, LARGE_PAGE, Memory, PAGE};
use coffer_tdsim_rules::pack::{HEADER_LEN, Header, MAX_REGIONS, REGION_LEN, Region};

use crate::layout::{COMMAND_LINE, Firmware, RAM_START, Ranges, ZERO_PAGE, e820, ram};
use crate::measure::{Measured, measure};
use crate::payload::Payload;

/// How much memory the loader accepts before it starts the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// All.
    All,
    /// What is below this many MiB, and what the payload lies in.
    Below(u64),
}

/// A trust domain to be made.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Virtual processors, 1 to 8.
    pub cpus: u32,
    /// Memory.
    pub memory_mib: u32,
    /// Width of guest physical addresses: 48 or 52.
    pub gpaw: u32,
    /// TD attributes.
    pub attributes: u64,
    /// What is accepted beforehand.
    pub accept: Accept,
    /// Each how manieth MapGPA is answered with RETRY; 0: none.
    pub retry_every: u64,
    /// Each how manieth large page is mapped in small ones; 0: none.
    pub split_every: u64,
    /// Flags of the pack.
    pub flags: u64,
    /// Seed of the hostile host; 0: a friendly one.
    pub seed: u64,
    /// Which faults it makes (`hostile::Fault::bit`), and how rarely.
    pub faults: (u64, u64),
    /// Bytes that must not be in shared memory at the end.
    pub canaries: Vec<[u8; 16]>,
}

/// Where the list of memory is in the zero page.
const E820: usize = 0x2d0;
/// ATTRIBUTES.SEPT_VE_DISABLE.
const SEPT_VE_DISABLE: u64 = 1 << 28;
/// x87, SSE, AVX, AVX-512, PKRU.
const XFAM: u64 = 0x2e7;

impl Default for Domain {
    fn default() -> Self {
        Self {
            cpus: 1,
            memory_mib: 1024,
            gpaw: 48,
            attributes: SEPT_VE_DISABLE,
            accept: Accept::Below(64),
            retry_every: 3,
            split_every: 5,
            flags: 0,
            seed: 0,
            faults: (u64::MAX, 1),
            canaries: Vec::new(),
        }
    }
}

impl Domain {
    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory::new(u64::from(self.memory_mib) << 20)
    }

    /// Places a payload, and writes the pack.
    ///
    /// # Errors
    /// If the payload does not fit, or what was asked for is out of range.
    pub fn pack(&self, payload: &Payload) -> anyhow::Result<(Vec<u8>, Measured)> {
        ensure!((1..=8).contains(&self.cpus), "1 to 8 CPUs");
        ensure!(
            self.memory_mib >= 128 && self.memory_mib.is_multiple_of(2),
            "at least 128 MiB, and an even number"
        );
        ensure!(matches!(self.gpaw, 48 | 52), "48 or 52 bits of guest addresses");
        let memory = self.memory();
        let firmware = Firmware::new(&memory);
        let image = &payload.image;
        let kernel = image.address..(image.address + image.span).next_multiple_of(PAGE);
        let initramfs_len = (payload.initramfs.len() as u64).next_multiple_of(LARGE_PAGE);
        let initramfs = firmware.nvs().start.saturating_sub(initramfs_len)..firmware.nvs().start;
        ensure!(
            kernel.start >= RAM_START && kernel.end <= initramfs.start,
            "the kernel does not fit into memory"
        );

        let mut accepted = self.accepted(&memory);
        accepted.add(kernel.clone());
        accepted.add(initramfs.clone());
        let list = e820(&memory, &accepted);
        let line = format!("{} {}", payload.command_line, payload.added_words);
        let mut line = line.trim().as_bytes().to_vec();
        line.push(0);
        ensure!(line.len() <= 4096, "a command line of more than 4 KiB");
        let zero_page = zero_page(payload, &list, initramfs.start);

        let mut contents: Vec<(Range<u64>, &[u8])> = vec![
            (ZERO_PAGE..ZERO_PAGE + PAGE, &zero_page),
            (COMMAND_LINE..COMMAND_LINE + PAGE, &line),
            (kernel, &image.bytes),
        ];
        if !payload.initramfs.is_empty() {
            contents.push((initramfs, &payload.initramfs));
        }
        let tables = tables(&firmware);
        contents.push((firmware.tables()..firmware.gdt(), &tables));
        let gdt = gdt();
        contents.push((firmware.gdt()..firmware.mailbox(), &gdt));
        accepted.add(firmware.nvs().start..firmware.reclaimable().end);
        let measured = measure(&payload.booted, &zero_page[E820..], &payload.added_words);
        contents.push((firmware.log().0..firmware.log().0 + firmware.log().1, &measured.log));
        let mut header = self.header(&firmware, image.entry);
        header.measurements[0] = measured.mr_td;
        header.measurements[1..5].copy_from_slice(&measured.rtmr);
        let pack = write(header, &contents, &accepted, &memory, &self.canaries)?;
        Ok((pack, measured.clone()))
    }

    fn accepted(&self, memory: &Memory) -> Ranges {
        let mut accepted = Ranges::default();
        // With what is not for use but looked into: memory, too, of a virtual machine.
        accepted.add(0..RAM_START);
        match self.accept {
            Accept::All => ram(memory).into_iter().for_each(|range| accepted.add(range)),
            Accept::Below(mib) => accepted.add(RAM_START..(mib << 20).clamp(RAM_START, memory.low_end)),
        }
        accepted
    }

    fn header(&self, firmware: &Firmware, entry: u64) -> Header {
        Header {
            gpaw: self.gpaw.into(),
            cpus: self.cpus.into(),
            memory: self.memory(),
            attributes: self.attributes,
            xfam: XFAM,
            rip: entry,
            rsi: ZERO_PAGE,
            cr3: firmware.tables(),
            gdt: firmware.gdt(),
            acpi: firmware.acpi(),
            rsdp_pointer: ZERO_PAGE + 0x70,
            mailbox: firmware.mailbox(),
            log: firmware.log(),
            flags: self.flags,
            retry_every: self.retry_every,
            split_every: self.split_every,
            seed: self.seed,
            faults: self.faults,
            canaries: (0, 0),
            regions: 0,
            measurements: [[0; 48]; 8],
        }
    }
}

/// The pack: header, table, bytes.
fn write(
    mut header: Header,
    contents: &[(Range<u64>, &[u8])],
    accepted: &Ranges,
    memory: &Memory,
    canaries: &[[u8; 16]],
) -> anyhow::Result<Vec<u8>> {
    let mut filled = Ranges::default();
    contents.iter().for_each(|(range, _)| filled.add(range.clone()));
    let mut regions: Vec<(Range<u64>, &[u8])> = contents.to_vec();
    for half in [0..memory.low_end, HIGH_BASE..memory.high_end] {
        for range in accepted.within(&half) {
            regions.extend(filled.complement(&range).into_iter().map(|gap| (gap, [].as_slice())));
        }
    }
    ensure!(regions.len() <= MAX_REGIONS, "too many regions");
    let mut offset = HEADER_LEN + regions.len() * REGION_LEN;
    let mut table = Vec::new();
    let mut bytes = Vec::new();
    for (range, content) in &regions {
        let region = Region {
            gpa: range.start,
            len: range.end - range.start,
            offset: offset as u64,
            filled: content.len() as u64,
        };
        ensure!(region.filled <= region.len, "the region at {:#x} is too small", region.gpa);
        table.extend_from_slice(&region.to_bytes());
        bytes.extend_from_slice(content);
        offset += content.len();
    }
    header.regions = regions.len() as u64;
    header.canaries = (offset as u64, canaries.as_flattened().len() as u64);
    Ok([&header.to_bytes(), table.as_slice(), &bytes, canaries.as_flattened()].concat())
}

fn zero_page(payload: &Payload, list: &[(Range<u64>, crate::layout::Kind)], initramfs: u64) -> Vec<u8> {
    const HEADER: usize = 0x1f1;
    let mut page = vec![0; PAGE as usize];
    let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    put(HEADER, &payload.image.setup_header);
    put(0x1e8, &[list.len() as u8]);
    for (number, (range, kind)) in list.iter().enumerate() {
        let at = E820 + number * 20;
        put(at, &range.start.to_le_bytes());
        put(at + 8, &(range.end - range.start).to_le_bytes());
        put(at + 16, &(*kind as u32).to_le_bytes());
    }
    if !payload.initramfs.is_empty() {
        put(0x218, &(initramfs as u32).to_le_bytes());
        put(0x21c, &(payload.initramfs.len() as u32).to_le_bytes());
    }
    put(0x228, &(COMMAND_LINE as u32).to_le_bytes());
    page
}

/// 512 GiB at their own addresses, in pages of 1 GiB.
fn tables(firmware: &Firmware) -> Vec<u8> {
    const PRESENT_WRITE: u64 = 3;
    const LARGE: u64 = 0x83;
    let mut words = vec![0_u64; 1024];
    words[0] = (firmware.tables() + PAGE) | PRESENT_WRITE;
    for (number, word) in (0..).zip(&mut words[512..]) {
        *word = number << 30 | LARGE;
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What the boot protocol wants: code at 0x10, data at 0x18.
fn gdt() -> Vec<u8> {
    [0, 0, 0x00af_9b00_0000_ffff_u64, 0x00cf_9300_0000_ffff]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use coffer_tdsim_rules::pack::{Header, regions};

    use super::{Accept, Domain};
    use crate::payload::{Image, Payload};

    fn payload() -> Payload {
        let image = Image {
            address: 16 << 20,
            bytes: vec![1; 5000],
            span: 4 << 20,
            entry: 0x100_0010,
            setup_header: Vec::new(),
        };
        Payload {
            image,
            booted: crate::measure::Booted::Kernel([3; 48]),
            initramfs: vec![2; 3 << 20],
            command_line: "a=b".to_owned(),
            added_words: "c".to_owned(),
        }
    }

    #[test]
    fn regions_do_not_overlap() {
        for accept in [Accept::All, Accept::Below(0), Accept::Below(64)] {
            for memory_mib in [512, 4096] {
                let domain = Domain { accept, memory_mib, canaries: vec![[7; 16]], ..Domain::default() };
                let (pack, _) = domain.pack(&payload()).unwrap();
                let header = Header::parse(&pack).unwrap();
                let mut all: Vec<_> = regions(&pack, &header).map(|(region, _)| region).collect();
                assert_eq!(all.len() as u64, header.regions);
                all.sort_by_key(|region| region.gpa);
                assert!(all.windows(2).all(|pair| pair[0].gpa + pair[0].len <= pair[1].gpa), "{all:x?}");
                assert_eq!(&pack[pack.len() - 16..], [7; 16]);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let too_small = Domain { memory_mib: 64, ..Domain::default() };
        let too_many = Domain { cpus: 9, ..Domain::default() };
        let too_wide = Domain { gpaw: 57, ..Domain::default() };
        for domain in [too_small, too_many, too_wide] {
            assert!(domain.pack(&payload()).is_err());
        }
    }
}
