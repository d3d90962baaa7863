//! The control protocol: one JSON object a line, over the port `coffer.control`. The other side is `runtime/init`.

use serde::{Deserialize, Serialize};

/// Host to guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What to run; the first line.
    Run(Run),
    /// Send this signal to the container's first process.
    Signal(i32),
    /// The host's terminal has another size now.
    Resize(Size),
    /// The last event is here, and so is all output that it tells of: the machine may go.
    Received {},
}

/// What to run, and how it differs from what the image says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// How many containers to run one after the other.
    pub repeat: u32,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            args: None,
            entrypoint: None,
            env: Vec::new(),
            user: None,
            workdir: None,
            hostname: None,
            tty: None,
            read_only: false,
            no_new_privileges: false,
            reference: None,
            repeat: 1,
        }
    }
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

/// Guest to host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
        pid: u32,
    },
    /// One of several containers has ended.
    Round {
        /// Its number, from 1.
        n: u32,
        /// Its exit status.
        code: i32,
    },
    /// The container has ended; the last line.
    Exit {
        /// Its exit status, 128 + n after signal n.
        code: i32,
        /// Bytes that were written to the port of its output.
        #[serde(default)]
        stdout: u64,
        /// Bytes that were written to the port of its error output.
        #[serde(default)]
        stderr: u64,
    },
    /// The runtime could not do what it was asked; the last line.
    Error {
        /// 125, 126 or 127 as docker has them.
        code: i32,
        /// One line that names the thing.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::{Event, Request, Run, Size};

    #[test]
    fn requests_have_the_form_that_the_runtime_reads() {
        let text = |request: &Request| serde_json::to_string(request).unwrap();
        assert_eq!(text(&Request::Signal(15)), r#"{"signal":15}"#);
        assert_eq!(text(&Request::Received {}), r#"{"received":{}}"#);
        assert_eq!(
            text(&Request::Resize(Size { rows: 24, cols: 80 })),
            r#"{"resize":{"rows":24,"cols":80}}"#
        );
        let run = Run { args: Some(vec!["ls".to_owned()]), ..Run::default() };
        assert_eq!(
            text(&Request::Run(run)),
            r#"{"run":{"args":["ls"],"entrypoint":null,"env":[],"user":null,"workdir":null,"hostname":null,"tty":null,"read_only":false,"no_new_privileges":false,"ref":null,"repeat":1}}"#
        );
    }

    #[test]
    fn events_are_understood() {
        let event = |text| serde_json::from_str::<Event>(text).unwrap();
        assert_eq!(
            event(r#"{"exit":{"code":3,"stdout":7,"stderr":0}}"#),
            Event::Exit { code: 3, stdout: 7, stderr: 0 }
        );
        assert_eq!(event(r#"{"phase":"unpack"}"#), Event::Phase("unpack".to_owned()));
        assert_eq!(event(r#"{"started":{"pid":2,"more":1}}"#), Event::Started { pid: 2 });
    }
}
