//! Health checks, of images and by --health-cmd.

use anyhow::ensure;
use coffer_images::{Compression, Image, Layer};
use serde_json::json;

use super::{Entry, IMAGE, path, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("health/failures_and_successes_are_told", told),
    ("health/a_check_that_takes_too_long_fails", late),
    ("health/images_bring_checks_and_users_refuse_them", images),
];

fn status(docker: &Docker, name: &str) -> anyhow::Result<String> {
    docker.ok(&["inspect", "--format", "{{.State.Health.Status}}", name])
}

fn until_status(docker: &Docker, name: &str, wanted: &str) -> anyhow::Result<()> {
    docker.until(wanted, || Ok(status(docker, name)? == wanted))
}

fn told(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let since = docker.ok(&["info", "--format", "{{.SystemTime}}"])?;
    let check = "test -f /fine || { echo is missing; exit 3; }";
    let options = ["--health-cmd", check, "--health-interval", "500ms", "--health-retries", "2"];
    docker.ok(&[&["run", "-d", "--name", "health"], &options[..], &[IMAGE, "sleep", "1000"]].concat())?;
    let listed = || docker.ok(&["ps", "--filter", "name=health", "--format", "{{.Status}}"]);
    ensure!(listed()?.ends_with("(health: starting)"), "{}", listed()?);
    until_status(docker, "health", "unhealthy")?;
    let health = docker.inspect("health")?["State"]["Health"].clone();
    ensure!(health["FailingStreak"].as_u64() >= Some(2), "{health}");
    ensure!(health["Log"][0]["ExitCode"] == 3 && health["Log"][0]["Output"] == "is missing\n", "{health}");
    docker.ok(&["exec", "health", "touch", "/fine"])?;
    until_status(docker, "health", "healthy")?;
    ensure!(listed()?.ends_with("(healthy)"), "{}", listed()?);
    let found = |wanted: &str| docker.ok(&["ps", "-q", "--filter", &format!("health={wanted}")]);
    ensure!(!found("healthy")?.is_empty() && found("unhealthy")?.is_empty(), "wrongly filtered");
    // The checks leave no trace among the execs.
    let execs = docker.inspect("health")?["ExecIDs"].clone();
    ensure!(execs.as_array().is_none_or(|execs| execs.len() <= 1), "{execs}");
    docker.ok(&["stop", "-t", "0", "health"])?;
    ensure!(status(docker, "health")? == "unhealthy", "healthy without a process");
    docker.ok(&["rm", "health"])?;
    let until = docker.ok(&["info", "--format", "{{.SystemTime}}"])?;
    let filter = ["--filter", "event=health_status", "--format", "{{.Action}}"];
    let events = docker.ok(&[&["events", "--since", &since, "--until", &until], &filter[..]].concat())?;
    ensure!(events == "health_status: unhealthy\nhealth_status: healthy", "{events:?}");
    Ok(())
}

fn late(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let options = [
        "--health-cmd",
        "echo begun; exec sleep 4714",
        "--health-interval",
        "300ms",
        "--health-timeout",
        "1s",
    ];
    let more = ["--health-retries", "1", IMAGE, "sleep", "1000"];
    docker.ok(&[&["run", "-d", "--name", "late"], &options[..], &more].concat())?;
    until_status(docker, "late", "unhealthy")?;
    let log = docker.inspect("late")?["State"]["Health"]["Log"][0].clone();
    ensure!(log["ExitCode"] == -1, "{log}");
    ensure!(log["Output"] == "Health check exceeded timeout (1s): begun\n", "{log}");
    // What was too slow is gone, but for the one that runs now.
    let running = docker.ok(&["top", "late"])?;
    ensure!(running.matches("sleep 4714").count() <= 1, "{running}");
    docker.ok(&["rm", "-f", "late"])?;
    Ok(())
}

fn images(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let busybox = coffer_images::small::busybox_file()?;
    let archive = docker.folder().join("checked.tar");
    let check = json!({ "Test": ["CMD", "/busybox", "true"], "Interval": 300_000_000, "Retries": 1 });
    Image::new(json!({ "Cmd": ["/busybox", "sleep", "1000"], "Healthcheck": check }))
        .layer(Layer::new().file("busybox", 0o755, &busybox), Compression::Plain)
        .docker_archive()
        .write_tar(&archive)?;
    docker.ok(&["load", "-q", "-i", path(&archive)?])?;
    docker.ok(&["tag", "test:latest", "checked:one"])?;
    docker.ok(&["run", "-d", "--name", "checked", "checked:one"])?;
    until_status(docker, "checked", "healthy")?;
    docker.ok(&["run", "-d", "--name", "unchecked", "--no-healthcheck", "checked:one"])?;
    let health = docker.inspect("unchecked")?["State"]["Health"].clone();
    ensure!(health.is_null(), "{health}");
    // One word of the user's replaces one of the image's.
    docker.ok(&["create", "--name", "changed", "--health-retries", "7", "checked:one"])?;
    let merged = docker.inspect("changed")?["Config"]["Healthcheck"].clone();
    ensure!(merged["Retries"] == 7 && merged["Test"][0] == "CMD", "{merged}");
    docker.ok(&["rm", "-f", "checked", "unchecked", "changed"])?;
    docker.ok(&["rmi", "checked:one", "test:latest"])?;
    Ok(())
}
