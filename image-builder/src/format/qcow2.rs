//! QEMU's copy-on-write format, version 3 (<https://www.qemu.org/docs/master/interop/qcow2.html>): clusters of zeros are left out, the others
//! follow each other behind the tables, uncompressed.
//!
//! Layout, in clusters: the header; the refcount table; refcount blocks; the first-level table; second-level tables; data.

use super::{DISK_LIMIT, be32, be64};
use crate::Error;

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";

const VERSION: u32 = 3;
const CLUSTER_BITS: u32 = 16;
const CLUSTER: usize = 1 << CLUSTER_BITS;
const HEADER_LEN: u32 = 104;
/// Second-level entries in a cluster.
const ENTRIES: usize = CLUSTER / 8;
/// Sixteen-bit reference counts in a cluster.
const COUNTS: usize = CLUSTER / 2;
const REFCOUNT_ORDER: u32 = 4;
/// "Refcount is exactly one": set wherever something is stored.
const COPIED: u64 = 1 << 63;
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;

/// Writes `disk` as a qcow2.
///
/// # Errors
/// If the disk is not made of whole sectors, or larger than one table of reference counts covers.
pub fn write(disk: &[u8]) -> Result<Vec<u8>, Error> {
    if !disk.len().is_multiple_of(512) {
        return Err(bad("the disk is not made of whole sectors"));
    }
    let chunks: Vec<&[u8]> = disk.chunks(CLUSTER).collect();
    let tables = chunks.len().div_ceil(ENTRIES).max(1);
    let data = chunks.iter().filter(|chunk| !is_zero(chunk)).count();
    let others = 1 + 1 + 1 + tables + data;
    // The blocks count themselves as well; one more round settles it.
    let blocks = (others + others.div_ceil(COUNTS) + 1).div_ceil(COUNTS);
    let total = others + blocks;
    if total > ENTRIES * COUNTS || tables > ENTRIES {
        return Err(Error::TooLarge { part: "the disk", size: disk.len() as u64, room: DISK_LIMIT });
    }
    let (refcount_table, first_block) = (1, 2);
    let first_level = first_block + blocks;
    let first_table = first_level + 1;

    let mut file = vec![0; total * CLUSTER];
    let header = Header {
        size: disk.len() as u64,
        tables: tables as u32,
        first_level: offset(first_level),
        refcount_table: offset(refcount_table),
    };
    put(&mut file, 0, &header.encode());
    for block in 0..blocks {
        let at = refcount_table * CLUSTER + block * 8;
        put(&mut file, at, &offset(first_block + block).to_be_bytes());
    }
    for cluster in 0..total {
        put(&mut file, first_block * CLUSTER + cluster * 2, &1_u16.to_be_bytes());
    }
    for table in 0..tables {
        let entry = offset(first_table + table) | COPIED;
        put(&mut file, first_level * CLUSTER + table * 8, &entry.to_be_bytes());
    }
    let stored = chunks.iter().enumerate().filter(|(_, chunk)| !is_zero(chunk));
    for (next, (index, chunk)) in (first_table + tables..).zip(stored) {
        // The second-level tables follow each other, so an entry's place needs no division.
        put(&mut file, first_table * CLUSTER + index * 8, &(offset(next) | COPIED).to_be_bytes());
        put(&mut file, next * CLUSTER, chunk);
    }
    Ok(file)
}

/// The disk in a qcow2 without backing file, compression and encryption.
///
/// # Errors
/// If it has one of these, or an offset leads outside of the file.
pub fn read(file: &[u8]) -> Result<Vec<u8>, Error> {
    let header = Header::decode(file)?;
    let size = usize::try_from(header.size).map_err(bad)?;
    let mut disk = vec![0; size];
    for (index, chunk) in disk.chunks_mut(CLUSTER).enumerate() {
        let outside = || bad("an offset leads outside of the file");
        let entry = |table: u64, index: usize| -> Result<u64, Error> {
            let at = usize::try_from(table).map_err(bad)?.checked_add(index * 8).ok_or_else(outside)?;
            be64(file, at).ok_or_else(outside)
        };
        let table = entry(header.first_level, index / ENTRIES)? & OFFSET_MASK;
        if table == 0 {
            continue;
        }
        let entry = entry(table, index % ENTRIES)?;
        if entry & COMPRESSED != 0 {
            return Err(bad("it is compressed"));
        }
        let from = usize::try_from(entry & OFFSET_MASK).map_err(bad)?;
        if from != 0 {
            let end = from.checked_add(chunk.len()).ok_or_else(outside)?;
            chunk.copy_from_slice(file.get(from..end).ok_or_else(outside)?);
        }
    }
    Ok(disk)
}

/// The fields of the header that differ between files.
struct Header {
    size: u64,
    tables: u32,
    first_level: u64,
    refcount_table: u64,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let mut add32 = |number: u32| bytes.extend(number.to_be_bytes());
        add32(VERSION);
        // No backing file: offset of eight bytes and length.
        [0, 0, 0, CLUSTER_BITS].into_iter().for_each(&mut add32);
        bytes.extend(self.size.to_be_bytes());
        // No encryption.
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(self.tables.to_be_bytes());
        bytes.extend(self.first_level.to_be_bytes());
        bytes.extend(self.refcount_table.to_be_bytes());
        bytes.extend(1_u32.to_be_bytes());
        // No snapshots: count of four bytes and offset; no features of the three kinds.
        bytes.extend([0; 4 + 8 + 3 * 8]);
        bytes.extend(REFCOUNT_ORDER.to_be_bytes());
        bytes.extend(HEADER_LEN.to_be_bytes());
        bytes
    }

    fn decode(file: &[u8]) -> Result<Self, Error> {
        let short = || bad("truncated");
        let number = |at| be32(file, at).ok_or_else(short);
        let long = |at| be64(file, at).ok_or_else(short);
        if !file.starts_with(&MAGIC) || number(4)? != VERSION {
            return Err(bad("not a qcow2 of version 3"));
        }
        if long(8)? != 0 || number(20)? != CLUSTER_BITS || number(32)? != 0 || long(72)? != 0 {
            return Err(bad("a backing file, an encryption, another cluster size or an unknown feature"));
        }
        let size = long(24)?;
        if size > DISK_LIMIT {
            return Err(Error::TooLarge { part: "the disk of a qcow2", size, room: DISK_LIMIT });
        }
        Ok(Self { size, tables: number(36)?, first_level: long(40)?, refcount_table: long(48)? })
    }
}

fn offset(cluster: usize) -> u64 {
    (cluster * CLUSTER) as u64
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    // The file was made for what is put into it.
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn bad(reason: impl ToString) -> Error {
    Error::input("the qcow2", reason)
}
