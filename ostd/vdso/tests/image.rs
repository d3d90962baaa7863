//! The image as loaders and processes see it: names found through both hash tables, and the code run in place.
#![expect(unsafe_code, reason = "runs the image's machine code")]
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]

use std::error::Error;
use std::mem::transmute;
use std::{io, ptr};

use coffer_vdso::{IMAGE, Parameters, Time, clock};
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _, Sym as _, SymbolTable};

type Header = FileHeader64<LittleEndian>;
type Fault = Box<dyn Error>;
type Outcome = Result<(), Fault>;
type GetTime = unsafe extern "C" fn(i32, *mut Time) -> i32;

const PAGE_SIZE: usize = 4096;
const ENDIAN: LittleEndian = LittleEndian;
const REALTIME_OFFSET_NS: u64 = 1_700_000_000_123_456_789;

/// Offset of `name` in the image, version LINUX_2.6, if both tables know it.
fn find(name: &str) -> Result<Option<usize>, Fault> {
    let header = Header::parse(IMAGE)?;
    let sections = header.sections(ENDIAN, IMAGE)?;
    let symbols: SymbolTable<'_, Header> = sections.symbols(ENDIAN, IMAGE, elf::SHT_DYNSYM)?;
    let versions = sections.versions(ENDIAN, IMAGE)?.ok_or("no versions")?;
    let version = (2..4)
        .find_map(|index| versions.version(elf::VersionIndex(index)).ok().flatten())
        .filter(|version| version.name() == b"LINUX_2.6")
        .ok_or("no version LINUX_2.6")?;
    let (table, _) = sections.hash(ENDIAN, IMAGE)?.ok_or("no DT_HASH")?;
    let (gnu_table, _) = sections.gnu_hash(ENDIAN, IMAGE)?.ok_or("no DT_GNU_HASH")?;
    let (name, hash, gnu_hash) =
        (name.as_bytes(), elf::hash(name.as_bytes()), elf::gnu_hash(name.as_bytes()));
    let by_hash = table.find(ENDIAN, name, hash, Some(version), &symbols, &versions);
    let by_gnu_hash = gnu_table.find(ENDIAN, name, gnu_hash, Some(version), &symbols, &versions);
    let offset = |symbol: &elf::Sym64<LittleEndian>| symbol.st_value(ENDIAN) as usize;
    let offsets = (by_hash.map(|(_, symbol)| offset(symbol)), by_gnu_hash.map(|(_, symbol)| offset(symbol)));
    if offsets.0 == offsets.1 {
        Ok(offsets.0)
    } else {
        Err(format!("the tables disagree: {offsets:?}").into())
    }
}

/// The image behind its parameters, as the kernel maps it.
struct Mapped(*mut u8);

