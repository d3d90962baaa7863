//! The life of a guest page: pending, private, shared, and the sizes at which the VMM maps.
//!
//! One byte a page of 4 KiB. A large page is 512 of them that all carry [`LARGE`]: the VMM has mapped it in one piece. Whatever splits it
//! (an acceptance or a conversion of a part) takes the flag from all of them, and that is what makes an acceptance of 2 MiB fail
//! with a size mismatch afterwards, as TDG.MEM.PAGE.ACCEPT does where the secure EPT has a table rather than a leaf.

/// Pages in a large page.
pub const PER_LARGE: usize = 512;

const STATE: u8 = 0b11;
/// Mapped as part of a large page.
const LARGE: u8 = 1 << 2;
/// Its private backing may hold something.
const USED: u8 = 1 << 3;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nothing is mapped.
    Absent = 0,
    /// Added by the VMM, not accepted by the guest.
    Pending = 1,
    /// The guest's own.
    Private = 2,
    /// Everybody's.
    Shared = 3,
}

/// At which size a guest accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl Size {
    /// In pages of 4 KiB.
    #[must_use]
    pub const fn pages(self) -> usize {
        match self {
            Self::Small => 1,
            Self::Large => PER_LARGE,
        }
    }
}

/// What becomes of an acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The pages are the guest's.
    Done,
    /// They were before.
    Already,
    /// They are mapped in smaller pieces.
    SizeMismatch,
    /// Nothing is there to be accepted; only the VMM can help.
    Violation,
}

/// The states of all pages.
#[derive(Debug)]
pub struct Pages<'a>(&'a mut [u8]);

impl<'a> Pages<'a> {
    /// All of them pending, in large pieces, except for each `split_every`th large page (0: none), which is in small ones.
    pub fn new(bytes: &'a mut [u8], split_every: usize) -> Self {
        for (number, large) in bytes.chunks_mut(PER_LARGE).enumerate() {
            let is_split = split_every != 0 && number % split_every == split_every - 1;
            let is_large = large.len() == PER_LARGE && !is_split;
            large.fill(State::Pending as u8 | if is_large { LARGE } else { 0 });
        }
        Self(bytes)
    }

    /// What a page is.
    #[must_use]
    pub fn state(&self, page: usize) -> State {
        match self.0.get(page).map_or(0, |byte| byte & STATE) {
            1 => State::Pending,
            2 => State::Private,
            3 => State::Shared,
            _ => State::Absent,
        }
    }

    /// Number of pages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The guest accepts at `page`, which is aligned to `size`. On [`Accepted::Done`] whoever keeps the memory clears what
    /// [`Self::take_used`] says.
    pub fn accept(&mut self, page: usize, size: Size) -> Accepted {
        let Some(&byte) = self.0.get(page) else { return Accepted::Violation };
        let is_leaf = size == Size::Small || byte & LARGE != 0;
        match self.state(page) {
            State::Absent | State::Shared if is_leaf || size == Size::Small => Accepted::Violation,
            _ if !is_leaf => Accepted::SizeMismatch,
            State::Private => Accepted::Already,
            _ => {
                if size == Size::Small {
                    // The VMM maps it anew in small pieces, and the guest's call is done again.
                    self.split(page);
                }
                for byte in self.0.iter_mut().skip(page).take(size.pages()) {
                    *byte = *byte & !STATE | State::Private as u8;
                }
                Accepted::Done
            }
        }
    }

    /// Whether the page's private backing may hold something; from now on it may.
    pub fn take_used(&mut self, page: usize) -> bool {
        let Some(byte) = self.0.get_mut(page) else { return false };
        let was_used = *byte & USED != 0;
        *byte |= USED;
        was_used
    }

    /// The VMM makes the page shared, or pending if it was shared.
    pub fn convert(&mut self, page: usize, is_shared: bool) {
        self.split(page);
        let Some(byte) = self.0.get_mut(page) else { return };
        let is_now_shared = *byte & STATE == State::Shared as u8;
        let state = match (is_shared, is_now_shared) {
            (true, _) => State::Shared,
            (false, true) => State::Pending,
            (false, false) => return,
        };
        *byte = *byte & !STATE | state as u8;
    }

