//! --pids-limit, --memory, --cpus, --cpuset-cpus, docker update, and the filter of system calls.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("limits/processes", processes),
    ("limits/a_fork_bomb_stays_in_its_container", fork_bomb),
    ("limits/a_memory_hog_ends_and_others_do_not", memory_hog),
    ("limits/a_cpu_hog_leaves_the_rest", cpu_hog),
    ("limits/ulimits_are_checked", ulimits),
    ("limits/memory", memory),
    ("limits/cpus", cpus),
    ("limits/update", update),
    ("limits/system_calls", system_calls),
];

fn processes(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "for n in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
    let output = docker.run(&["run", "--rm", "--pids-limit", "5", IMAGE, "sh", "-c", script])?;
    ensure!(output.stderr.contains("can't fork"), "{output:?}");
    let output = docker.run(&["run", "--rm", "--pids-limit", "20", IMAGE, "sh", "-c", script])?;
    ensure!(output.code == Some(0) && output.stderr.is_empty(), "{output:?}");
    Ok(())
}

/// How long it takes to run something in another container, which answers all the while.
fn answer_time(docker: &Docker, other: &str) -> anyhow::Result<Duration> {
    let start = Instant::now();
    ensure!(docker.ok(&["exec", other, "echo", "alive"])? == "alive", "{other} does not answer");
    Ok(start.elapsed())
}

/// Starts a hog beside another container, and makes sure that this and the API go on.
fn beside(
    docker: &Docker,
    options: &[&str],
    script: &str,
    look: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    /// What ten times the usual time may be rounded up to.
    const LEAST: Duration = Duration::from_secs(20);
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "other", IMAGE, "sleep", "1000"])?;
    let usual = answer_time(docker, "other")?;
    docker.ok(&[&["run", "-d", "--name", "hog"], options, &[IMAGE, "sh", "-c", script]].concat())?;
    for _ in 0..3 {
        let now = answer_time(docker, "other")?;
        ensure!(now < (usual * 10).max(LEAST), "it took {now:?}, and {usual:?} without a hog");
    }
    look()?;
    docker.ok(&["rm", "-f", "hog", "other"])?;
    Ok(())
}

fn fork_bomb(docker: &Docker) -> anyhow::Result<()> {
    beside(
        docker,
        &["--pids-limit", "50"],
        "bomb() { bomb | bomb & }; bomb; while true; do bomb 2>/dev/null; done",
        || {
            let pids = docker.ok(&["stats", "--no-stream", "--format", "{{.PIDs}}", "hog"])?;
            ensure!(pids.parse::<u32>()? <= 50, "{pids} processes");
            Ok(())
        },
    )
}

fn memory_hog(docker: &Docker) -> anyhow::Result<()> {
    beside(docker, &["-m", "48m"], "tail /dev/zero", || {
        ensure!(docker.ok(&["wait", "hog"])? == "137", "it ended otherwise");
        let state = docker.inspect("hog")?["State"].clone();
        ensure!(state["OOMKilled"] == true, "{state}");
        Ok(())
    })
}

fn cpu_hog(docker: &Docker) -> anyhow::Result<()> {
    let script = "for n in 1 2 3 4; do while true; do :; done & done; wait";
    beside(docker, &["--cpus", "0.5"], script, || {
        let percent = docker.ok(&["stats", "--no-stream", "--format", "{{.CPUPerc}}", "hog"])?;
        ensure!(percent.trim_end_matches('%').parse::<f64>()? < 80.0, "{percent} of a CPU");
        Ok(())
    })
}

fn ulimits(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let said = docker.ok(&[
        "run",
        "--rm",
        "--ulimit",
        "core=0",
        "--ulimit",
        "nproc=99:100",
        IMAGE,
        "sh",
        "-c",
        "ulimit -c; grep 'Max processes' /proc/self/limits | tr -s ' '",
    ])?;
    ensure!(said.starts_with("0\nMax processes 99 100"), "{said:?}");
    docker.refused(
        &["run", "--rm", "--ulimit", "nofile=9:3", IMAGE, "true"],
        125,
        "must be less than or equal to hard limit",
    )?;
    docker.refused(&["run", "--rm", "--ulimit", "files=3", IMAGE, "true"], 125, "invalid ulimit type: files")
}

