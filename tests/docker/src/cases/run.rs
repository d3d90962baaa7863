//! docker run and its flags.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("run/output_and_exit_code_are_the_container_s", output),
    ("run/input_reaches_the_container_and_ends", input),
    ("run/two_streams_stay_apart", streams),
    ("run/large_output_is_whole", large_output),
    ("run/failures_have_docker_s_codes", failures),
    ("run/signals_pass_through", signals),
    ("run/environment_user_and_directory", environment),
    ("run/capabilities", capabilities),
    ("run/no_new_privileges", no_new_privileges),
    ("run/read_only_and_tmpfs", read_only),
    ("run/init_reaps", init),
    ("run/the_runtime_s_program_cannot_be_written", sealed),
    ("run/the_runtime_s_program_cannot_be_run", unreachable),
    ("run/a_client_that_leaves_stops_nothing_half_way", leaving),
    ("run/hostname_and_hosts", hostname),
    ("run/ulimits", ulimits),
    ("run/restart_on_failure", restart),
    ("run/unknown_image_is_pulled_and_says_why_not", unknown_image),
    ("run/what_is_not_there_is_refused", refused),
    ("run/name_conflicts_are_told", conflict),
];

/// `docker run --rm OPTIONS IMAGE COMMAND`.
fn rm<'a>(options: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    [&["run", "--rm"], options, &[IMAGE], command].concat()
}

fn output(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let output = docker.run(&rm(&[], &["sh", "-c", "echo out; echo err >&2; exit 7"]))?;
    ensure!(output.code == Some(7) && output.stdout == "out\n" && output.stderr == "err\n", "{output:?}");
    let left = docker.ok(&["ps", "-aq"])?;
    ensure!(left.is_empty(), "--rm left {left:?}");
    Ok(())
}

fn input(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let input: String = (0..20_000).map(|line| format!("{line}\n")).collect();
    let output = docker.run_with_input(&rm(&["-i"], &["sh", "-c", "cat; echo end"]), input.as_bytes())?;
    ensure!(output.code == Some(0), "{:?} {}", output.code, output.stderr);
    ensure!(output.stdout == format!("{input}end\n"), "{} bytes came back", output.stdout.len());
    Ok(())
}

fn streams(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done";
    let output = docker.run(&rm(&[], &["sh", "-c", script]))?;
    let all = |letter: &str| (1..10).map(|number| format!("{letter}{number}\n")).collect::<String>();
    ensure!(output.stdout == all("o") && output.stderr == all("e"), "{output:?}");
    Ok(())
}

fn large_output(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let output = docker.run(&rm(&[], &["seq", "1", "300000"]))?;
    let expected: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
    ensure!(output.code == Some(0) && output.stdout == expected, "{} bytes came", output.stdout.len());
    Ok(())
}

fn failures(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.refused(&rm(&[], &["no-such-program"]), 127, "no-such-program")?;
    docker.refused(&rm(&[], &["/etc/passwd"]), 126, "permission denied")?;
    docker.refused(&rm(&["--user", "nobody-here"], &["true"]), 125, "nobody-here")?;
    docker.refused(&rm(&["--network", "no-such-network"], &["true"]), 125, "no-such-network")?;
    let left = docker.ok(&["ps", "-aq"])?;
    ensure!(left.is_empty(), "left {left:?}");
    Ok(())
}

fn signals(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "trap 'echo caught; exit 3' USR1; echo ready; while true; do sleep 0.1; done";
    docker.ok(&["run", "-d", "--name", "signals", IMAGE, "sh", "-c", script])?;
    docker.until("the container's trap", || Ok(docker.ok(&["logs", "signals"])?.contains("ready")))?;
    docker.ok(&["kill", "-s", "USR1", "signals"])?;
    ensure!(docker.ok(&["wait", "signals"])? == "3", "another exit code");
    ensure!(docker.ok(&["logs", "signals"])?.contains("caught"), "not caught");
    docker.ok(&["rm", "signals"])?;
    Ok(())
}

fn environment(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let options = ["-e", "A=1", "-e", "B=two words", "--user", "1000:1001", "-w", "/tmp/deep"];
    let said = docker.ok(&rm(&options, &["sh", "-c", "echo $A-$B; id -u; id -g; pwd"]))?;
    ensure!(said == "1-two words\n1000\n1001\n/tmp/deep", "{said:?}");
    Ok(())
}

fn capabilities(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let effective = |options: &[&str]| -> anyhow::Result<u64> {
        let text = docker.ok(&rm(options, &["sh", "-c", "grep CapEff /proc/self/status"]))?;
        let (_, digits) = text.split_once(':').ok_or_else(|| anyhow::anyhow!("{text:?}"))?;
        Ok(u64::from_str_radix(digits.trim(), 16)?)
    };
    // Docker's default set, as capabilities(7) numbers them.
    ensure!(effective(&[])? == 0xa804_25fb, "another default set");
    ensure!(effective(&["--cap-drop", "ALL"])? == 0, "something is left");
    ensure!(effective(&["--cap-drop", "ALL", "--cap-add", "CHOWN"])? == 1, "not CHOWN alone");
    ensure!(effective(&["--cap-add", "NET_ADMIN"])? == 0xa804_25fb | 1 << 12, "no NET_ADMIN");
    docker.refused(&rm(&["--cap-add", "NO_SUCH"], &["true"]), 125, "NO_SUCH")
}

fn no_new_privileges(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = ["sh", "-c", "grep NoNewPrivs /proc/self/status"];
    ensure!(docker.ok(&rm(&[], &script))?.ends_with('0'), "on by default");
    let options = ["--security-opt", "no-new-privileges"];
    ensure!(docker.ok(&rm(&options, &script))?.ends_with('1'), "off on request");
    Ok(())
}

