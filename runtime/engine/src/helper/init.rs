//! Pid 1 of a container with `--init`: runs the command as its child, passes signals on, reaps what is orphaned, ends with the child's code.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use runtime_sys::clone::{Namespaces, fork_into};
use runtime_sys::signal::SignalPipe;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions};

const SIGCHLD: i32 = 17;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Everything that a program may be sent and could catch. Not the signals of its own faults and of terminals' job control.
const PASSED_ON: [i32; 14] = [1, 2, 3, 10, 12, 13, 14, 15, 16, 24, 25, 28, 29, 30];

pub fn main(args: &[OsString]) -> ExitCode {
    match args {
        [separator, command @ ..] if separator == "--" && !command.is_empty() => {
            run(command).unwrap_or_else(|error| {
                eprintln!("docker-init: {error}");
                ExitCode::FAILURE
            })
        }
        _ => {
            eprintln!("usage: docker-init -- COMMAND [ARGUMENT...]");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &[OsString]) -> std::io::Result<ExitCode> {
    let (wait, go) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let mut go = Some(go);
    let in_child = &mut go;
    let child = fork_into(Namespaces::default(), || {
        *in_child = None;
        let _ = rustix::process::setpgid(None, None);
        // Until the parent has made this group the terminal's.
        let _ = rustix::io::read(&wait, &mut [0_u8; 1]);
        execute(command)
    })?;
    let _ = rustix::process::setpgid(Some(child), Some(child));
    // Without a terminal there is no foreground to give.
    let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), child);
    let signals = SignalPipe::open(&[&PASSED_ON[..], &[SIGCHLD]].concat())?;
    drop(go);

    loop {
        if let Some(code) = reap(child) {
            return Ok(ExitCode::from(code));
        }
        let mut set = [PollFd::new(&signals, PollFlags::IN)];
        let _ = poll(&mut set, None);
        for number in signals.take() {
            if let Some(signal) = Signal::from_named_raw(number).filter(|_| number != SIGCHLD) {
                let _ = rustix::process::kill_process(child, signal);
            }
        }
    }
}

/// Executes the command, looked up in PATH; returns the exit code of having failed.
fn execute(command: &[OsString]) -> u8 {
    let strings = |texts: &mut dyn Iterator<Item = Vec<u8>>| {
        texts.filter_map(|text| CString::new(text).ok()).collect::<Vec<_>>()
    };
    let args = strings(&mut command.iter().map(|arg| arg.as_bytes().to_vec()));
    let env = strings(
        &mut std::env::vars_os().map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat()),
    );
    let Some(program) = args.first() else { return NOT_FOUND };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<CString> = if program.as_bytes().contains(&b'/') {
        vec![program.clone()]
    } else {
        let folders = path.as_bytes().split(|&byte| byte == b':');
        folders.filter_map(|folder| CString::new([folder, b"/", program.as_bytes()].concat()).ok()).collect()
    };
    let mut code = NOT_FOUND;
    let mut reason = std::io::Error::from(rustix::io::Errno::NOENT);
    for candidate in candidates {
        let error = runtime_sys::exec::exec(&candidate, &args, &env);
        if error.kind() != std::io::ErrorKind::NotFound {
            (code, reason) = (NOT_EXECUTABLE, error);
        }
    }
    eprintln!("docker-init: exec {}: {reason}", program.to_string_lossy());
    code
}

/// Waits for everybody who has ended; gives the exit code of the child if it was among them.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => {
                let ended = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
                code = ended.and_then(|ended| u8::try_from(ended & 0xff).ok()).or(code);
            }
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}
