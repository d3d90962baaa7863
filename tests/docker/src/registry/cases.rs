//! What is pulled, and what is refused.

use anyhow::ensure;

use super::breaker::Fault;
use super::server::{PASSWORD, Server, USER, seen_by_machines};
use super::{Bench, leaves_no_trace};
use crate::cases::with_image;
use crate::{Case, Docker};

/// All cases, in the order in which they run.
pub fn all() -> impl Iterator<Item = Case<Bench>> {
    [
        Case { name: "plain_http_where_configured", body: plain },
        Case { name: "tls_with_a_configured_authority", body: tls },
        Case { name: "unknown_authorities_are_refused", body: stranger },
        Case { name: "plain_http_is_refused_elsewhere", body: unlisted },
        Case { name: "passwords_open_and_wrong_ones_do_not", body: passwords },
        Case { name: "layers_in_every_form", body: layers },
        Case { name: "an_index_gives_this_architecture", body: index },
        Case { name: "by_digest", body: digest },
        Case { name: "run_pulls_what_is_missing", body: run },
        Case { name: "missing_ones_are_told", body: missing },
        Case { name: "a_corrupted_layer_is_refused", body: corrupted_layer },
        Case { name: "a_manifest_of_another_digest_is_refused", body: corrupted_manifest },
        Case { name: "a_cut_connection_is_taken_up_again", body: cut_once },
        Case { name: "a_connection_cut_for_good_is_told", body: cut_for_good },
    ]
    .into_iter()
}

/// For a machine whose memory is too small for the large image.
pub fn full() -> impl Iterator<Item = Case<Bench>> {
    [
        Case { name: "a_pull_that_does_not_fit_is_told", body: pull_too_large },
        Case { name: "what_fits_fits_afterwards", body: plain },
    ]
    .into_iter()
}

impl Bench {
    fn plain(&self, name: &str) -> String {
        image(&self.registries.plain, name)
    }

    fn broken(&self, name: &str) -> String {
        format!("{}/{name}", seen_by_machines(self.registries.breaker.address()))
    }

    /// Pulls while the proxy does this, which must fail in these words and leave nothing; the same must work afterwards.
    fn fails_with(&self, fault: Fault, name: &str, words: &str) -> anyhow::Result<()> {
        let name = self.broken(name);
        with_image(&self.docker)?;
        leaves_no_trace(&self.docker, || {
            self.registries.breaker.set(fault);
            let refused = self.docker.refused(&["pull", &name], 1, words);
            self.registries.breaker.set(Fault::None);
            refused
        })?;
        pulled(&self.docker, &name)
    }
}

fn image(server: &Server, name: &str) -> String {
    format!("{}/{name}", seen_by_machines(server.address()))
}

/// Pulls, runs and removes.
fn pulled(docker: &Docker, name: &str) -> anyhow::Result<()> {
    let said = docker.ok(&["pull", name])?;
    ensure!(said.contains("Status: Downloaded newer image"), "{said:?}");
    ensure!(docker.ok(&["run", "--rm", name, "echo", "runs"])? == "runs", "it does not run");
    docker.ok(&["rmi", name])?;
    Ok(())
}

fn plain(bench: &Bench) -> anyhow::Result<()> {
    let docker = &bench.docker;
    let name = bench.plain("small");
    with_image(docker)?;
    leaves_no_trace(docker, || pulled(docker, &name))?;
    docker.ok(&["pull", &name])?;
    let again = docker.ok(&["pull", &name])?;
    ensure!(again.contains("Status: Image is up to date"), "{again:?}");
    docker.ok(&["rmi", &name])?;
    Ok(())
}

fn tls(bench: &Bench) -> anyhow::Result<()> {
    pulled(&bench.docker, &image(&bench.registries.tls, "small"))
}

fn stranger(bench: &Bench) -> anyhow::Result<()> {
    let name = image(&bench.registries.stranger, "small");
    with_image(&bench.docker)?;
    leaves_no_trace(&bench.docker, || bench.docker.refused(&["pull", &name], 1, "certificate"))
}

/// The configuration names this computer by another name only, so that HTTPS is spoken with what speaks HTTP.
fn unlisted(bench: &Bench) -> anyhow::Result<()> {
    let name = format!("coffer.invalid:{}/small", bench.registries.plain.address().port());
    bench.docker.refused(&["pull", &name], 1, "Get \"https://coffer.invalid")
}

