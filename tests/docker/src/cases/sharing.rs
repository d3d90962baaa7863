//! Namespaces that containers share (--pid, --ipc, --cgroupns), and what they may do (--security-opt, --privileged).

use anyhow::ensure;
use serde_json::Value;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("sharing/processes_of_another_container", processes),
    ("sharing/memory_of_another_container", memory),
    ("sharing/control_groups_are_the_container_s_own", groups),
    ("sharing/profiles_of_system_calls", profiles),
    ("sharing/privileged_ones_have_everything", privileged),
];

fn start(docker: &Docker, name: &str, options: &[&str], command: &[&str]) -> anyhow::Result<String> {
    docker.ok(&[&["run", "-d", "--name", name], options, &[IMAGE], command].concat())
}

fn run(docker: &Docker, options: &[&str], script: &str) -> anyhow::Result<String> {
    docker.ok(&[&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())
}

fn processes(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let id = start(docker, "watched", &[], &["sleep", "4715"])?;
    let options = ["--pid", "container:watched"];
    let said = run(docker, &options, "tr '\\0' ' ' </proc/1/cmdline; echo $$; kill -0 1 && echo reached")?;
    let mut lines = said.lines();
    ensure!(lines.next().is_some_and(|line| line.starts_with("sleep 4715 ")), "{said:?}");
    ensure!(said.ends_with("reached"), "{said:?}");
    // An exec in such a container is among the same processes.
    start(docker, "watching", &options, &["sleep", "4716"])?;
    let said = docker.ok(&["exec", "watching", "ps", "-o", "args"])?;
    ensure!(said.contains("sleep 4715") && said.contains("sleep 4716"), "{said:?}");
    let mode = docker.inspect("watching")?["HostConfig"]["PidMode"].clone();
    ensure!(mode == format!("container:{id}"), "{mode}");
    // Who has lent them takes all with him.
    docker.ok(&["kill", "watched"])?;
    ensure!(docker.ok(&["wait", "watching"])? == "137", "it goes on");
    let words = "cannot join PID of a non running container";
    docker.refused(&["start", "watching"], 1, words)?;
    docker.ok(&["rm", "watched", "watching"])?;
    Ok(())
}

fn memory(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    start(docker, "donor", &["--ipc", "shareable", "--shm-size", "1m"], &["sleep", "1000"])?;
    start(docker, "miser", &[], &["sleep", "1000"])?;
    docker.ok(&["exec", "donor", "sh", "-c", "echo shared >/dev/shm/text"])?;
    let said = run(
        docker,
        &["--ipc", "container:donor"],
        "cat /dev/shm/text; echo back >/dev/shm/answer; readlink /proc/self/ns/ipc",
    )?;
    let theirs =
        docker.ok(&["exec", "donor", "sh", "-c", "cat /dev/shm/answer; readlink /proc/self/ns/ipc"])?;
    let namespace = |said: &str| said.lines().last().map(str::to_owned);
    ensure!(said.starts_with("shared\n") && theirs.starts_with("back\n"), "{said:?}, {theirs:?}");
    ensure!(namespace(&said) == namespace(&theirs), "{said:?}, {theirs:?}");
    let full =
        docker.run(&["exec", "donor", "dd", "if=/dev/zero", "of=/dev/shm/large", "bs=1M", "count=2"])?;
    ensure!(full.stderr.contains("No space left"), "{full:?}");
    let join = ["run", "--rm", "--ipc", "container:miser", IMAGE, "true"];
    docker.refused(&join, 125, "non-shareable IPC")?;
    docker.ok(&["rm", "-f", "donor", "miser"])?;
    Ok(())
}

/// As Debian's OpenJDK and others look for their limits.
fn groups(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory.max pids.max; grep -c . cgroup.procs; echo 5 >pids.max";
    let output =
        docker.run(&["run", "--rm", "-m", "64m", "--pids-limit", "77", IMAGE, "sh", "-c", script])?;
    ensure!(output.stdout.starts_with("0::/\n67108864\n77\n"), "{output:?}");
    ensure!(output.stderr.contains("Read-only file system"), "{output:?}");
    start(docker, "grouped", &[], &["sleep", "1000"])?;
    ensure!(docker.ok(&["exec", "grouped", "cat", "/proc/self/cgroup"])? == "0::/", "an exec is elsewhere");
    let id = docker.ok(&["inspect", "--format", "{{.Id}}", "grouped"])?;
    docker.ok(&["rm", "-f", "grouped"])?;
    let shown = run(docker, &["--cgroupns", "host"], "cat /proc/self/cgroup")?;
    ensure!(shown.starts_with("0::/coffer/") && !shown.contains(&id), "{shown:?}");
    Ok(())
}

fn profiles(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let file = docker.folder().join("profile.json");
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":30},
        {"names":["chmod","fchmodat"],"action":"SCMP_ACT_ERRNO","excludes":{"caps":["CAP_SYS_ADMIN"]}}]}"#;
    std::fs::write(&file, profile)?;
    let option = format!("seccomp={}", file.display());
    let script = "mkdir /x 2>&1; touch /y; chmod 700 /y 2>&1; grep Seccomp: /proc/self/status";
    let said = run(docker, &["--security-opt", &option], script)?;
    ensure!(said.contains("Read-only file system") && said.contains("not permitted"), "{said:?}");
    ensure!(said.ends_with('2'), "{said:?}");
    let said = run(docker, &["--security-opt", &option, "--cap-add", "SYS_ADMIN"], script)?;
    ensure!(said.contains("Read-only file system") && !said.contains("not permitted"), "{said:?}");
    std::fs::write(&file, "{\"defaultAction\":\"SCMP_ACT_WHATEVER\"}")?;
    docker.refused(&["run", "--rm", "--security-opt", &option, IMAGE, "true"], 125, "profile")?;
    docker.refused(
        &["run", "--rm", "--security-opt", "apparmor=mine", IMAGE, "true"],
        125,
        "apparmor=mine",
    )?;
    let accepted = ["--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"];
    ensure!(run(docker, &accepted, "echo runs")? == "runs", "does not run");
    Ok(())
}

