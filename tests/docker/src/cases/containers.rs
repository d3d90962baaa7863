//! The life of a container: create, start, stop, kill, restart, pause, rename, wait, ps, logs, top, rm.

use std::time::Instant;

use anyhow::ensure;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("containers/create_start_attach", create_start),
    ("containers/stop_asks_before_it_kills", stop),
    ("containers/restart_keeps_the_files", restart),
    ("containers/pause_and_unpause", pause),
    ("containers/rename", rename),
    ("containers/wait_gives_the_code", wait),
    ("containers/ps_filters_and_formats", ps),
    ("containers/ps_shows_the_id_of_an_untagged_image", ps_untagged),
    ("containers/logs_tail_timestamps_since", logs),
    ("containers/logs_follow_until_the_end", logs_follow),
    ("containers/top_lists_processes", top),
    ("containers/stats_have_figures", stats),
    ("containers/a_running_one_is_not_removed", rm_running),
    ("containers/inspect_shows_what_was_asked", inspect),
    ("containers/diff_shows_changes", diff),
    ("containers/export_is_a_tar_of_the_root", export),
];

/// Starts a sleeper.
fn sleeper(docker: &Docker, name: &str) -> anyhow::Result<String> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", name, IMAGE, "sleep", "1000"])
}

fn is_running(docker: &Docker, name: &str) -> anyhow::Result<bool> {
    Ok(docker.ok(&["inspect", "--format", "{{.State.Running}}", name])? == "true")
}

fn create_start(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["create", "--name", "created", IMAGE, "sh", "-c", "echo hello; exit 4"])?;
    ensure!(docker.ok(&["inspect", "--format", "{{.State.Status}}", "created"])? == "created", "not created");
    let output = docker.run(&["start", "-a", "created"])?;
    ensure!(output.code == Some(4) && output.stdout == "hello\n", "{output:?}");
    let output = docker.run(&["start", "-a", "created"])?;
    ensure!(output.code == Some(4) && output.stdout == "hello\n", "a second time: {output:?}");
    docker.ok(&["rm", "created"])?;
    Ok(())
}

fn stop(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "trap 'echo bye; exit 9' TERM; echo ready; while true; do sleep 0.1; done";
    docker.ok(&["run", "-d", "--name", "polite", IMAGE, "sh", "-c", script])?;
    docker.until("the trap", || Ok(docker.ok(&["logs", "polite"])?.contains("ready")))?;
    docker.ok(&["stop", "polite"])?;
    ensure!(docker.ok(&["inspect", "--format", "{{.State.ExitCode}}", "polite"])? == "9", "not asked");
    // Stopping what is stopped is no error.
    docker.ok(&["stop", "polite"])?;
    sleeper(docker, "deaf")?;
    let start = Instant::now();
    docker.ok(&["stop", "-t", "1", "deaf"])?;
    ensure!(start.elapsed().as_secs() < 60, "took {:?}", start.elapsed());
    ensure!(docker.ok(&["inspect", "--format", "{{.State.ExitCode}}", "deaf"])? == "137", "not killed");
    docker.ok(&["rm", "polite", "deaf"])?;
    Ok(())
}

fn restart(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "echo line >> /kept; wc -l < /kept; sleep 1000";
    docker.ok(&["run", "-d", "--name", "again", IMAGE, "sh", "-c", script])?;
    docker.until("the first run", || Ok(docker.ok(&["logs", "again"])? == "1"))?;
    docker.ok(&["restart", "-t", "0", "again"])?;
    docker.until("the second run", || Ok(docker.ok(&["logs", "again"])? == "1\n2"))?;
    docker.ok(&["rm", "-f", "again"])?;
    Ok(())
}