    /// The VMM maps a large page in one piece again, if all of it is pending.
    pub fn join(&mut self, page: usize) {
        let first = page - page % PER_LARGE;
        if let Some(large) = self.0.get_mut(first..first + PER_LARGE)
            && large.iter().all(|byte| byte & STATE == State::Pending as u8)
        {
            large.iter_mut().for_each(|byte| *byte |= LARGE);
        }
    }

    fn split(&mut self, page: usize) {
        let first = page - page % PER_LARGE;
        if self.0.get(first).is_some_and(|byte| byte & LARGE != 0) {
            self.0.iter_mut().skip(first).take(PER_LARGE).for_each(|byte| *byte &= !LARGE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Accepted, PER_LARGE, Pages, Size, State};

    #[test]
    fn a_large_page_is_accepted_once() {
        let mut bytes = [0; 2 * PER_LARGE];
        let mut pages = Pages::new(&mut bytes, 0);
        assert_eq!(pages.accept(PER_LARGE, Size::Large), Accepted::Done);
        assert_eq!(pages.state(PER_LARGE + 7), State::Private);
        assert_eq!(pages.accept(PER_LARGE, Size::Large), Accepted::Already);
        assert_eq!(pages.accept(PER_LARGE + 3, Size::Small), Accepted::Already);
        assert_eq!(pages.state(3), State::Pending);
    }

    #[test]
    fn a_part_that_was_accepted_splits_the_whole() {
        let mut bytes = [0; PER_LARGE];
        let mut pages = Pages::new(&mut bytes, 0);
        assert_eq!(pages.accept(5, Size::Small), Accepted::Done);
        assert_eq!(pages.accept(0, Size::Large), Accepted::SizeMismatch);
        assert_eq!(pages.accept(5, Size::Small), Accepted::Already);
        assert_eq!(pages.accept(6, Size::Small), Accepted::Done);
    }

    #[test]
    fn some_are_mapped_small_from_the_start() {
        let mut bytes = [0; 2 * PER_LARGE];
        let mut pages = Pages::new(&mut bytes, 2);
        assert_eq!(pages.accept(0, Size::Large), Accepted::Done);
        assert_eq!(pages.accept(PER_LARGE, Size::Large), Accepted::SizeMismatch);
    }

    #[test]
    fn what_was_shared_comes_back_pending() {
        let mut bytes = [0; PER_LARGE];
        let mut pages = Pages::new(&mut bytes, 0);
        assert_eq!(pages.accept(0, Size::Large), Accepted::Done);
        pages.convert(9, true);
        assert_eq!(pages.state(9), State::Shared);
        assert_eq!(pages.accept(9, Size::Small), Accepted::Violation);
        assert_eq!(pages.accept(0, Size::Large), Accepted::SizeMismatch);
        pages.convert(9, false);
        assert_eq!(pages.state(9), State::Pending);
        assert_eq!(pages.accept(9, Size::Small), Accepted::Done);
        assert!(!pages.take_used(9));
        assert!(pages.take_used(9));
    }

    #[test]
    fn pages_beyond_the_end_are_violations() {
        let mut bytes = [0; 3];
        let mut pages = Pages::new(&mut bytes, 0);
        assert_eq!(pages.accept(3, Size::Small), Accepted::Violation);
        assert_eq!(pages.accept(0, Size::Large), Accepted::SizeMismatch);
        pages.convert(3, true);
        assert_eq!(pages.state(3), State::Absent);
    }

    #[test]
    fn a_large_page_that_is_pending_again_can_be_mapped_in_one_piece() {
        let mut bytes = [0; PER_LARGE];
        let mut pages = Pages::new(&mut bytes, 0);
        (0..PER_LARGE).for_each(|page| pages.convert(page, true));
        pages.join(0);
        (0..PER_LARGE).for_each(|page| pages.convert(page, false));
        pages.join(4);
        assert_eq!(pages.accept(0, Size::Large), Accepted::Done);
    }
}