fn read_only(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = ["sh", "-c", "touch /x 2>&1; touch /scratch/x && stat -f -c %T /scratch"];
    let said = docker.ok(&rm(&["--read-only", "--tmpfs", "/scratch:size=1m"], &script))?;
    ensure!(said.contains("Read-only file system") && said.ends_with("tmpfs"), "{said:?}");
    Ok(())
}

fn init(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "(sleep 0.1 &) ; sleep 1; ps -o pid,stat,comm | grep -c ' Z' ; cat /proc/1/comm";
    let said = docker.ok(&rm(&["--init"], &["sh", "-c", script]))?;
    ensure!(said.starts_with("0\n") && !said.ends_with("\nsh"), "{said:?}");
    Ok(())
}

/// The container's init is the program that is shim and helper of all containers.
fn sealed(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script =
        "for f in /proc/1/exe /sbin/docker-init; do ( : >>$f ) 2>/dev/null && echo opened $f; done; echo end";
    let options = ["--init", "--cap-add", "SYS_ADMIN", "--security-opt", "systempaths=unconfined"];
    let said = docker.ok(&rm(&options, &["sh", "-c", script]))?;
    ensure!(said == "end", "{said:?}");
    Ok(())
}

/// Until it executes the container's program, a process in a container is the runtime's.
fn unreachable(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.refused(&rm(&[], &["/proc/self/exe", "engine"]), 126, "permission denied")?;
    let script =
        "ln -s /proc/self/exe /link; echo '#!/proc/self/exe engine' >/script; chmod +x /script; sleep 1000";
    docker.ok(&["run", "-d", "--name", "reaching", IMAGE, "sh", "-c", script])?;
    docker.until("the files", || {
        Ok(docker.run(&["exec", "reaching", "test", "-x", "/script"])?.code == Some(0))
    })?;
    for path in ["/proc/self/exe", "/proc/thread-self/exe", "/link"] {
        let output = docker.run(&["exec", "reaching", path, "engine"])?;
        let said = format!("{}{}", output.stdout, output.stderr);
        ensure!(output.code == Some(126) && said.contains("permission denied"), "{path}: {output:?}");
    }
    // The kernel looks a script's interpreter up when the check above has passed.
    docker.refused(&["exec", "reaching", "/script"], 1, "no other use in a container")?;
    docker.ok(&["rm", "-f", "reaching"])?;
    Ok(())
}

fn leaving(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    for round in 0..6 {
        docker.ok(&["create", "--name", "leaving", IMAGE, "sleep", "1000"])?;
        let mut client = docker.command(&["start", "leaving"]).stdout(Stdio::null()).spawn()?;
        thread::sleep(Duration::from_millis(round * 60));
        client.kill()?;
        client.wait()?;
        // Whether it has started, is starting or was never told to: it starts, and works.
        docker.ok(&["start", "leaving"])?;
        ensure!(docker.ok(&["exec", "leaving", "echo", "alive"])? == "alive", "round {round}");
        docker.ok(&["rm", "-f", "leaving"])?;
    }
    Ok(())
}

fn hostname(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let options = ["--hostname", "web", "--add-host", "db:10.9.8.7"];
    let said = docker.ok(&rm(&options, &["sh", "-c", "hostname; cat /etc/hostname; cat /etc/hosts"]))?;
    ensure!(said.starts_with("web\nweb\n"), "{said:?}");
    ensure!(said.contains("10.9.8.7\tdb") && said.contains("127.0.0.1\tlocalhost"), "{said:?}");
    Ok(())
}

fn ulimits(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let said = docker.ok(&rm(&["--ulimit", "nofile=123:456"], &["sh", "-c", "ulimit -n; ulimit -Hn"]))?;
    ensure!(said == "123\n456", "{said:?}");
    Ok(())
}

fn restart(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let options = ["run", "-d", "--name", "restart", "--restart", "on-failure:2", IMAGE];
    docker.ok(&[&options[..], &["sh", "-c", "echo run; exit 5"]].concat())?;
    let state = || docker.inspect("restart");
    docker.until("the last restart", || {
        let container = state()?;
        Ok(container["RestartCount"] == 2 && container["State"]["Running"] == false)
    })?;
    ensure!(state()?["State"]["ExitCode"] == 5, "another exit code");
    let logs = docker.ok(&["logs", "restart"])?;
    ensure!(logs.lines().count() == 3, "{logs:?}");
    docker.ok(&["rm", "restart"])?;
    Ok(())
}

fn unknown_image(docker: &Docker) -> anyhow::Result<()> {
    let output = docker.run(&["run", "--rm", "127.0.0.1:1/no/such:image", "true"])?;
    ensure!(output.code == Some(125), "{output:?}");
    ensure!(output.stderr.contains("Unable to find image '127.0.0.1:1/no/such:image' locally"), "{output:?}");
    Ok(())
}

fn refused(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    for option in ["--blkio-weight=300", "--sysctl=net.core.somaxconn=9", "--gpus=all", "--tmpfs=/x:dev"] {
        let output = docker.run(&rm(&[option], &["true"]))?;
        ensure!(output.code == Some(125) && !output.stderr.is_empty(), "{option}: {output:?}");
    }
    Ok(())
}

fn conflict(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let id = docker.ok(&["create", "--name", "conflict", IMAGE])?;
    docker.refused(&["create", "--name", "conflict", IMAGE], 1, "is already in use by container")?;
    let container: Value = docker.inspect(&id[..12])?;
    ensure!(container["Name"] == "/conflict" && container["Id"] == id.as_str(), "{container}");
    docker.ok(&["rm", &id[..8]])?;
    docker.refused(&["inspect", "conflict"], 1, "no such object")
}
