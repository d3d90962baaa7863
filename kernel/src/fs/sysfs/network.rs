//! /sys/class/net: the links of the reader's network namespace, each a link to its directory in /sys/devices/virtual/net.

use super::line;
use crate::error::{Errno, Result};
use crate::fs::synthetic::{Directory, Emit, Link as Symlink, Listing, Source, Text, TextFile, Volume};
use crate::fs::vfs::inode::{FileType, Inode};
use crate::net::link::Link;
use crate::net::netlink::rtnetlink::operational_state;
use crate::net::ns::NetNs;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

type Show = fn(&Link, &mut Text) -> Result<()>;

/// Where the directories are, from the top.
const PLACE: &str = "devices/virtual/net";

#[rustfmt::skip]
const FILES: &[(&str, Show)] = &[
    ("addr_assign_type", |_, text| line(text, 0)),
    ("addr_len", |_, text| line(text, 6)),
    ("address", |link, text| line(text, mac(link.mac().0))),
    ("broadcast", |link, text| line(text, mac(if link.is_loopback() { [0; 6] } else { [0xff; 6] }))),
    ("carrier", show_carrier),
    ("carrier_changes", |_, text| line(text, 0)),
    ("dev_id", |_, text| line(text, "0x0")),
    ("dev_port", |_, text| line(text, 0)),
    ("dormant", |_, text| line(text, 0)),
    ("duplex", |link, text| if link.is_up() { line(text, "full") } else { Err(Errno::EINVAL.into()) }),
    ("flags", |link, text| line(text, format_args!("{:#x}", link.flags() & 0xffff))),
    ("ifalias", |link, text| line(text, link.alias())),
    ("ifindex", |link, text| line(text, link.index())),
    ("iflink", |link, text| line(text, link.peer().map_or(link.index(), |peer| peer.index()))),
    ("link_mode", |_, text| line(text, 0)),
    ("mtu", |link, text| line(text, link.mtu())),
    ("operstate", |link, text| line(text, state(operational_state(link)))),
    ("speed", show_speed),
    ("tx_queue_len", |link, text| line(text, link.queue_len())),
    ("type", |link, text| line(text, link.hardware_type())),
    ("uevent", |link, text| line(text, format_args!("INTERFACE={}\nIFINDEX={}", link.name(), link.index()))),
];

const STATISTICS: &[(&str, Show)] = &[
    ("collisions", |_, text| line(text, 0)),
    ("multicast", |_, text| line(text, 0)),
    ("rx_bytes", |link, text| line(text, link.counters.received().bytes)),
    ("rx_compressed", |_, text| line(text, 0)),
    ("rx_dropped", |link, text| line(text, link.counters.received().dropped)),
    ("rx_errors", |link, text| line(text, link.counters.received().errors)),
    ("rx_packets", |link, text| line(text, link.counters.received().packets)),
    ("tx_bytes", |link, text| line(text, link.counters.sent().bytes)),
    ("tx_compressed", |_, text| line(text, 0)),
    ("tx_dropped", |link, text| line(text, link.counters.sent().dropped)),
    ("tx_errors", |link, text| line(text, link.counters.sent().errors)),
    ("tx_packets", |link, text| line(text, link.counters.sent().packets)),
];

/// Fills both places.
pub fn fill(volume: &Arc<Volume>, class: &Directory, devices: &Directory) {
    let face = || volume.next_face(FileType::Directory, 0o555);
    class.add(
        "net",
        Directory::with_listing(volume, face(), Links { volume: volume.clone(), is_class: true }),
    );
    devices.add(
        "net",
        Directory::with_listing(volume, face(), Links { volume: volume.clone(), is_class: false }),
    );
}

/// All links: as symbolic links in the class, as directories among the devices.
#[derive(Debug)]
struct Links {
    volume: Arc<Volume>,
    is_class: bool,
}

impl Listing for Links {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let link = find(name)?;
        if self.is_class {
            let face = self.volume.next_face(FileType::Symlink, 0o777);
            return Ok(Symlink::new(face, Arc::new(format!("../../{PLACE}/{}", link.name()))));
        }
        let face = || self.volume.next_face(FileType::Directory, 0o555);
        let directory = Directory::with_listing(&self.volume, face(), Files::new(&self.volume, &link, FILES));
        let statistics = Files::new(&self.volume, &link, STATISTICS);
        directory.add("statistics", Directory::with_listing(&self.volume, face(), statistics));
        directory.link("subsystem", "../../../../class/net");
        directory.subdirectory("queues");
        match link.kind() {
            Some("bridge") => directory.subdirectory("bridge").text("stp_state", |text| line(text, 0)),
            _ => {
                if let Some(master) = link.master() {
                    directory.link("master", format!("../{}", master.name()));
                }
            }
        }
        Ok(directory)
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        let file_type = if self.is_class { FileType::Symlink } else { FileType::Directory };
        for link in NetNs::current()?.links() {
            let index = u64::from(link.index());
            if index > from && !emit(link.name().as_bytes(), index, file_type, index) {
                break;
            }
        }
        Ok(())
    }

    fn is_current(&self, _: &[u8], _: &Arc<dyn Inode>) -> bool {
        // Made anew: another namespace's link of the same name may be another kind of link.
        false
    }
}

/// The files of one link, found by its name, so that whoever looks sees a link of their own namespace.
#[derive(Debug)]
struct Files {
    volume: Arc<Volume>,
    name: String,
    rows: &'static [(&'static str, Show)],
}

impl Files {
    fn new(volume: &Arc<Volume>, link: &Link, rows: &'static [(&'static str, Show)]) -> Self {
        Self { volume: volume.clone(), name: link.name(), rows }
    }
}

impl Listing for Files {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let (_, show) = self.rows.iter().find(|(row, _)| row.as_bytes() == name).ok_or(Errno::ENOENT)?;
        let face = self.volume.next_face(FileType::Regular, 0o444);
        Ok(TextFile::new(face, Arc::new(File { name: self.name.clone(), show: *show })))
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        for (index, (name, _)) in (0..).zip(self.rows).skip(usize::try_from(from).unwrap_or(usize::MAX)) {
            // Numbers come with the look-up.
            if !emit(name.as_bytes(), index + 1, FileType::Regular, index + 1) {
                break;
            }
        }
        Ok(())
    }
}

/// One file.
struct File {
    name: String,
    show: Show,
}

impl core::fmt::Debug for File {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("File").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source for File {
    fn show(&self, text: &mut Text) -> Result<()> {
        (self.show)(&*find(self.name.as_bytes()).map_err(|_| Errno::ENODEV)?, text)
    }
}

fn find(name: &[u8]) -> Result<Arc<Link>> {
    let name = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
    NetNs::current()?.link_by_name(name).ok_or(Errno::ENOENT.into())
}

fn show_carrier(link: &Link, text: &mut Text) -> Result<()> {
    // As on Linux, nobody knows while the link is down.
    if link.is_up() { line(text, u8::from(link.has_carrier())) } else { Err(Errno::EINVAL.into()) }
}

fn show_speed(link: &Link, text: &mut Text) -> Result<()> {
    match link.kind() {
        Some("veth") if link.is_up() => line(text, 10_000),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// RFC 2863's states by name.
fn state(number: u8) -> &'static str {
    match number {
        2 => "down",
        3 => "lowerlayerdown",
        6 => "up",
        _ => "unknown",
    }
}

fn mac(bytes: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = bytes;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
