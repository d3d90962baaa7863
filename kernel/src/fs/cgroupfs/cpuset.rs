//! The files of the cpuset controller: lists of numbers and ranges, `0-2,4`.

use super::table::Taken;
use crate::cgroup::Cgroup;
use crate::error::{Errno, Result};
use crate::fs::proc::show_list;
use crate::fs::synthetic::Text;
use alloc::sync::Arc;

fn show(bits: u64, text: &mut Text) -> Result<()> {
    show_list(bits, text);
    text.bytes(b"\n");
    Ok(())
}

/// The numbers in a list, a bit each; none in an empty one.
fn numbers(list: &str) -> Result<u64> {
    let mut bits = 0;
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u32>().map_err(|_| Errno::EINVAL);
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(Errno::EINVAL.into());
        }
        if last >= u64::BITS {
            return Err(Errno::ERANGE.into());
        }
        bits |= (u64::MAX >> (u64::BITS - 1 - (last - first))) << first;
    }
    Ok(bits)
}

pub fn show_cpus(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show(cgroup.chosen_cpus(), text)
}

pub fn store_cpus(taken: &Taken<'_>) -> Result<()> {
    taken.cgroup.choose_cpus(numbers(taken.word)?)?;
    // Whoever did that to itself leaves this CPU, if it has to.
    ostd::task::yield_now();
    Ok(())
}

pub fn show_effective_cpus(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show(cgroup.effective_cpus(), text)
}

/// There is one memory node, which everybody has.
pub fn show_mems(_: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show(0, text)
}

pub fn store_mems(taken: &Taken<'_>) -> Result<()> {
    match numbers(taken.word)? {
        0 | 1 => Ok(()),
        _ => Err(Errno::EINVAL.into()),
    }
}

pub fn show_effective_mems(_: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show(1, text)
}