fn privileged(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "grep -E 'CapEff|Seccomp:' /proc/self/status; mkdir /m && mount -t tmpfs none /m && echo mounted; \
                  test -w /proc/sys/kernel/hostname && echo writable; ls /dev; mknod /dev/mine c 1 3 && echo x >/dev/mine && echo opened";
    let said = run(docker, &["--privileged"], script)?;
    let capabilities = said.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = u64::from_str_radix(capabilities.unwrap_or_default().trim(), 16)?;
    ensure!(capabilities & 1 << 21 != 0 && capabilities.count_ones() >= 38, "{said:?}");
    for word in ["Seccomp:\t0", "mounted", "writable", "opened"] {
        ensure!(said.contains(word), "{word}: {said:?}");
    }
    // More than every container has.
    let usual = run(
        docker,
        &[],
        "ls /dev; mknod /dev/mine c 1 3 && echo x >/dev/mine && echo opened; mount -t tmpfs none /mnt; echo end",
    )?;
    ensure!(!usual.contains("opened") && usual.ends_with("end"), "{usual:?}");
    start(docker, "usual", &[], &["sleep", "1000"])?;
    let status = |options: &[&str]| {
        docker.ok(&[&["exec"], options, &["usual", "grep", "CapEff", "/proc/self/status"]].concat())
    };
    ensure!(status(&[])?.ends_with("a80425fb"), "{}", status(&[])?);
    ensure!(status(&["--privileged"])? != status(&[])?, "{}", status(&["--privileged"])?);
    docker.ok(&["rm", "-f", "usual"])?;
    let shown: Value =
        serde_json::from_str(&docker.ok(&["info", "--format", "{{json .SecurityOptions}}"])?)?;
    ensure!(shown.to_string().contains("seccomp"), "{shown}");
    Ok(())
}
