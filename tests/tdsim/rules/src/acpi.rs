//! The ACPI tables of a trust domain: some of the machine's own, copied, a MADT with a mailbox, and the event log's table.
//!
//! ACPI 6.5, 5.2.5 to 5.2.12 and 5.2.34 (CCEL). Of the machine's tables only those are kept that a domain needs: FADT with DSDT and
//! FACS, MADT, MCFG.

/// Reads bytes of physical memory into a buffer; whether they are there.
pub type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// What the tables tell besides what the machine's own do.
#[derive(Clone, Copy, Debug)]
pub struct Extras {
    /// The mailbox by which processors are woken.
    pub mailbox: u64,
    /// The event log: where, and how much room it has.
    pub log: (u64, u64),
}

const HEADER_LEN: usize = 36;
const MAX_TABLES: usize = 16;

/// Copies the tables below the RSDP at `rsdp` to `out`, which will be at `base`. Gives the address of the new RSDP.
///
/// # Errors
/// If the machine's tables are not as they must be, or `out` is too small.
pub fn build(read: Read, rsdp: u64, extras: &Extras, out: &mut [u8], base: u64) -> Result<u64, &'static str> {
    let mut old = [0; 20];
    if !read(rsdp, &mut old) || !old.starts_with(b"RSD PTR ") {
        return Err("there is no RSDP");
    }
    let mut writer = Writer { out, base, at: 0, read };
    let mut tables = [0; MAX_TABLES];
    let mut count = 0;
    let mut keep = |address: u64| -> Result<(), &'static str> {
        *tables.get_mut(count).ok_or("too many ACPI tables")? = address;
        count += 1;
        Ok(())
    };
    let root = u64::from(u32_at(&old, 16));
    let mut header = [0; HEADER_LEN];
    if !read(root, &mut header) {
        return Err("there is no RSDT");
    }
    let entries = (u64::from(u32_at(&header, 4)).saturating_sub(HEADER_LEN as u64) / 4).min(64);
    for number in 0..entries {
        let mut entry = [0; 4];
        let mut signature = [0; 4];
        let is_there = read(root + HEADER_LEN as u64 + number * 4, &mut entry)
            && read(u64::from(u32::from_le_bytes(entry)), &mut signature);
        let address = u64::from(u32::from_le_bytes(entry));
        match &signature {
            b"FACP" if is_there => keep(writer.fadt(address)?)?,
            b"APIC" if is_there => keep(writer.madt(address, extras.mailbox)?)?,
            b"MCFG" if is_there => keep(writer.copy(address).map(|offset| writer.base + offset as u64)?)?,
            _ => {}
        }
    }
    keep(writer.ccel(extras.log)?)?;
    let kept = tables.get(..count).unwrap_or_default();
    writer.root(kept)
}

struct Writer<'a> {
    out: &'a mut [u8],
    base: u64,
    at: usize,
    read: Read<'a>,
}

