//! What a terminal's settings are when nobody has changed them.

use coffer_abi_types::tty::control::{B38400, CREAD, CS8, HUPCL};
use coffer_abi_types::tty::input::{ICRNL, IXON};
use coffer_abi_types::tty::local::{ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ICANON, IEXTEN, ISIG};
use coffer_abi_types::tty::output::{ONLCR, OPOST};
use coffer_abi_types::tty::termios2;

/// The settings of a new terminal: lines, echo, signals, and ^C ^\ ^? ^U ^D ^Q ^S ^Z ^R ^O ^W ^V where Linux has them.
pub const INITIAL: termios2 = termios2 {
    c_iflag: ICRNL | IXON,
    c_oflag: OPOST | ONLCR,
    c_cflag: B38400 | CS8 | CREAD | HUPCL,
    c_lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    c_line: 0,
    c_cc: [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0],
    c_ispeed: 38400,
    c_ospeed: 38400,
};
