//! Top: the processes of a container, read from /proc in the columns of `ps`.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::entry::Status;
use crate::engine::blocking;
use crate::models::ContainerTopResponse;
use crate::{Engine, Error, cgroup};

/// Ticks of a second in /proc; the same on every x86-64 Linux.
const TICKS: u64 = 100;

/// What /proc tells about one process.
struct Process {
    pid: i32,
    uid: u32,
    parent: i32,
    state: String,
    terminal: String,
    seconds: u64,
    command: String,
    virtual_kib: u64,
    resident_kib: u64,
}

impl Engine {
    /// Lists its processes as `ps` does with these arguments.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`], [`Error::Unsupported`] for arguments.
    pub async fn container_top(
        &self,
        reference: &str,
        ps_args: Option<&str>,
    ) -> Result<ContainerTopResponse, Error> {
        let entry = self.find(reference)?;
        match entry.status() {
            Status::Running | Status::Paused => {}
            Status::Restarting => return Err(Error::Restarting(entry.id.clone())),
            _ => return Err(Error::NotRunning(entry.id.clone())),
        }
        let columns = columns(ps_args.unwrap_or("-ef"))?;
        let first = entry.record().state.pid;
        let id = entry.id.clone();
        let processes = blocking(move || {
            let pids = cgroup::processes(&id).unwrap_or_else(|| in_namespace_of(first));
            Ok(pids.into_iter().filter_map(read).collect::<Vec<_>>())
        })
        .await?;
        let row = |process: &Process| columns.iter().map(|(_, value)| value(process)).collect();
        self.tell(&entry, "top", &[]);
        Ok(ContainerTopResponse {
            titles: Some(columns.iter().map(|(title, _)| (*title).to_owned()).collect()),
            processes: Some(processes.iter().map(row).collect()),
        })
    }
}

type Column = (&'static str, fn(&Process) -> String);

const UID: Column = ("UID", |process| process.uid.to_string());
const PID: Column = ("PID", |process| process.pid.to_string());
const PARENT: Column = ("PPID", |process| process.parent.to_string());
const USE: Column = ("C", |_| "0".to_owned());
const TTY: Column = ("TTY", |process| process.terminal.clone());
const STATE: Column = ("STAT", |process| process.state.clone());
const TIME: Column = ("TIME", |process| {
    let seconds = process.seconds;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
});
const COMMAND: Column = ("CMD", |process| process.command.clone());
const VIRTUAL: Column = ("VSZ", |process| process.virtual_kib.to_string());
const RESIDENT: Column = ("RSS", |process| process.resident_kib.to_string());

/// The columns of the usual arguments, and of `-o` with a list.
fn columns(args: &str) -> Result<Vec<Column>, Error> {
    let unsupported = |what: &str| Error::Unsupported(format!("`ps {what}`"));
    let renamed = |(_, value): Column, title| (title, value);
    let args = args.trim();
    if let Some(list) =
        args.strip_prefix("-o").or_else(|| args.strip_prefix("-eo")).or_else(|| args.strip_prefix("o "))
    {
        let column = |name: &str| match name.trim() {
            "pid" => Ok(PID),
            "ppid" => Ok(PARENT),
            "uid" => Ok(UID),
            "user" => Ok(renamed(UID, "USER")),
            "tty" | "tt" => Ok(TTY),
            "stat" | "state" | "s" => Ok(STATE),
            "time" => Ok(TIME),
            "cmd" | "args" | "command" => Ok(COMMAND),
            "vsz" => Ok(VIRTUAL),
            "rss" => Ok(RESIDENT),
            other => Err(unsupported(&format!("-o {other}"))),
        };
        return list.split(',').map(column).collect();
    }
    match args.trim_start_matches('-') {
        "ef" | "" => Ok(vec![UID, PID, PARENT, USE, TTY, TIME, COMMAND]),
        "aux" => Ok(vec![
            renamed(UID, "USER"),
            PID,
            VIRTUAL,
            RESIDENT,
            TTY,
            STATE,
            TIME,
            renamed(COMMAND, "COMMAND"),
        ]),
        "e" | "A" => Ok(vec![PID, TTY, TIME, COMMAND]),
        _ => Err(unsupported(args)),
    }
}

/// The processes of the pid namespace of `first`, where there are no control groups.
fn in_namespace_of(first: i32) -> Vec<i32> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let wanted = namespace(first);
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<i32> = pids.filter(|pid| wanted.is_some() && namespace(*pid) == wanted).collect();
    pids.sort_unstable();
    pids
}

/// Reads one. None for one that has just ended.
fn read(pid: i32) -> Option<Process> {
    let folder = format!("/proc/{pid}");
    let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
    // The name, in parentheses, may contain anything.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let device = number(4);
    let terminal = match (device >> 8, device & 0xff) {
        (0, 0) => "?".to_owned(),
        (136, minor) => format!("pts/{minor}"),
        (major, minor) => format!("{major}:{minor}"),
    };
    let line = fs::read(format!("{folder}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    Some(Process {
        pid,
        uid: fs::metadata(&folder).ok()?.uid(),
        parent: fields.get(1)?.parse().ok()?,
        state: (*fields.first()?).to_owned(),
        terminal,
        seconds: number(11).saturating_add(number(12)) / TICKS,
        command: if line.is_empty() { format!("[{name}]") } else { line },
        virtual_kib: number(20) / 1024,
        resident_kib: number(21).saturating_mul(4),
    })
}
