//! version, info, system df, events, prune.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("system/version_names_both_sides", version),
    ("system/info_says_what_the_machine_is", info),
    ("system/df_counts", df),
    ("system/events_tell_a_container_s_life", events),
    ("system/events_of_images_and_volumes_are_told_later", past_events),
    ("system/prune_removes_what_is_stopped", prune),
    ("system/build_is_refused_with_one_sentence", build),
];

fn version(docker: &Docker) -> anyhow::Result<()> {
    let text = docker.ok(&["version", "--format", "{{json .Server}}"])?;
    let server: Value = serde_json::from_str(&text)?;
    ensure!(server["Os"] == "linux" && server["Arch"] == "amd64", "{text}");
    let api = server["ApiVersion"].as_str().context("no ApiVersion")?;
    ensure!(api == "1.51", "the API is {api}");
    ensure!(server["MinAPIVersion"] == "1.24", "{text}");
    Ok(())
}

fn info(docker: &Docker) -> anyhow::Result<()> {
    let info: Value = serde_json::from_str(&docker.ok(&["info", "--format", "{{json .}}"])?)?;
    ensure!(info["OSType"] == "linux" && info["Architecture"] == "x86_64", "{info}");
    ensure!(info["NCPU"].as_u64().is_some_and(|cpus| cpus > 0), "{info}");
    ensure!(info["MemTotal"].as_u64().is_some_and(|bytes| bytes > 1 << 27), "{info}");
    let runtime = info["DefaultRuntime"].as_str().context("no default runtime")?;
    ensure!(info["Runtimes"].get(runtime).is_some(), "{info}");
    let text = docker.ok(&["info"])?;
    ensure!(text.contains("Server Version"), "{text}");
    let is_named = ["platform=plain", "platform=tdx"].iter().any(|label| text.contains(label));
    ensure!(is_named, "it does not say what the machine is: {text}");
    ensure!(info["Warnings"].to_string().contains("a reboot loses them"), "{info}");
    ensure!(info["SecurityOptions"].to_string().contains("name=seccomp"), "{info}");
    Ok(())
}

fn df(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let text = docker.ok(&["system", "df"])?;
    let images = text.lines().find(|line| line.starts_with("Images")).context("no line for images")?;
    ensure!(!images.contains(" 0B "), "{text}");
    docker.ok(&["system", "df", "-v"])?;
    Ok(())
}

fn events(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let since = docker.ok(&["info", "--format", "{{.SystemTime}}"])?;
    docker.ok(&["run", "--rm", "--name", "events", IMAGE, "true"])?;
    let until = docker.ok(&["info", "--format", "{{.SystemTime}}"])?;
    let text = docker.ok(&["events", "--since", &since, "--until", &until, "--format", "{{.Action}}"])?;
    let mut rest = text.lines();
    for action in ["create", "attach", "start", "die", "destroy"] {
        ensure!(rest.any(|line| line == action), "{action} does not follow in {text:?}");
    }
    Ok(())
}

fn past_events(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let since = docker.ok(&["info", "--format", "{{.SystemTime}}"])?;
    docker.ok(&["tag", IMAGE, "told:one"])?;
    docker.ok(&["rmi", "told:one"])?;
    docker.ok(&["create", "--name", "told", "-v", "told-volume:/data", IMAGE])?;
    docker.ok(&["rm", "told"])?;
    docker.ok(&["volume", "rm", "told-volume"])?;
    let until = docker.ok(&["info", "--format", "{{.SystemTime}}"])?;
    let format = "{{.Type}} {{.Action}}";
    let text = docker.ok(&["events", "--since", &since, "--until", &until, "--format", format])?;
    let mut rest = text.lines();
    for event in ["image tag", "image untag", "volume create", "container destroy", "volume destroy"] {
        ensure!(rest.any(|line| line == event), "{event} does not follow in {text:?}");
    }
    Ok(())
}

fn prune(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "--name", "prune-ended", IMAGE, "true"])?;
    docker.ok(&["run", "-d", "--name", "prune-runs", IMAGE, "sleep", "1000"])?;
    docker.ok(&["network", "create", "prune-net"])?;
    docker.ok(&["system", "prune", "-f"])?;
    let left = docker.ok(&["ps", "-a", "--format", "{{.Names}}"])?;
    ensure!(left == "prune-runs", "left are {left:?}");
    let networks = docker.ok(&["network", "ls", "--format", "{{.Name}}"])?;
    ensure!(!networks.contains("prune-net"), "{networks}");
    docker.ok(&["rm", "-f", "prune-runs"])?;
    Ok(())
}

fn build(docker: &Docker) -> anyhow::Result<()> {
    let folder = docker.folder().join("context");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\n")?;
    let output = docker.run(&["build", super::path(&folder)?])?;
    ensure!(output.code == Some(1), "{output:?}");
    ensure!(output.stderr.contains("build"), "{output:?}");
    Ok(())
}