fn pause(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "while true; do echo tick; sleep 0.1; done";
    docker.ok(&["run", "-d", "--name", "paused", IMAGE, "sh", "-c", script])?;
    docker.until("a tick", || Ok(docker.ok(&["logs", "paused"])?.contains("tick")))?;
    docker.ok(&["pause", "paused"])?;
    ensure!(
        docker.ok(&["ps", "--filter", "name=paused", "--format", "{{.Status}}"])?.contains("(Paused)"),
        "not shown"
    );
    let count = || Ok::<_, anyhow::Error>(docker.ok(&["logs", "paused"])?.lines().count());
    let before = count()?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    ensure!(count()? == before, "it went on");
    docker.refused(&["exec", "paused", "true"], 1, "paused")?;
    docker.ok(&["unpause", "paused"])?;
    docker.until("more ticks", || Ok(count()? > before))?;
    docker.ok(&["rm", "-f", "paused"])?;
    Ok(())
}

fn rename(docker: &Docker) -> anyhow::Result<()> {
    sleeper(docker, "old-name")?;
    docker.ok(&["rename", "old-name", "new-name"])?;
    ensure!(is_running(docker, "new-name")?, "not running");
    docker.refused(&["inspect", "old-name"], 1, "no such object")?;
    docker.ok(&["rm", "-f", "new-name"])?;
    Ok(())
}

fn wait(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "waited", IMAGE, "sh", "-c", "sleep 0.5; exit 42"])?;
    ensure!(docker.ok(&["wait", "waited"])? == "42", "another code");
    ensure!(docker.ok(&["wait", "waited"])? == "42", "another code after the end");
    docker.ok(&["rm", "waited"])?;
    Ok(())
}

fn ps(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "ps-one", "--label", "role=web", IMAGE, "sleep", "1000"])?;
    docker.ok(&["run", "--name", "ps-two", IMAGE, "true"])?;
    let list = |options: &[&str]| docker.ok(&[&["ps", "--format", "{{.Names}}"], options].concat());
    ensure!(list(&[])? == "ps-one", "without options");
    ensure!(list(&["-a"])?.lines().count() == 2, "with -a");
    ensure!(list(&["-a", "--filter", "status=exited"])? == "ps-two", "by status");
    ensure!(list(&["--filter", "label=role=web"])? == "ps-one", "by label");
    ensure!(list(&["-a", "--filter", "exited=0"])? == "ps-two", "by exit code");
    let status = docker.ok(&["ps", "-a", "--format", "{{.Status}}", "--filter", "name=ps-two"])?;
    ensure!(status.starts_with("Exited (0)"), "{status:?}");
    docker.ok(&["rm", "-f", "ps-one", "ps-two"])?;
    Ok(())
}

fn logs(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "--name", "logs", IMAGE, "sh", "-c", "seq 1 5; echo err >&2"])?;
    let all = docker.run(&["logs", "logs"])?;
    ensure!(all.stdout == "1\n2\n3\n4\n5\n" && all.stderr == "err\n", "{all:?}");
    let tail = docker.run(&["logs", "--tail", "2", "logs"])?;
    ensure!(tail.stdout == "5\n" && tail.stderr == "err\n", "{tail:?}");
    let stamped = docker.ok(&["logs", "-t", "logs"])?;
    let stamp = stamped.split_whitespace().next().unwrap_or_default();
    ensure!(stamp.len() == "2006-01-02T15:04:05.000000000Z".len() && stamp.ends_with('Z'), "{stamped:?}");
    ensure!(docker.ok(&["logs", "--since", "1h", "logs"])?.starts_with('1'), "since an hour");
    ensure!(docker.ok(&["logs", "--until", "2001-01-01", "logs"])?.is_empty(), "until long ago");
    docker.ok(&["rm", "logs"])?;
    Ok(())
}

fn logs_follow(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&[
        "run",
        "-d",
        "--name",
        "follow",
        IMAGE,
        "sh",
        "-c",
        "for i in 1 2 3; do echo $i; sleep 0.3; done",
    ])?;
    ensure!(docker.ok(&["logs", "-f", "follow"])? == "1\n2\n3", "not all lines");
    docker.ok(&["rm", "follow"])?;
    Ok(())
}

fn top(docker: &Docker) -> anyhow::Result<()> {
    sleeper(docker, "top")?;
    let text = docker.ok(&["top", "top"])?;
    ensure!(text.contains("PID") && text.contains("sleep 1000"), "{text:?}");
    docker.ok(&["rm", "-f", "top"])?;
    Ok(())
}

