//! Sets that watch sets: no circles, not too deep, and not by too many ways, because readiness is asked for and announced along them.
//!
//! Each set knows those above and below it ([`Links`]). [`link`] adds an edge and looks, one addition at a time, at every set around it once.

use super::Epoll;
use crate::error::{Errno, Result};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use ostd::sync::{Mutex, MutexGuard, SpinLock};

/// How many sets a chain may have, whichever of its edges comes last.
const LEVELS_MAX: usize = 5;

/// By how many ways what happens in a set may be announced to those above it: all of them are gone at once, with locks held. Sets that each
/// watch all of the next layer make as many as the product of the layers. Linux has such bounds as well, other ones for each level.
const WAYS_MAX: usize = 1000;

/// How many sets and edges are looked at for an addition, while others wait for theirs.
const STEPS_MAX: usize = 10_000;

/// Additions of sets to sets, one at a time: two at once could close a circle that neither sees.
static ADDING: Mutex<()> = Mutex::new(());

/// The sets around one, as often as it watches them or they watch it. Those that are gone are left until there is no room for another one.
#[derive(Debug, Default)]
pub struct Links {
    above: SpinLock<Vec<Weak<Epoll>>>,
    below: SpinLock<Vec<Weak<Epoll>>>,
}

/// An edge that was added. It goes again if it is not kept.
#[derive(Debug)]
pub struct Link<'a> {
    above: &'a Arc<Epoll>,
    below: &'a Arc<Epoll>,
    is_kept: bool,
    _adding: MutexGuard<'static, ()>,
}

/// Adds that `above` watches `below`.
///
/// # Errors
/// ELOOP for a circle and a chain that is too long, EINVAL for too many ways, ENOMEM.
pub fn link<'a>(above: &'a Arc<Epoll>, below: &'a Arc<Epoll>) -> Result<Link<'a>> {
    let adding = ADDING.lock();
    let mut under = Walk::new(|set| &set.links.below);
    let levels = under.visit(below)?.levels + Walk::new(|set| &set.links.above).visit(above)?.levels;
    if under.known.contains_key(&address(above)) || levels > LEVELS_MAX {
        return Err(Errno::ELOOP.into());
    }
    push(&above.links.below, below)?;
    let link = Link { above, below, is_kept: false, _adding: adding };
    push(&below.links.above, above)?;
    let mut over = Walk::new(|set| &set.links.above);
    for set in &under.sets {
        if over.visit(set)?.ways > WAYS_MAX {
            return Err(Errno::EINVAL.into());
        }
    }
    Ok(link)
}

/// `above` watches `below` no more, by one of the ways in which it did.
pub fn unlink(above: &Epoll, below: &Epoll) {
    for (links, other) in [(&above.links.below, below), (&below.links.above, above)] {
        let mut links = links.lock();
        if let Some(at) = links.iter().position(|set| core::ptr::eq(set.as_ptr(), other)) {
            links.swap_remove(at);
        }
    }
}

impl Link<'_> {
    /// It stays.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            unlink(self.above, self.below);
        }
    }
}

fn push(links: &SpinLock<Vec<Weak<Epoll>>>, set: &Arc<Epoll>) -> Result<()> {
    let mut links = links.lock();
    if links.len() == links.capacity() {
        links.retain(|set| set.strong_count() > 0);
    }
    links.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    links.push(Arc::downgrade(set));
    Ok(())
}

fn address(set: &Arc<Epoll>) -> usize {
    Arc::as_ptr(set).addr()
}

/// A walk in one direction, which looks at each set once.
struct Walk {
    next: fn(&Epoll) -> &SpinLock<Vec<Weak<Epoll>>>,
    known: BTreeMap<usize, Reach>,
    /// Those that are known: they stay as long as their addresses are used.
    sets: Vec<Arc<Epoll>>,
    steps: usize,
}

/// What there is in the direction of a walk.
#[derive(Clone, Copy)]
struct Reach {
    /// Sets of the longest chain, this one included.
    levels: usize,
    /// Ways to a set, to this one included.
    ways: usize,
}

impl Walk {
    fn new(next: fn(&Epoll) -> &SpinLock<Vec<Weak<Epoll>>>) -> Self {
        Self { next, known: BTreeMap::new(), sets: Vec::new(), steps: 0 }
    }

    /// Goes no deeper than a chain may be long.
    fn visit(&mut self, set: &Arc<Epoll>) -> Result<Reach> {
        if let Some(reach) = self.known.get(&address(set)) {
            return Ok(*reach);
        }
        let mut around = Vec::new();
        {
            let links = (self.next)(set).lock();
            around.try_reserve_exact(links.len()).map_err(|_| Errno::ENOMEM)?;
            around.extend(links.iter().filter_map(Weak::upgrade));
        }
        self.steps += around.len() + 1;
        if self.steps > STEPS_MAX {
            return Err(Errno::EINVAL.into());
        }
        let mut reach = Reach { levels: 1, ways: 1 };
        for next in around {
            let beyond = self.visit(&next)?;
            reach.levels = reach.levels.max(beyond.levels + 1);
            reach.ways = reach.ways.saturating_add(beyond.ways);
        }
        self.sets.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.sets.push(set.clone());
        self.known.insert(address(set), reach);
        Ok(reach)
    }
}