fn passwords(bench: &Bench) -> anyhow::Result<()> {
    let docker = &bench.docker;
    let server = seen_by_machines(bench.registries.private.address());
    let name = image(&bench.registries.private, "small");
    with_image(docker)?;
    leaves_no_trace(docker, || docker.refused(&["pull", &name], 1, "no basic auth credentials"))?;
    let login = |password: &str| {
        docker.run_with_input(&["login", "-u", USER, "--password-stdin", &server], password.as_bytes())
    };
    let output = login("wrong")?;
    ensure!(output.code == Some(1) && output.stderr.contains("unauthorized"), "{output:?}");
    let output = login(PASSWORD)?;
    ensure!(output.code == Some(0) && output.stdout.contains("Login Succeeded"), "{output:?}");
    pulled(docker, &name)?;
    docker.ok(&["logout", &server])?;
    docker.refused(&["pull", &name], 1, "no basic auth credentials")
}

fn layers(bench: &Bench) -> anyhow::Result<()> {
    let name = bench.plain("layered");
    bench.docker.ok(&["pull", &name])?;
    let output = bench.docker.run(&["run", "--rm", &name])?;
    ensure!(output.stdout == coffer_images::small::layered_output(), "{output:?}");
    bench.docker.ok(&["rmi", &name])?;
    Ok(())
}

fn index(bench: &Bench) -> anyhow::Result<()> {
    let (docker, name) = (&bench.docker, bench.plain("index"));
    docker.ok(&["pull", &name])?;
    ensure!(docker.ok(&["run", "--rm", &name, "uname", "-m"])? == "x86_64", "another architecture");
    docker.ok(&["rmi", &name])?;
    with_image(docker)?;
    leaves_no_trace(docker, || {
        docker.refused(&["pull", &format!("{name}:foreign")], 1, "no matching manifest for linux/amd64")
    })
}

fn digest(bench: &Bench) -> anyhow::Result<()> {
    let (docker, name) = (&bench.docker, bench.plain("small"));
    let name = format!("{name}@{}", bench.registries.manifest);
    let said = docker.ok(&["pull", &name])?;
    ensure!(said.contains(&format!("Digest: {}", bench.registries.manifest)), "{said:?}");
    ensure!(docker.ok(&["run", "--rm", &name, "echo", "runs"])? == "runs", "it does not run");
    docker.ok(&["rmi", &name])?;
    Ok(())
}

fn run(bench: &Bench) -> anyhow::Result<()> {
    let name = bench.plain("small");
    let output = bench.docker.run(&["run", "--rm", &name, "echo", "pulled"])?;
    ensure!(output.code == Some(0) && output.stdout == "pulled\n", "{output:?}");
    ensure!(output.stderr.contains(&format!("Unable to find image '{name}:latest' locally")), "{output:?}");
    bench.docker.ok(&["rmi", &name])?;
    Ok(())
}

fn missing(bench: &Bench) -> anyhow::Result<()> {
    with_image(&bench.docker)?;
    leaves_no_trace(&bench.docker, || {
        bench.docker.refused(&["pull", &bench.plain("small:none")], 1, "manifest unknown")?;
        bench.docker.refused(&["pull", &bench.plain("none")], 1, "not found")
    })
}

fn corrupted_layer(bench: &Bench) -> anyhow::Result<()> {
    let layer = bench.registries.layer.clone();
    bench.fails_with(Fault::FlipBit(layer), "small", "filesystem layer verification failed for digest")
}

fn corrupted_manifest(bench: &Bench) -> anyhow::Result<()> {
    let manifest = bench.registries.manifest.clone();
    let words = "manifest verification failed for digest";
    bench.fails_with(Fault::FlipBit(manifest), "index", words)
}

fn cut_once(bench: &Bench) -> anyhow::Result<()> {
    bench.registries.breaker.set(Fault::CutOnce(bench.registries.layer.clone()));
    let result = pulled(&bench.docker, &bench.broken("small"));
    bench.registries.breaker.set(Fault::None);
    result
}

fn cut_for_good(bench: &Bench) -> anyhow::Result<()> {
    let layer = bench.registries.layer.clone();
    bench.fails_with(Fault::CutForGood(layer), "small", "/blobs/sha256:")
}

fn pull_too_large(bench: &Bench) -> anyhow::Result<()> {
    let name = bench.plain("large");
    with_image(&bench.docker)?;
    leaves_no_trace(&bench.docker, || bench.docker.refused(&["pull", &name], 1, "no space left on device"))
}
