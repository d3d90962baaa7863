//! From QEMU's loader to a domain that can run: the pack is read, memory taken, the guest's memory filled.

use coffer_tdsim_rules::acpi::{self, Extras};
use coffer_tdsim_rules::cpuid::CRYSTAL_HZ;
use coffer_tdsim_rules::layout::PAGE;
use coffer_tdsim_rules::pack::{self, Flags, Header};
use coffer_tdsim_rules::page::{Accepted, Pages, Size};
use spin::Mutex;

use crate::hostile::{Hostile, disturb_tables};
use crate::npt::NestedTables;
use crate::svm::{self, Registers};
use crate::td::{MAX_CPUS, Mapping, Td};
use crate::vcpu::Vcpu;
use crate::{apic, console, memory, ports, smp, vmcall};

/// Makes the domain. `start_info` is Xen's `hvm_start_info`.
pub fn start(start_info: u64) -> &'static Td {
    let mut info = [0; 56];
    // It lies in memory that the domain gets later, in front of the module.
    memory::read(start_info, &mut info);
    let mut module = [0; 16];
    memory::read(u64_at(&info, 16), &mut module);
    let (pack_start, pack_len) = (u64_at(&module, 0), u64_at(&module, 8));
    memory::init(pack_start);
    let pack = memory::pack(pack_start, pack_len);
    let header = Header::parse(pack).unwrap_or_else(|why| panic!("{why}"));
    assert!((1..=MAX_CPUS as u64).contains(&header.cpus), "1 to {MAX_CPUS} processors");

    let states = memory::carve(header.memory.pages());
    let control = Control::new();
    let vcpus = core::array::from_fn(|index| {
        let is_wanted = (index as u64) < header.cpus;
        Mutex::new(is_wanted.then(|| new_vcpu(index, &header, &control)))
    });
    let acpi = memory::carve(header.acpi.1 as usize);
    let pages = Pages::new(states, header.split_every as usize);
    let mapping = Mutex::new(Mapping { pages, tables: NestedTables::new(header.gpaw) });
    let tsc_ratio = measure_tsc();
    let [_, rtmr @ .., _, _, _] = header.measurements;
    let td = smp::TD.call_once(|| Td {
        header,
        pack,
        tsc_ratio,
        mapping,
        rtmr: Mutex::new(rtmr),
        mac_key: svm::random(),
        vcpus,
        hostile: Hostile::new(header.seed, header.faults, header.flags & Flags::FRIENDLY_FIRST != 0),
        vmm: vmcall::Vmm::new(),
    });
    fill(td, acpi, u64_at(&info, 32));
    let root = td.mapping.lock().tables.root;
    for vcpu in &td.vcpus {
        if let Some(vcpu) = &mut *vcpu.lock() {
            vcpu.vmcb.nested_cr3 = root;
        }
    }
    mask_legacy_interrupts();
    smp::start_others(td);
    console::say(format_args!(
        "a trust domain with {} CPUs, {} MiB, {} bits of guest addresses, TSC {} crystals",
        header.cpus,
        header.memory.size() >> 20,
        header.gpaw,
        tsc_ratio
    ));
    td
}

/// Keeps the 8259s quiet: their vectors would be taken for exceptions.
fn mask_legacy_interrupts() {
    [0x21, 0xa1].into_iter().for_each(|port| ports::write(port, 1, 0xff));
}

/// What all control blocks share.
struct Control {
    io: u64,
    msr: u64,
}

impl Control {
    /// Every port and every register leaves the guest, except for those that are the guest's own on any processor.
    fn new() -> Self {
        const IO_LEN: usize = 3 * 4096;
        const MSR_LEN: usize = 2 * 4096;
        /// SYSENTER, speculation control, page attributes; system calls; FS and GS.
        const OWN: [u32; 15] = [
            0x48,
            0x49,
            0x174,
            0x175,
            0x176,
            0x277,
            0x600,
            0xC000_0081,
            0xC000_0082,
            0xC000_0084,
            0xC000_0100,
            0xC000_0101,
            0xC000_0102,
            0xC000_0103,
            0x10B,
        ];
        let io = memory::carve(IO_LEN);
        io.fill(0xff);
        let msr = memory::carve(MSR_LEN);
        msr.fill(0xff);
        for register in OWN {
            let base = if register >= 0xC000_0000 { 0x800 } else { 0 };
            let number = (register & 0x1fff) as usize;
            msr[base + number / 4] &= !(3 << (number % 4 * 2));
        }
        Self { io: memory::address_of(&*io), msr: memory::address_of(&*msr) }
    }
}