/// tail(1) keeps the last line, which has no end here.
fn memory(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let output = docker.run(&["run", "--name", "memory", "-m", "32m", IMAGE, "tail", "/dev/zero"])?;
    ensure!(output.code == Some(137), "{output:?}");
    let container = docker.inspect("memory")?;
    ensure!(container["State"]["OOMKilled"] == true, "{}", container["State"]);
    ensure!(container["HostConfig"]["Memory"] == 32 << 20, "{}", container["HostConfig"]);
    docker.ok(&["rm", "memory"])?;
    // The others have not noticed.
    docker.refused(
        &["run", "--rm", "-m", "1m", IMAGE, "true"],
        125,
        "Minimum memory limit allowed is 6MB",
    )?;
    ensure!(docker.ok(&["run", "--rm", "-m", "32m", IMAGE, "echo", "fits"])? == "fits", "does not fit");
    Ok(())
}

/// How much of a CPU it uses is told by the kernel, so that it does not matter what else goes on.
fn cpus(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&[
        "run",
        "-d",
        "--name",
        "cpus",
        "--cpus",
        "0.2",
        IMAGE,
        "sh",
        "-c",
        "while true; do :; done",
    ])?;
    let percent = docker.ok(&["stats", "--no-stream", "--format", "{{.CPUPerc}}", "cpus"])?;
    let used: f64 = percent.trim_end_matches('%').parse()?;
    ensure!(used < 40.0, "{percent} of a CPU");
    docker.ok(&["rm", "-f", "cpus"])?;
    let said = docker.ok(&[
        "run",
        "--rm",
        "--cpuset-cpus",
        "1",
        IMAGE,
        "grep",
        "Cpus_allowed_list",
        "/proc/self/status",
    ])?;
    ensure!(said.ends_with("\t1"), "{said:?}");
    Ok(())
}

fn update(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "update", IMAGE, "sleep", "1000"])?;
    docker.ok(&["update", "--pids-limit", "3", "--restart", "on-failure", "update"])?;
    let script = "for n in 1 2 3 4; do sleep 1 & done; wait";
    let output = docker.run(&["exec", "update", "sh", "-c", script])?;
    ensure!(output.stderr.contains("can't fork"), "{output:?}");
    let host = docker.inspect("update")?["HostConfig"].clone();
    ensure!(host["PidsLimit"] == 3 && host["RestartPolicy"]["Name"] == "on-failure", "{host}");
    docker.ok(&["update", "--pids-limit", "-1", "update"])?;
    let output = docker.run(&["exec", "update", "sh", "-c", script])?;
    ensure!(output.code == Some(0) && output.stderr.is_empty(), "{output:?}");
    docker.ok(&["rm", "-f", "update"])?;
    Ok(())
}

fn system_calls(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let filter = |options: &[&str]| {
        let script = "grep Seccomp: /proc/self/status; unshare -U true 2>&1; unshare -m true 2>&1; echo end";
        docker.ok(&[&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())
    };
    let usual = filter(&[])?;
    ensure!(usual.contains("Seccomp:\t2") && usual.matches("not permitted").count() == 2, "{usual:?}");
    let admin = filter(&["--cap-add", "SYS_ADMIN"])?;
    ensure!(admin.contains("Seccomp:\t2") && !admin.contains("not permitted"), "{admin:?}");
    let open = filter(&["--security-opt", "seccomp=unconfined"])?;
    ensure!(open.contains("Seccomp:\t0"), "{open:?}");
    // Whoever joins is under it as well.
    docker.ok(&["run", "-d", "--name", "filtered", IMAGE, "sleep", "1000"])?;
    let joined = docker.ok(&["exec", "filtered", "grep", "Seccomp:", "/proc/self/status"])?;
    ensure!(joined.ends_with('2'), "{joined:?}");
    docker.ok(&["rm", "-f", "filtered"])?;
    Ok(())
}
