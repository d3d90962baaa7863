//! Editing the line that is being typed: erase, kill, word erase, reprint.

use super::{Effects, LineDiscipline};
use coffer_abi_types::tty::input::IUTF8;
use coffer_abi_types::tty::local::{ECHO, ECHOE, ECHOK, ECHOKE};

impl LineDiscipline {
    /// VERASE: takes the last character back.
    pub(super) fn erase_character(&mut self, key: u8, effects: &mut Effects) {
        if self.unfinished == 0 {
            return;
        }
        self.remove_last();
        self.show_erased(key, effects);
    }

    /// VWERASE: takes back what is after the last word, and the word.
    pub(super) fn erase_word(&mut self, key: u8, effects: &mut Effects) {
        if self.unfinished == 0 {
            return;
        }
        let mut has_seen_word = false;
        while self.unfinished > 0 {
            let is_word =
                self.input.back().is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80);
            if has_seen_word && !is_word {
                break;
            }
            has_seen_word |= is_word;
            self.remove_last();
        }
        self.show_erased(key, effects);
    }

    /// VKILL: takes the whole line back.
    pub(super) fn erase_line(&mut self, key: u8, effects: &mut Effects) {
        if self.unfinished == 0 {
            return;
        }
        let left = self.input.len() - self.unfinished;
        self.input.truncate(left);
        self.unfinished = 0;
        if self.local(ECHOE) && self.local(ECHOK) && self.local(ECHOKE) {
            self.show_erased(key, effects);
        } else {
            self.echo_byte(key, effects);
            if self.local(ECHO) && self.local(ECHOK) {
                self.print(b"\n", &mut effects.echo);
            }
        }
    }

    /// VREPRINT: shows the line again.
    pub(super) fn reprint(&mut self, key: u8, effects: &mut Effects) {
        self.echo_byte(key, effects);
        self.print(b"\n", &mut effects.echo);
        self.start_column = self.column;
        let from = self.input.len() - self.unfinished;
        for at in from..self.input.len() {
            let byte = self.input[at];
            self.echo_byte(byte, effects);
        }
    }

    /// Whether `byte` goes on with a character that began before.
    pub(super) fn is_continuation(&self, byte: u8) -> bool {
        self.input_flag(IUTF8) && byte & 0xc0 == 0x80
    }

    fn remove_last(&mut self) {
        while self.unfinished > 0 {
            self.unfinished -= 1;
            let Some(byte) = self.input.pop_back() else { return };
            if !self.is_continuation(byte) {
                return;
            }
        }
    }

    /// Wipes the columns that what is left of the line does not take.
    fn show_erased(&mut self, key: u8, effects: &mut Effects) {
        if !self.local(ECHO) {
            return;
        }
        if !self.local(ECHOE) {
            self.echo_byte(key, effects);
            return;
        }
        let from = self.input.len() - self.unfinished;
        let column = self.column_after(self.input.range(from..).copied(), self.start_column);
        while self.column > column {
            self.column -= 1;
            effects.echo.extend_from_slice(b"\x08 \x08");
        }
    }
}
