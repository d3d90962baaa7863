//! The control protocol between host and PID 1: one JSON object a line, over the port `coffer.control`.
//!
//! [`Command`]s go to the machine, [`Event`]s come back. The first command, [`Command::Run`] or [`Command::Engine`], says what kind
//! of machine this is. `runtime/init` is one side, `tests/harness` and `deploy/coffer` are the other.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// The port's name in the machine.
pub const PORT: &str = "coffer.control";

/// Host to machine. An untrusted host's: unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// First line only: run one container, then power off.
    Run(Box<Run>),
    /// First line only: be an engine machine, which is configured by its disk and driven over its network.
    Engine(Empty),
    /// Send this signal to the container's first process.
    Signal(i32),
    /// The host's terminal has another size now.
    Resize(Size),
    /// The last event is here, and so is all output that it tells of: the machine may go.
    Received(Empty),
    /// Stop everything and power off: an engine machine.
    PowerOff(Empty),
}

/// Nothing: an object without keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// What to run, and how it differs from what the image says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// Replaces the image's Cmd.
    pub args: Option<Vec<String>>,
    /// Replaces the image's Entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// `K=V`, added to the image's environment.
    pub env: Vec<String>,
    /// Replaces the image's User.
    pub user: Option<String>,
    /// Replaces the image's WorkingDir.
    pub workdir: Option<String>,
    /// The container's host name.
    pub hostname: Option<String>,
    /// A terminal of that size, or none.
    pub tty: Option<Size>,
    /// Whether the container's root is read-only.
    pub read_only: bool,
    /// Whether exec may not add privileges.
    pub no_new_privileges: bool,
    /// Which image, where the archive holds several: a reference name or tag.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// How many containers to run, one after the other. None is one.
    pub repeat: Option<u32>,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

/// Machine to host. A host skips what it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A phase of the boot has begun.
    Phase(String),
    /// How far the phase is.
    Progress {
        /// What is being done.
        what: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The container runs.
    Started {
        /// Its first process, in the runtime's PID namespace.
        pid: i32,
    },
    /// One of several containers has ended.
    Round {
        /// Its number, from 1.
        n: u32,
        /// Its exit status.
        code: u8,
    },
    /// The last container has ended; the last line.
    Exit {
        /// Its exit status, 128 + n after signal n.
        code: u8,
        /// Bytes that were written to the port of the output.
        #[serde(default)]
        stdout: u64,
        /// Bytes that were written to the port of the error output.
        #[serde(default)]
        stderr: u64,
    },
    /// The runtime could not do what it was asked; the last line.
    Error {
        /// 125, 126 or 127 as docker has them.
        code: u8,
        /// One line that names the thing.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(line: &str) -> Result<Command, serde_json::Error> {
        serde_json::from_str(line)
    }

    #[test]
    fn a_request_may_leave_out_what_it_does_not_want() {
        let run = decode(r#"{"run":{"args":["sh"],"ref":"x:1","tty":{"rows":2,"cols":3}}}"#).unwrap();
        let expected = Run {
            args: Some(vec!["sh".to_owned()]),
            reference: Some("x:1".to_owned()),
            tty: Some(Size { rows: 2, cols: 3 }),
            ..Run::default()
        };
        assert_eq!(run, Command::Run(Box::new(expected)));
    }

    #[test]
    fn commands_have_one_form() {
        let commands = [
            (Command::Signal(15), r#"{"signal":15}"#),
            (Command::Received(Empty {}), r#"{"received":{}}"#),
            (Command::Engine(Empty {}), r#"{"engine":{}}"#),
            (Command::PowerOff(Empty {}), r#"{"power_off":{}}"#),
            (Command::Resize(Size { rows: 24, cols: 80 }), r#"{"resize":{"rows":24,"cols":80}}"#),
        ];
        for (command, text) in commands {
            assert_eq!(serde_json::to_string(&command).unwrap(), text);
            assert_eq!(decode(text).unwrap(), command);
        }
        let run = Command::Run(Box::default());
        assert_eq!(decode(&serde_json::to_string(&run).unwrap()).unwrap(), run);
    }

    #[test]
    fn unknown_keys_of_commands_are_errors() {
        for line in [
            r#"{"run":{"argz":[]}}"#,
            r#"{"stop":1}"#,
            r#"{"engine":{"x":1}}"#,
            r#"{"resize":{"rows":1,"cols":2,"x":3}}"#,
            "",
            "{}",
        ] {
            assert!(decode(line).is_err(), "{line}");
        }
    }

    #[test]
    fn events_are_one_object_a_line() {
        let event = Event::Progress { what: "layer\nx".to_owned(), done: 1, total: 2 };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(text, r#"{"progress":{"what":"layer\nx","done":1,"total":2}}"#);
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        let event = serde_json::from_str::<Event>(r#"{"started":{"pid":2,"more":1}}"#).unwrap();
        assert_eq!(event, Event::Started { pid: 2 });
    }
}
