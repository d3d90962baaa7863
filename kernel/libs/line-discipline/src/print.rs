//! Output: newlines, tabs, the column; and echo.

use super::{Effects, LineDiscipline};
use alloc::vec::Vec;
use coffer_abi_types::tty::local::{ECHO, ECHOCTL};
use coffer_abi_types::tty::output::{OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS};

/// Distance of tab stops.
const TAB: usize = 8;

impl LineDiscipline {
    /// The most bytes that [`Self::print`] makes of one.
    pub fn expansion(&self) -> usize {
        let is_expanding_tabs = self.output(OPOST) && self.settings.c_oflag & TABDLY == XTABS;
        if is_expanding_tabs { TAB } else { 2 }
    }

    /// Processes what a program prints, adding the result to `out`.
    pub fn print(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.print_byte(byte, out);
        }
    }

    /// Echoes what was typed, if it is to be: control characters as `^X`.
    pub(super) fn echo_byte(&mut self, byte: u8, effects: &mut Effects) {
        if !self.local(ECHO) {
            return;
        }
        if self.unfinished == 0 {
            self.start_column = self.column;
        }
        if self.local(ECHOCTL) && is_control(byte) && byte != b'\t' && byte != b'\n' {
            self.column += 2;
            effects.echo.extend_from_slice(&[b'^', byte ^ 0x40]);
        } else {
            self.print_byte(byte, &mut effects.echo);
        }
    }

    /// The columns that the bytes of the line take when they start at `start`.
    pub(super) fn column_after(&self, line: impl Iterator<Item = u8>, start: usize) -> usize {
        line.fold(start, |column, byte| match byte {
            b'\t' => column - column % TAB + TAB,
            _ if is_control(byte) => column + if self.local(ECHOCTL) { 2 } else { 0 },
            _ if self.is_continuation(byte) => column,
            _ => column + 1,
        })
    }

    fn print_byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if !self.output(OPOST) {
            out.push(byte);
            return;
        }
        match byte {
            b'\n' => {
                if self.output(ONLCR) {
                    out.push(b'\r');
                }
                if self.output(ONLCR | ONLRET) {
                    self.column = 0;
                }
                out.push(b'\n');
            }
            b'\r' if self.output(ONOCR) && self.column == 0 => {}
            b'\r' if self.output(OCRNL) => out.push(b'\n'),
            b'\r' => {
                self.column = 0;
                out.push(b'\r');
            }
            b'\t' => {
                let width = TAB - self.column % TAB;
                self.column += width;
                if self.settings.c_oflag & TABDLY == XTABS {
                    out.resize(out.len() + width, b' ');
                } else {
                    out.push(b'\t');
                }
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                out.push(byte);
            }
            _ => {
                self.column += usize::from(!is_control(byte) && !self.is_continuation(byte));
                out.push(if self.output(OLCUC) { byte.to_ascii_uppercase() } else { byte });
            }
        }
    }

    fn output(&self, flags: u32) -> bool {
        self.settings.c_oflag & flags != 0
    }
}

pub(super) fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}