impl Writer<'_> {
    /// Room for `len` bytes, aligned as FACS needs it.
    fn reserve(&mut self, len: usize) -> Result<usize, &'static str> {
        let start = self.at.next_multiple_of(64);
        let end = start.checked_add(len).filter(|end| *end <= self.out.len());
        self.at = end.ok_or("no room for an ACPI table")?;
        Ok(start)
    }

    fn copy(&mut self, address: u64) -> Result<usize, &'static str> {
        let mut header = [0; 8];
        if !(self.read)(address, &mut header) {
            return Err("an ACPI table is out of reach");
        }
        let len = u32_at(&header, 4) as usize;
        let start = self.reserve(len)?;
        let place = self.out.get_mut(start..start + len).ok_or("no room for an ACPI table")?;
        if (self.read)(address, place) { Ok(start) } else { Err("an ACPI table is out of reach") }
    }

    fn address(&self, offset: usize) -> u64 {
        self.base + offset as u64
    }

    fn fadt(&mut self, address: u64) -> Result<u64, &'static str> {
        let start = self.copy(address)?;
        let facs = self.copy(u64::from(self.u32(start + 36)))?;
        let dsdt = self.copy(u64::from(self.u32(start + 40)))?;
        self.put(start + 36, &(self.address(facs) as u32).to_le_bytes());
        self.put(start + 40, &(self.address(dsdt) as u32).to_le_bytes());
        if self.u32(start + 4) >= 148 {
            self.put(start + 132, &0_u64.to_le_bytes());
            self.put(start + 140, &self.address(dsdt).to_le_bytes());
        }
        self.seal(start);
        Ok(self.address(start))
    }

    /// The machine's, with a multiprocessor wakeup structure (5.2.12.19) behind.
    fn madt(&mut self, address: u64, mailbox: u64) -> Result<u64, &'static str> {
        const WAKEUP_LEN: usize = 16;
        let start = self.copy(address)?;
        let len = self.u32(start + 4) as usize;
        self.at = start + len;
        // Directly behind: no alignment.
        let end = self.at + WAKEUP_LEN;
        if end > self.out.len() {
            return Err("no room for an ACPI table");
        }
        self.at = end;
        self.put(start + len, &[0x10, WAKEUP_LEN as u8, 0, 0, 0, 0, 0, 0]);
        self.put(start + len + 8, &mailbox.to_le_bytes());
        self.put(start + 4, &((len + WAKEUP_LEN) as u32).to_le_bytes());
        self.seal(start);
        Ok(self.address(start))
    }

    fn ccel(&mut self, (log, room): (u64, u64)) -> Result<u64, &'static str> {
        const TDX: u8 = 2;
        let start = self.new_table(*b"CCEL", 56)?;
        self.put(start + 36, &[TDX, 0]);
        self.put(start + 40, &room.to_le_bytes());
        self.put(start + 48, &log.to_le_bytes());
        self.seal(start);
        Ok(self.address(start))
    }

    /// XSDT and RSDP.
    fn root(&mut self, tables: &[u64]) -> Result<u64, &'static str> {
        let xsdt = self.new_table(*b"XSDT", HEADER_LEN + tables.len() * 8)?;
        for (number, table) in tables.iter().enumerate() {
            self.put(xsdt + HEADER_LEN + number * 8, &table.to_le_bytes());
        }
        self.seal(xsdt);
        let start = self.reserve(36)?;
        self.put(start, b"RSD PTR ");
        self.put(start + 9, b"COFFER");
        self.put(start + 15, &[2]);
        self.put(start + 20, &36_u32.to_le_bytes());
        self.put(start + 24, &self.address(xsdt).to_le_bytes());
        self.checksum(start, 20, start + 8);
        self.checksum(start, 36, start + 32);
        Ok(self.address(start))
    }

    fn new_table(&mut self, signature: [u8; 4], len: usize) -> Result<usize, &'static str> {
        let start = self.reserve(len)?;
        self.put(start, &signature);
        self.put(start + 4, &(len as u32).to_le_bytes());
        self.put(start + 8, &[1]);
        self.put(start + 10, b"COFFERTDSIM   ");
        Ok(start)
    }

    fn seal(&mut self, start: usize) {
        let len = self.u32(start + 4) as usize;
        self.checksum(start, len, start + 9);
    }

    fn checksum(&mut self, start: usize, len: usize, at: usize) {
        self.put(at, &[0]);
        let bytes = self.out.get(start..start + len).unwrap_or_default();
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        self.put(at, &[sum.wrapping_neg()]);
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.out.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn u32(&self, at: usize) -> u32 {
        u32_at(self.out, at)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::{Extras, build, u32_at};

    fn table(memory: &mut [u8], at: usize, signature: &[u8; 4], body: &[u8]) {
        memory[at..at + 4].copy_from_slice(signature);
        memory[at + 4..at + 8].copy_from_slice(&(36 + body.len() as u32).to_le_bytes());
        memory[at + 36..at + 36 + body.len()].copy_from_slice(body);
    }

    fn machine() -> Vec<u8> {
        let mut memory = vec![0; 0x8000];
        memory[..8].copy_from_slice(b"RSD PTR ");
        memory[16..20].copy_from_slice(&0x100_u32.to_le_bytes());
        let entries: Vec<u8> =
            [0x1000_u32, 0x2000, 0x3000, 0x4000].iter().flat_map(|address| address.to_le_bytes()).collect();
        table(&mut memory, 0x100, b"RSDT", &entries);
        let mut fadt = vec![0; 208];
        fadt[0..4].copy_from_slice(&0x5000_u32.to_le_bytes());
        fadt[4..8].copy_from_slice(&0x6000_u32.to_le_bytes());
        table(&mut memory, 0x1000, b"FACP", &fadt);
        table(&mut memory, 0x2000, b"APIC", &[0; 8]);
        table(&mut memory, 0x3000, b"HPET", &[0; 20]);
        table(&mut memory, 0x4000, b"MCFG", &[0; 24]);
        table(&mut memory, 0x5000, b"FACS", &[0; 28]);
        table(&mut memory, 0x6000, b"DSDT", &[9; 100]);
        memory
    }

    fn built() -> (u64, Vec<u8>) {
        let memory = machine();
        let read = |address: u64, to: &mut [u8]| {
            memory
                .get(address as usize..address as usize + to.len())
                .map(|from| to.copy_from_slice(from))
                .is_some()
        };
        let mut out = vec![0; 4096];
        let extras = Extras { mailbox: 0xabc000, log: (0xdef000, 0x10000) };
        let rsdp = build(&read, 0, &extras, &mut out, 0x10_0000).unwrap();
        (rsdp - 0x10_0000, out)
    }

    fn find<'a>(out: &'a [u8], signature: &[u8]) -> &'a [u8] {
        let at = out.windows(4).position(|window| window == signature).unwrap();
        &out[at..at + u32_at(out, at + 4) as usize]
    }

    #[test]
    fn tables_are_copied_and_sum_to_zero() {
        let (rsdp, out) = built();
        assert_eq!(&out[rsdp as usize..rsdp as usize + 8], b"RSD PTR ");
        for signature in [b"XSDT", b"FACP", b"APIC", b"CCEL"] {
            let table = find(&out, signature);
            assert_eq!(table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        }
        assert_eq!(find(&out, b"XSDT").len(), 36 + 4 * 8);
        assert!(!out.windows(4).any(|window| window == b"HPET"));
        let dsdt = u32_at(find(&out, b"FACP"), 40) as usize - 0x10_0000;
        assert_eq!(&out[dsdt..dsdt + 4], b"DSDT");
    }

    #[test]
    fn the_mailbox_and_the_log_are_named() {
        let (_, out) = built();
        let madt = find(&out, b"APIC");
        assert_eq!(&madt[madt.len() - 16..][..2], [0x10, 16]);
        assert_eq!(u32_at(madt, madt.len() - 8), 0xabc000);
        assert_eq!(u32_at(find(&out, b"CCEL"), 48), 0xdef000);
    }
}