fn stats(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "stats", IMAGE, "sh", "-c", "sleep 1000 & while true; do :; done"])?;
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}";
    let said = docker.ok(&["stats", "--no-stream", "--format", format, "stats"])?;
    let parts: Vec<&str> = said.split('|').collect();
    let [name, cpu, memory, pids] = parts.as_slice() else { anyhow::bail!("{said:?}") };
    let cpu: f64 = cpu.trim_end_matches('%').parse()?;
    ensure!(*name == "stats" && *pids == "2", "{said:?}");
    // It has a CPU to itself, but the emulator may not.
    ensure!((10.0..=210.0).contains(&cpu), "{said:?}");
    ensure!(!memory.starts_with("0B") && !memory.ends_with(" 0B"), "{said:?}");
    docker.ok(&["rm", "-f", "stats"])?;
    Ok(())
}

fn rm_running(docker: &Docker) -> anyhow::Result<()> {
    sleeper(docker, "busy")?;
    docker.refused(&["rm", "busy"], 1, "is running")?;
    ensure!(is_running(docker, "busy")?, "it was stopped");
    docker.ok(&["rm", "-f", "busy"])?;
    docker.refused(&["rm", "busy"], 1, "no such container")
}

fn inspect(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let options =
        ["run", "-d", "--name", "shown", "--label", "a=b", "-e", "X=y", "--restart", "unless-stopped", IMAGE];
    docker.ok(&[&options[..], &["sleep", "1000"]].concat())?;
    let container = docker.inspect("shown")?;
    ensure!(container["Config"]["Labels"]["a"] == "b", "{container}");
    ensure!(container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped", "{container}");
    ensure!(container["State"]["Pid"].as_u64().is_some_and(|pid| pid > 1), "{container}");
    ensure!(container["Path"] == "sleep" && container["Args"][0] == "1000", "{container}");
    ensure!(container["State"]["Status"] == "running", "{container}");
    docker.ok(&["rm", "-f", "shown"])?;
    Ok(())
}

fn ps_untagged(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let id = docker.ok(&["image", "inspect", "--format", "{{.Id}}", IMAGE])?;
    docker.ok(&["tag", IMAGE, "untagged:one"])?;
    docker.ok(&["create", "--name", "untagged", "untagged:one", "true"])?;
    let image = || docker.ok(&["ps", "-a", "--filter", "name=untagged", "--format", "{{.Image}}"]);
    ensure!(image()? == "untagged:one", "{}", image()?);
    docker.ok(&["rmi", "untagged:one"])?;
    let short: String = id.trim_start_matches("sha256:").chars().take(12).collect();
    ensure!(image()? == short, "{} is not {short}", image()?);
    docker.ok(&["rm", "untagged"])?;
    Ok(())
}

fn diff(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "--name", "diff", IMAGE, "sh", "-c", "echo x > /new; rm /etc/group"])?;
    let text = docker.ok(&["diff", "diff"])?;
    ensure!(text.lines().any(|line| line == "A /new"), "{text:?}");
    ensure!(text.lines().any(|line| line == "D /etc/group"), "{text:?}");
    ensure!(text.lines().any(|line| line == "C /etc"), "{text:?}");
    // What the engine made itself is not told.
    ensure!(!["hostname", "hosts", "resolv.conf"].iter().any(|name| text.contains(name)), "{text:?}");
    docker.ok(&["rm", "diff"])?;
    docker.ok(&["run", "--name", "diff", IMAGE, "true"])?;
    let text = docker.ok(&["diff", "diff"])?;
    ensure!(!text.contains("/etc"), "{text:?}");
    docker.ok(&["rm", "diff"])?;
    Ok(())
}

fn export(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "--name", "export", IMAGE, "sh", "-c", "echo exported > /new"])?;
    let file = docker.folder().join("export.tar");
    docker.ok(&["export", "-o", super::path(&file)?, "export"])?;
    let list = std::process::Command::new("tar").arg("-xOf").arg(&file).arg("new").output()?;
    ensure!(list.stdout == b"exported\n", "{list:?}");
    docker.ok(&["rm", "export"])?;
    Ok(())
}
