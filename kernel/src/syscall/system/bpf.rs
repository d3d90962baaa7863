//! [bpf(2)](https://man7.org/linux/man-pages/man2/bpf.2.html): programs that say which devices a control group may use, and nothing else.
//! Container runtimes cannot do without these.

use crate::cgroup::Cgroup;
use crate::cgroup::devices::{self, DeviceProgram};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::cgroupfs;
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::process::credentials::Capability;
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_device_program::{INSTRUCTION_LEN, LEN_MAX, Program};
use ostd::mm::PAGE_SIZE;

const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const PROG_DETACH: u32 = 9;
const PROG_GET_FD_BY_ID: u32 = 13;
const OBJ_GET_INFO_BY_FD: u32 = 15;
const PROG_QUERY: u32 = 16;

/// Programs that can be attached.
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
/// Programs that can only be loaded: github.com/cilium/ebpf, which runc uses, loads one to find out whether there is BPF_PROG_ATTACH.
const PROG_TYPE_CGROUP_SKB: u32 = 8;
/// The places for both types.
const CGROUP_DEVICE: u32 = 6;
const CGROUP_INET_INGRESS: u32 = 0;
const CGROUP_INET_EGRESS: u32 = 1;

/// `union bpf_attr`, as much of it as was given; what is missing is zero.
struct Attributes {
    address: UserPtr<u8>,
    bytes: Vec<u8>,
}

impl Attributes {
    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        for (to, from) in field.iter_mut().zip(self.bytes.iter().skip(at)) {
            *to = *from;
        }
        field
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.field(at))
    }

    fn fd(&self, at: usize) -> Fd {
        Fd(self.word(at).cast_signed())
    }

    fn pointer(&self, at: usize) -> UserPtr<u8> {
        UserPtr::new(u64::from_le_bytes(self.field(at)) as usize)
    }

    fn answer(&self, at: usize, value: u32) -> Result<()> {
        self.address.cast_at::<u32>(at).write(&value)
    }
}

/// An open program.
#[derive(Debug)]
struct ProgramFile(Arc<DeviceProgram>);

impl FileOps for ProgramFile {}

/// Loads, attaches, detaches and tells of programs.
pub fn sys_bpf(command: u32, attributes: UserPtr<u8>, size: u32, context: &mut Context<'_>) -> Result<usize> {
    let credentials = context.process.credentials();
    let is_administrator = credentials.has(Capability::SysAdmin);
    let is_capable = credentials.has(Capability::Bpf) && credentials.has(Capability::NetAdmin);
    if !(is_administrator || is_capable) {
        return Err(Errno::EPERM.into());
    }
    if size as usize > PAGE_SIZE {
        return Err(Errno::E2BIG.into());
    }
    let attributes = Attributes { address: attributes, bytes: attributes.read_array(size as usize)? };
    match command {
        PROG_LOAD => load(&attributes, context),
        PROG_ATTACH => attach(&attributes, context).map(|()| 0),
        PROG_DETACH => {
            // Where there is one only, it need not be named.
            let program = program(attributes.fd(4), context).ok();
            group(&attributes, attributes.word(8), context)?.detach_device_program(program.as_ref())?;
            Ok(0)
        }
        PROG_QUERY => query(&attributes, context).map(|()| 0),
        PROG_GET_FD_BY_ID if !is_administrator => Err(Errno::EPERM.into()),
        PROG_GET_FD_BY_ID => open(DeviceProgram::find(attributes.word(0)).ok_or(Errno::ENOENT)?, context),
        OBJ_GET_INFO_BY_FD => tell(&attributes, context).map(|()| 0),
        _ => Err(Error::with(Errno::EINVAL, "no such command, or one for programs that there are not")),
    }
}