fn new_vcpu(index: usize, header: &Header, control: &Control) -> Vcpu {
    const CR0_AND_CR4: u16 = 1 | 1 << 4;
    const INVALID_OPCODE: u32 = 1 << 6;
    // NMI, CPUID, RSM, INVD, HLT, INVLPGA, ports, registers, SHUTDOWN.
    const FIRST: u32 = 1 << 1 | 1 << 18 | 1 << 19 | 1 << 22 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 31;
    // VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, WBINVD, MONITOR, MWAIT, XSETBV.
    const SECOND: u32 = 0b0010_1110_0111_1111 | 1 << 12;
    let vmcb = svm::new_vmcb();
    vmcb.intercept_cr_write = CR0_AND_CR4;
    vmcb.intercept_exceptions = INVALID_OPCODE;
    vmcb.intercepts = FIRST;
    vmcb.intercepts_2 = SECOND;
    vmcb.iopm_base = control.io;
    vmcb.msrpm_base = control.msr;
    vmcb.asid = 1;
    vmcb.tlb_control = 1;
    vmcb.nested_paging = 1;
    let save_area = memory::address_of(&*memory::carve(PAGE as usize));
    let registers = Registers { rsi: header.rsi, ..Registers::default() };
    let mut vcpu = Vcpu {
        index,
        vmcb,
        registers,
        ve: None,
        cpuid_ve: [false; 2],
        save_area,
        timer: apic::Timer::default(),
    };
    vcpu.start(header.rip, header.cr3, header.gdt);
    vcpu
}

/// Copies what the domain starts with, and makes it private.
fn fill(td: &Td, acpi_tables: &mut [u8], rsdp: u64) {
    let extras = Extras { mailbox: td.header.mailbox, log: td.header.log };
    let read = |address: u64, to: &mut [u8]| {
        memory::read(address, to);
        true
    };
    let new_rsdp = acpi::build(&read, rsdp, &extras, acpi_tables, td.header.acpi.0)
        .unwrap_or_else(|why| panic!("ACPI: {why}"));
    for (region, bytes) in pack::regions(td.pack, &td.header) {
        let mut gpa = region.gpa;
        let end = region.gpa + region.len;
        while gpa < end {
            let size = if gpa % (2 << 20) == 0 && end - gpa >= 2 << 20 { Size::Large } else { Size::Small };
            let accepted = match td.accept(gpa, size) {
                Accepted::SizeMismatch => {
                    (0..512).map(|page| td.accept(gpa + page * PAGE, Size::Small)).last()
                }
                other => Some(other),
            };
            assert!(accepted == Some(Accepted::Done), "the region at {gpa:#x}: {accepted:?}");
            gpa += size.pages() as u64 * PAGE;
        }
        copy(td, region.gpa, bytes);
    }
    disturb_tables(td, acpi_tables);
    copy(td, td.header.acpi.0, acpi_tables);
    copy(td, td.header.rsdp_pointer, &new_rsdp.to_le_bytes());
}

/// Copies to private memory.
fn copy(td: &Td, gpa: u64, bytes: &[u8]) {
    if let Some(private) = td.header.memory.private(gpa) {
        memory::write(private, bytes);
    }
}

/// How often the time stamp counter counts in a tick of the crystal: against the APIC's timer, for 10 ms.
fn measure_tsc() -> u32 {
    const NS: u64 = 10_000_000;
    let (ns, ticks) = apic::measure(NS as u32);
    let per_second = u128::from(ticks) * 1_000_000_000 / u128::from(ns.max(1));
    let crystal = u128::from(CRYSTAL_HZ);
    u32::try_from((per_second + crystal / 2) / crystal).unwrap_or(u32::MAX).max(1)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
