//! The files of the cpu controller.

use super::table::{Taken, line, number};
use crate::cgroup::Cgroup;
use crate::error::{Errno, Result};
use crate::fs::synthetic::Text;
use crate::sched::share::{DEFAULT_WEIGHT, Share, UNLIMITED};
use alloc::sync::Arc;
use coffer_run_queue::NICE_0_WEIGHT;
use core::sync::atomic::Ordering;

const NS_PER_US: u64 = 1000;
/// The shortest and the longest period, and the shortest quota, in microseconds.
const PERIOD_US: core::ops::RangeInclusive<u64> = 1000..=1_000_000;
const QUOTA_MIN_US: u64 = 1000;

fn share(cgroup: &Cgroup) -> Result<&Arc<Share>> {
    cgroup.share.as_ref().ok_or(Errno::ENODEV.into())
}

pub fn show_weight(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, share(cgroup)?.weight())
}

pub fn store_weight(taken: &Taken<'_>) -> Result<()> {
    let weight = u32::try_from(number(taken.word)?).map_err(|_| Errno::ERANGE)?;
    if !(1..=10_000).contains(&weight) {
        return Err(Errno::ERANGE.into());
    }
    share(taken.cgroup)?.set_weight(weight);
    Ok(())
}

/// The weight that a nice value stands for.
fn weight_of(nice: i32) -> u32 {
    let weight = coffer_run_queue::weight(nice) * u64::from(DEFAULT_WEIGHT);
    ((weight + NICE_0_WEIGHT / 2) / NICE_0_WEIGHT).max(1) as u32
}

pub fn show_weight_nice(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    let weight = share(cgroup)?.weight();
    line(text, (-20..20).min_by_key(|nice| weight_of(*nice).abs_diff(weight)).unwrap_or(0))
}

pub fn store_weight_nice(taken: &Taken<'_>) -> Result<()> {
    let nice = i32::try_from(number(taken.word)?).map_err(|_| Errno::ERANGE)?;
    if !(-20..20).contains(&nice) {
        return Err(Errno::ERANGE.into());
    }
    share(taken.cgroup)?.set_weight(weight_of(nice));
    Ok(())
}

pub fn show_max(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    let (quota_ns, period_ns) = share(cgroup)?.limit_ns();
    let period_us = period_ns / NS_PER_US;
    if quota_ns == UNLIMITED {
        return line(text, format_args!("max {period_us}"));
    }
    line(text, format_args!("{} {period_us}", quota_ns / NS_PER_US))
}

/// A quota and, if it is to change, a period: `max`, `50000`, `50000 100000`.
pub fn store_max(taken: &Taken<'_>) -> Result<()> {
    let share = share(taken.cgroup)?;
    let mut words = taken.word.split_ascii_whitespace();
    let (quota, period) = (words.next().ok_or(Errno::EINVAL)?, words.next());
    let microseconds = |word: &str| word.parse::<u64>().map_err(|_| Errno::EINVAL);
    let period_us = period.map_or(Ok(share.limit_ns().1 / NS_PER_US), microseconds)?;
    if !PERIOD_US.contains(&period_us) || words.next().is_some() {
        return Err(Errno::EINVAL.into());
    }
    let quota_ns = match quota {
        "max" => UNLIMITED,
        quota => {
            let quota_us = microseconds(quota)?;
            if quota_us < QUOTA_MIN_US {
                return Err(Errno::EINVAL.into());
            }
            quota_us.checked_mul(NS_PER_US).ok_or(Errno::EINVAL)?
        }
    };
    share.set_limit_ns(quota_ns, period_us * NS_PER_US);
    Ok(())
}

/// What cpu.stat says of throttling.
pub fn show_throttling(cgroup: &Cgroup, text: &mut Text) {
    let Some(share) = &cgroup.share else { return };
    let count = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    text.add(format_args!(
        "nr_periods {}\nnr_throttled {}\nthrottled_usec {}\n",
        count(&share.counts.periods),
        count(&share.counts.throttled),
        count(&share.counts.throttled_ns) / NS_PER_US,
    ));
}