impl Mapped {
    /// A clock of 1 tick per nanosecond.
    fn new() -> Result<Self, Fault> {
        let (any, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new memory at a place of the system's choice.
        let start = unsafe { libc::mmap(ptr::null_mut(), 2 * PAGE_SIZE, any, shared, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error().into());
        }
        let start: *mut u8 = start.cast();
        for (offset, word) in Parameters::words(0, 1 << 31, 31, REALTIME_OFFSET_NS) {
            // SAFETY: in the first page, aligned.
            unsafe { start.wrapping_add(offset).cast::<u64>().write(word) };
        }
        let image = start.wrapping_add(PAGE_SIZE);
        // SAFETY: the second page has room for the image, which is at most a page.
        unsafe { image.copy_from_nonoverlapping(IMAGE.as_ptr(), IMAGE.len()) };
        // SAFETY: the page is ours, and nothing in it will be written again.
        let result = unsafe { libc::mprotect(image.cast(), PAGE_SIZE, libc::PROT_READ | libc::PROT_EXEC) };
        if result == 0 { Ok(Self(image)) } else { Err(io::Error::last_os_error().into()) }
    }

    fn entry(&self, name: &str) -> Result<*mut u8, Fault> {
        Ok(self.0.wrapping_add(find(name)?.ok_or("no such name")?))
    }

    fn time_function(&self, name: &str) -> Result<GetTime, Fault> {
        let entry = self.entry(name)?;
        // SAFETY: the entry is a function of this type.
        Ok(unsafe { transmute::<*mut u8, GetTime>(entry) })
    }
}

fn ns(time: Time) -> u64 {
    (time.seconds * 1_000_000_000 + time.nanoseconds) as u64
}

fn tsc() -> u64 {
    // SAFETY: every x86-64 processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[test]
fn both_hash_tables_know_the_names() -> Outcome {
    for name in ["__vdso_clock_gettime", "__vdso_clock_getres", "__vdso_gettimeofday", "__vdso_time"] {
        assert!(find(name)?.is_some(), "{name}");
    }
    assert_eq!(find("__vdso_nothing")?, None);
    Ok(())
}

#[test]
fn it_is_one_page_without_relocations() -> Outcome {
    let header = Header::parse(IMAGE)?;
    let segments = header.program_headers(ENDIAN, IMAGE)?;
    let loads: Vec<_> = segments.iter().filter(|segment| segment.p_type(ENDIAN) == elf::PT_LOAD).collect();
    assert_eq!(loads.len(), 1);
    assert_eq!((loads[0].p_offset(ENDIAN), loads[0].p_vaddr(ENDIAN)), (0, 0));
    assert_eq!(loads[0].p_flags(ENDIAN).0, 5, "readable and executable");
    assert!(loads[0].p_memsz(ENDIAN) <= PAGE_SIZE as u64);
    let sections = header.sections(ENDIAN, IMAGE)?;
    let dynamic = sections.dynamic_table(ENDIAN, IMAGE)?;
    let mut soname = None;
    for entry in dynamic.iter() {
        assert!(
            ![elf::DT_RELA, elf::DT_REL, elf::DT_JMPREL, elf::DT_NEEDED].contains(&entry.tag),
            "{entry:?}"
        );
        if entry.tag == elf::DT_SONAME {
            soname = Some(dynamic.string(entry)?);
        }
    }
    assert_eq!(soname, Some(b"linux-vdso.so.1".as_slice()));
    Ok(())
}

#[test]
fn clocks_follow_the_tsc() -> Outcome {
    let mapped = Mapped::new()?;
    let get_time = mapped.time_function("__vdso_clock_gettime")?;
    for (id, offset_ns) in [(0, REALTIME_OFFSET_NS), (1, 0), (4, 0), (5, REALTIME_OFFSET_NS), (7, 0)] {
        let mut time = Time::default();
        let before = tsc();
        // SAFETY: writes to a local.
        assert_eq!(unsafe { get_time(id, &raw mut time) }, 0);
        let after = tsc();
        assert!((before..=after).contains(&(ns(time) - offset_ns)), "clock {id}: {time:?}");
    }
    Ok(())
}

#[test]
fn other_clocks_are_asked_of_the_kernel() -> Outcome {
    let mapped = Mapped::new()?;
    let get_time = mapped.time_function("__vdso_clock_gettime")?;
    let mut time = Time { seconds: -1, nanoseconds: -1 };
    // SAFETY: writes to a local.
    let result = unsafe { get_time(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0);
    assert!(time.seconds >= 0 && time.nanoseconds >= 0, "{time:?}");
    // SAFETY: writes to a local.
    let result = unsafe { get_time(77, &raw mut time) };
    assert_eq!(result, -libc::EINVAL);
    Ok(())
}

#[test]
fn resolutions_are_those_of_the_clocks() -> Outcome {
    let mapped = Mapped::new()?;
    let resolution = mapped.time_function("__vdso_clock_getres")?;
    for id in [0, 1, 6] {
        let mut time = Time::default();
        // SAFETY: writes to a local.
        assert_eq!(unsafe { resolution(id, &raw mut time) }, 0);
        assert_eq!(Some(time), clock::resolution(id));
        // SAFETY: null is allowed.
        assert_eq!(unsafe { resolution(id, ptr::null_mut()) }, 0);
    }
    Ok(())
}

#[test]
fn older_calls_show_real_time() -> Outcome {
    let mapped = Mapped::new()?;
    let (time, day) = (mapped.entry("__vdso_time")?, mapped.entry("__vdso_gettimeofday")?);
    // SAFETY: the entry is a function of this type.
    let time = unsafe { transmute::<*mut u8, unsafe extern "C" fn(*mut i64) -> i64>(time) };
    // SAFETY: as above.
    let day = unsafe {
        transmute::<*mut u8, unsafe extern "C" fn(*mut libc::timeval, *mut libc::timezone) -> i32>(day)
    };
    let expected = (REALTIME_OFFSET_NS + tsc()) / 1_000_000_000;
    let mut stored = 0;
    // SAFETY: writes to a local.
    let now = unsafe { time(&raw mut stored) };
    assert_eq!(now, stored);
    assert!((now as u64).abs_diff(expected) <= 1, "{now}, expected {expected}");
    let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: writes to a local; a null time zone is not written.
    assert_eq!(unsafe { day(&raw mut value, ptr::null_mut()) }, 0);
    assert!((value.tv_sec as u64).abs_diff(expected) <= 1);
    assert!((0..1_000_000).contains(&value.tv_usec));
    Ok(())
}
