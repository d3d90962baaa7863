//! A container's life, by the commands of the OCI runtime's command line.

use std::process::Stdio;

use crate::case::{Outcome, cases, check, check_eq};
use crate::child;
use crate::runtimes::{RUNTIMES, Stage, said};

cases!("runtimes":
    runc_runs_a_container,
    crun_runs_a_container,
    runc_manages_a_container,
    crun_manages_a_container,
    runc_lets_another_process_in,
    crun_lets_another_process_in,
);

fn runc_runs_a_container() -> Outcome {
    runs(RUNTIMES[0])
}

fn crun_runs_a_container() -> Outcome {
    runs(RUNTIMES[1])
}

fn runc_manages_a_container() -> Outcome {
    manages(RUNTIMES[0])
}

fn crun_manages_a_container() -> Outcome {
    manages(RUNTIMES[1])
}

fn runc_lets_another_process_in() -> Outcome {
    joins(RUNTIMES[0])
}

fn crun_lets_another_process_in() -> Outcome {
    joins(RUNTIMES[1])
}

/// `run` passes output and exit status on.
fn runs(runtime: &'static str) -> Outcome {
    let stage = Stage::new(runtime)?;
    stage.configure(&["@pid"])?;
    check_eq!(stage.does(&["run", "once"])?, "1\n");
    stage.configure(&["@exit", "7"])?;
    let output = stage.command(&["run", "twice"]).output()?;
    check!(output.status.code() == Some(7), "{}", said(&output));
    Ok(())
}

/// create, start, state, kill, delete.
fn manages(runtime: &'static str) -> Outcome {
    let stage = Stage::new(runtime)?;
    stage.configure(&["@sleep"])?;
    silent(&stage, &["create", "managed"])?;
    check!(stage.does(&["state", "managed"])?.contains("\"created\""));
    silent(&stage, &["start", "managed"])?;
    silent(&stage, &["kill", "managed", "KILL"])?;
    child::until("the container has ended", || {
        Ok(stage.does(&["state", "managed"])?.contains("\"stopped\""))
    })?;
    silent(&stage, &["delete", "managed"])
}

/// run --detach, list, exec, pause, resume, delete --force.
fn joins(runtime: &'static str) -> Outcome {
    let stage = Stage::new(runtime)?;
    stage.configure(&["@sleep"])?;
    silent(&stage, &["run", "--detach", "joined"])?;
    check!(stage.does(&["list"])?.contains("joined"));
    let pid = stage.does(&["exec", "joined", "/abi", "@pid"])?;
    check!(pid.trim().parse::<u32>()? > 1, "{pid}");
    silent(&stage, &["pause", "joined"])?;
    check!(stage.does(&["list"])?.contains("paused"));
    silent(&stage, &["resume", "joined"])?;
    silent(&stage, &["delete", "--force", "joined"])?;
    check!(!stage.does(&["list"])?.contains("joined"));
    Ok(())
}

/// What a container keeps must be no pipe that somebody reads to its end.
fn silent(stage: &Stage, arguments: &[&str]) -> Outcome {
    let mut command = stage.command(arguments);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    check!(status.success(), "{arguments:?}: {status}");
    Ok(())
}