fn load(attributes: &Attributes, context: &Context<'_>) -> Result<usize> {
    let count = attributes.word(4) as usize;
    if count == 0 || count > LEN_MAX {
        return Err(Errno::E2BIG.into());
    }
    let kind = attributes.word(0);
    if !matches!(kind, PROG_TYPE_CGROUP_DEVICE | PROG_TYPE_CGROUP_SKB) {
        return Err(Error::with(Errno::EINVAL, "only programs for devices of control groups"));
    }
    let bytes = attributes.pointer(8).read_array(count * INSTRUCTION_LEN)?;
    let program = Program::load(&bytes).map_err(|_| Errno::EINVAL)?;
    open(DeviceProgram::new(program, attributes.field(48), kind == PROG_TYPE_CGROUP_DEVICE)?, context)
}

fn open(program: Arc<DeviceProgram>, context: &Context<'_>) -> Result<usize> {
    let file = OpenFile::new(pseudo::anonymous_path("bpf-prog"), Arc::new(ProgramFile(program)), O_RDWR);
    Ok(context.install(file, true)?.0 as usize)
}

fn program(fd: Fd, context: &Context<'_>) -> Result<Arc<DeviceProgram>> {
    let file = context.process.fds().get(fd)?;
    Ok(file.downcast::<ProgramFile>().ok_or(Errno::EINVAL)?.0.clone())
}

/// The group that the attributes name, for a place for programs.
fn group(attributes: &Attributes, place: u32, context: &Context<'_>) -> Result<Arc<Cgroup>> {
    if !matches!(place, CGROUP_DEVICE | CGROUP_INET_INGRESS | CGROUP_INET_EGRESS) {
        return Err(Errno::EINVAL.into());
    }
    let group = cgroupfs::group_of(&*context.process.fds().get(attributes.fd(0))?)?;
    if place == CGROUP_DEVICE {
        Ok(group)
    } else {
        Err(Error::with(Errno::EOPNOTSUPP, "no programs look at packets"))
    }
}

fn attach(attributes: &Attributes, context: &Context<'_>) -> Result<()> {
    let flags = attributes.word(12);
    if flags & !(devices::ALLOW_OVERRIDE | devices::ALLOW_MULTI | devices::REPLACE) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let new = program(attributes.fd(4), context)?;
    if new.is_for_devices() != (attributes.word(8) == CGROUP_DEVICE) {
        return Err(Errno::EINVAL.into());
    }
    let group = group(attributes, attributes.word(8), context)?;
    let replaced =
        if flags & devices::REPLACE != 0 { Some(program(attributes.fd(16), context)?) } else { None };
    group.attach_device_program(new, flags, replaced.as_ref())
}

/// The numbers of a group's own programs.
// COMPAT: BPF_F_QUERY_EFFECTIVE, which no container runtime asks for, is refused.
fn query(attributes: &Attributes, context: &Context<'_>) -> Result<()> {
    if attributes.word(8) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (flags, ids) = group(attributes, attributes.word(4), context)?.devices.attached();
    let (room, out) = (attributes.word(24) as usize, attributes.pointer(16));
    attributes.answer(12, flags)?;
    attributes.answer(24, ids.len() as u32)?;
    if room == 0 || out.is_null() || ids.is_empty() {
        return Ok(());
    }
    out.cast_at::<u32>(0).write_array(&ids[..room.min(ids.len())])?;
    if room < ids.len() { Err(Errno::ENOSPC.into()) } else { Ok(()) }
}

/// `struct bpf_prog_info`, up to the name.
fn tell(attributes: &Attributes, context: &Context<'_>) -> Result<()> {
    const LEN: usize = 80;
    let program = program(attributes.fd(0), context)?;
    let mut info = [0; LEN];
    let mut put = |at: usize, bytes: &[u8]| info[at..at + bytes.len()].copy_from_slice(bytes);
    let kind = if program.is_for_devices() { PROG_TYPE_CGROUP_DEVICE } else { PROG_TYPE_CGROUP_SKB };
    put(0, &kind.to_le_bytes());
    put(4, &program.id().to_le_bytes());
    put(20, &((program.len() * INSTRUCTION_LEN) as u32).to_le_bytes());
    put(64, &program.name());
    let len = LEN.min(attributes.word(4) as usize);
    attributes.pointer(8).write_array(&info[..len])?;
    attributes.answer(4, len as u32)
}
