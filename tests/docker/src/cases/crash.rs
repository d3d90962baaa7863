//! The engine ends by SIGKILL, and containers go on.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[("crash/containers_outlive_the_engine", crash)];

/// Finds the engine, and two processes of containers, by their command lines among those of the whole machine; kills all three at once, so that
/// the containers' ends fall into the time without an engine; and waits for the next one.
const KILLER: &str = r#"
pids() { for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null | grep -q "^$1" && echo ${p#/proc/}; done; }
engine=$(pids '/proc/self/exe engine'); ends=$(pids 'sleep 4711'); restarts=$(pids 'sleep 4712')
test -n "$engine" -a -n "$ends" -a -n "$restarts" || { echo "missing: $engine, $ends, $restarts"; exit 1; }
kill -9 $engine $ends $restarts
while next=$(pids '/proc/self/exe engine'); test -z "$next" -o "$next" = "$engine"; do sleep 0.1; done
echo killed
"#;

fn crash(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let (port, address) = docker.published().first().context("no port is forwarded to this machine")?;
    let publish = format!("{port}:80");
    let start = |name: &str, options: &[&str], command: &[&str]| {
        docker.ok(&[&["run", "-d", "--name", name], options, &[IMAGE], command].concat())
    };
    start("crash-serves", &["-p", &publish], &["nc", "-ll", "-p", "80", "-e", "echo", "i am up"])?;
    let count = "n=0; while true; do echo $n; n=$((n+1)); sleep 0.05; done";
    start("crash-counts", &[], &["sh", "-c", count])?;
    start("crash-ends", &[], &["sh", "-c", "echo before; sleep 4711; echo after; exit 7"])?;
    start("crash-restarts", &["--restart", "always"], &["sh", "-c", "sleep 4712; exit 3"])?;
    start("crash-removes", &["--rm", "--pid", "host"], &["sleep", "4713"])?;
    let ids = || docker.ok(&["ps", "-aq", "--no-trunc", "--filter", "name=crash-"]);
    let before = ids()?;
    docker.until("the sleepers", || {
        let started = |name| Ok::<_, anyhow::Error>(docker.run(&["top", name])?.stdout.contains("sleep 47"));
        Ok(started("crash-ends")? && started("crash-restarts")?)
    })?;

    start("killer", &["--pid", "host"], &["sh", "-c", KILLER])?;
    docker.until("the killer's end", || {
        let said = docker.run(&["logs", "killer"])?.stdout;
        ensure!(!said.contains("missing"), "{said}");
        Ok(said == "killed\n")
    })?;
    // The API is closed for a moment.
    docker.until("an engine that answers", || Ok(docker.run(&["version"])?.code == Some(0)))?;

    docker.until("the exit code", || {
        let state = docker.inspect("crash-ends")?["State"].clone();
        Ok(state["Running"] == false && state["ExitCode"] == 7)
    })?;
    ensure!(docker.ok(&["logs", "crash-ends"])? == "before\nafter", "logs of the time without an engine");
    docker.until("the restart", || {
        let container = docker.inspect("crash-restarts")?;
        Ok(container["RestartCount"] == 1 && container["State"]["Running"] == true)
    })?;
    ensure!(ids()? == before, "other containers than before: {}", ids()?);

    let lines = || -> anyhow::Result<usize> {
        let text = docker.ok(&["logs", "crash-counts"])?;
        let is_whole = text.lines().enumerate().all(|(at, line)| line == at.to_string());
        ensure!(is_whole, "the log has a gap: {text}");
        Ok(text.lines().count())
    };
    let so_far = lines()?;
    docker.until("more lines", || Ok(lines()? > so_far + 20))?;

    let mut stream = TcpStream::connect(address.as_str())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer == "i am up\n", "{answer:?}");

    ensure!(docker.ok(&["exec", "crash-counts", "echo", "joined"])? == "joined", "no exec");
    docker.ok(&["stop", "-t", "0", "crash-counts", "crash-serves", "crash-restarts", "crash-removes"])?;
    docker.refused(&["inspect", "crash-removes"], 1, "no such object")?;
    docker.ok(&["rm", "crash-counts", "crash-serves", "crash-restarts", "crash-ends", "killer"])?;
    Ok(())
}
