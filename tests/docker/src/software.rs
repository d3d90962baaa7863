//! Server software as Debian packages it, in containers, reached over the network by clients that nobody here wrote: from this computer
//! through published ports, and from other containers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use coffer_harness::images::Recipe;
use coffer_images::{Compression, Image, Layer, debian};

use crate::cases::path;
use crate::{Case, Docker};

/// A machine, and where images are kept from run to run.
#[derive(Debug)]
pub struct Software {
    docker: Docker,
    images: PathBuf,
}

impl AsRef<Docker> for Software {
    fn as_ref(&self) -> &Docker {
        &self.docker
    }
}

/// All cases, in the order in which they run.
pub fn all() -> impl Iterator<Item = Case<Software>> {
    [
        Case { name: "a_static_go_program_serves", body: go },
        Case { name: "nginx_answers_two_thousand_requests", body: nginx },
        Case { name: "redis_is_benchmarked_from_outside", body: redis },
        Case { name: "node_answers_requests", body: node },
        Case { name: "postgres_serves_another_container", body: postgres },
    ]
    .into_iter()
}

/// The images that the cases want.
pub const RECIPES: [Recipe; 4] = [debian::NGINX, debian::REDIS, debian::NODE, debian::POSTGRES];

impl Software {
    /// The machine that `docker` drives, with images kept in the folder `images`.
    #[must_use]
    pub fn new(docker: Docker, images: PathBuf) -> Self {
        Self { docker, images }
    }

    /// Loads an image and gives it its recipe's name; calls `body` with that, and removes it.
    fn with_image(
        &self,
        recipe: &Recipe,
        body: impl FnOnce(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let archive = debian::archive(recipe, &self.images)?;
        let said = self.docker.ok(&["load", "-i", path(&archive)?])?;
        let loaded = said.lines().find_map(|line| line.strip_prefix("Loaded image"));
        let loaded = loaded.with_context(|| format!("load said {said:?}"))?;
        let loaded = loaded.trim_start_matches(" ID").trim_start_matches(": ");
        self.docker.ok(&["tag", loaded, recipe.name])?;
        let result = body(recipe.name);
        self.docker.remove_everything();
        // Where the machine is short of memory, the next image would not fit beside this one.
        self.docker.ok(&["rmi", "-f", recipe.name])?;
        result
    }

    /// Starts a server that publishes `port`; gives the address at which this computer reaches it.
    fn serve(&self, name: &str, port: u16, image: &str, command: &[&str]) -> anyhow::Result<&str> {
        let (published, address) = self.docker.published().first().context("no port is forwarded")?;
        let port = format!("{published}:{port}");
        self.docker.ok(&[&["run", "-d", "--init", "--name", name, "-p", &port, image], command].concat())?;
        Ok(address)
    }

    /// Waits until the server answers a GET with 200.
    fn until_http_answers(&self, address: &str) -> anyhow::Result<()> {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
            let mut answer = [0; 15];
            stream.read_exact(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        self.docker.until("an answer", || Ok(ask().is_ok_and(|answer| answer.contains(" 200 "))))
    }
}

/// How many requests must be answered without an error.
const REQUESTS: u64 = 2000;

/// Asks with wrk, which counts seconds rather than requests, until there have been enough.
fn wrk(address: &str) -> anyhow::Result<()> {
    /// How often five seconds may pass.
    const ROUNDS: u32 = 12;
    let mut answered = 0;
    for _ in 0..ROUNDS {
        let url = format!("http://{address}/");
        let mut wrk = Command::new("wrk");
        let output = Docker::finish(wrk.args(["-t1", "-c16", "-d5s", "--timeout", "10s", &url]), b"")?;
        let text = &output.stdout;
        ensure!(output.code == Some(0), "{output:?}");
        ensure!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "{text}");
        let count =
            text.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse::<u64>().ok());
        answered += count.with_context(|| format!("wrk says {text}"))?;
        if answered >= REQUESTS {
            return Ok(());
        }
    }
    anyhow::bail!("only {answered} requests were answered")
}

/// The source of [`go`]'s program.
const GO: &str = include_str!("../go/main.go");

/// Builds the program as its authors would, with nothing but Go's own linker.
fn build_go(folder: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::create_dir_all(folder)?;
    let folder = &folder.canonicalize()?;
    let (source, program) = (folder.join("main.go"), folder.join("server"));
    std::fs::write(&source, GO)?;
    let output = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .args([&program, &source])
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", folder.join("cache"))
        .env("GOFLAGS", "")
        .output()
        .context("go is not installed (Debian package golang-go)")?;
    ensure!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
    Ok(std::fs::read(&program)?)
}

fn go(bench: &Software) -> anyhow::Result<()> {
    let docker = &bench.docker;
    let program = build_go(&bench.images.join("go"))?;
    let archive = docker.folder().join("go.tar");
    Image::new(serde_json::json!({ "Entrypoint": ["/server"] }))
        .layer(Layer::new().file("server", 0o755, &program), Compression::Gzip)
        .docker_archive()
        .write_tar(&archive)?;
    docker.ok(&["load", "-q", "-i", path(&archive)?])?;
    docker.ok(&["tag", "test:latest", "go:test"])?;
    ensure!(docker.ok(&["run", "--rm", "go:test", "once"])? == "counted 1600", "counted otherwise");
    let address = bench.serve("go", 8000, "go:test", &[])?;
    bench.until_http_answers(address)?;
    wrk(address)?;
    docker.ok(&["stop", "go"])?;
    let code = docker.ok(&["inspect", "--format", "{{.State.ExitCode}}", "go"])?;
    ensure!(code == "5", "the program ended with {code}");
    ensure!(docker.ok(&["logs", "go"])? == "asked to end", "not asked");
    docker.ok(&["rm", "go"])?;
    docker.ok(&["rmi", "go:test", "test:latest"])?;
    Ok(())
}

fn nginx(bench: &Software) -> anyhow::Result<()> {
    // Debian's site listens on IPv6 as well, which ends nginx where there is none.
    const SERVER: &str =
        "sed -i '/\\[::\\]/d' /etc/nginx/sites-enabled/default && exec nginx -g 'daemon off;'";
    bench.with_image(&debian::NGINX, |image| {
        let address = bench.serve("nginx", 80, image, &["sh", "-c", SERVER])?;
        bench.until_http_answers(address)?;
        wrk(address)?;
        bench.docker.ok(&["stop", "nginx"])?;
        let code = bench.docker.ok(&["inspect", "--format", "{{.State.ExitCode}}", "nginx"])?;
        ensure!(code == "0", "nginx ended with {code}");
        Ok(())
    })
}

fn redis(bench: &Software) -> anyhow::Result<()> {
    bench.with_image(&debian::REDIS, |image| {
        let command = ["redis-server", "--protected-mode", "no", "--bind", "0.0.0.0", "--save", ""];
        let address = bench.serve("redis", 6379, image, &command)?;
        let (host, port) = address.split_once(':').context("no port")?;
        let ping = ["exec", "redis", "redis-cli", "ping"];
        bench.docker.until("redis", || Ok(bench.docker.run(&ping)?.stdout == "PONG\n"))?;
        for options in [&["-n", "2000", "-c", "20"][..], &["-n", "10000", "-c", "20", "-P", "16"]] {
            let mut benchmark = Command::new("redis-benchmark");
            let output = Docker::finish(
                benchmark.args(["-h", host, "-p", port, "-q", "-t", "set,get,incr"]).args(options),
                b"",
            )?;
            ensure!(output.code == Some(0) && output.stderr.is_empty(), "{output:?}");
            ensure!(output.stdout.matches("requests per second").count() == 3, "{output:?}");
        }
        let said = bench.docker.ok(&["exec", "redis", "redis-cli", "get", "counter:__rand_int__"])?;
        // One INCR for each request of both rounds.
        ensure!(said.trim_matches('"') == "12000", "the counter is {said}");
        Ok(())
    })
}

fn node(bench: &Software) -> anyhow::Result<()> {
    const SERVER: &str =
        "require('http').createServer((request, response) => response.end('from node\\n')).listen(3000)";
    bench.with_image(&debian::NODE, |image| {
        let address = bench.serve("node", 3000, image, &["node", "-e", SERVER])?;
        bench.until_http_answers(address)?;
        wrk(address)
    })
}

fn postgres(bench: &Software) -> anyhow::Result<()> {
    const SERVER: &str = "initdb -D /tmp/data -A trust --no-instructions >/dev/null && \
                          echo 'host all all all trust' >>/tmp/data/pg_hba.conf && \
                          exec postgres -D /tmp/data -k /tmp -c 'listen_addresses=*'";
    const PATH: &str = "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin";
    bench.with_image(&debian::POSTGRES, |image| {
        let docker = &bench.docker;
        docker.ok(&["network", "create", "postgres"])?;
        let server = [
            "run",
            "-d",
            "--init",
            "--name",
            "postgres",
            "--network",
            "postgres",
            "-u",
            "postgres",
            "-e",
            PATH,
        ];
        docker.ok(&[&server[..], &[image, "sh", "-c", SERVER]].concat())?;
        let ready = ["exec", "postgres", "pg_isready", "-h", "127.0.0.1"];
        docker.until("PostgreSQL", || Ok(docker.run(&ready)?.code == Some(0)))?;
        let format = "{{.NetworkSettings.Networks.postgres.IPAddress}}";
        let address = docker.ok(&["inspect", "--format", format, "postgres"])?;
        let client = |options: &[&str]| {
            let run = [
                "run",
                "--rm",
                "--network",
                "postgres",
                "-u",
                "postgres",
                "-e",
                PATH,
                image,
                "pgbench",
                "-h",
                &address,
            ];
            docker.run(&[&run[..], options, &["postgres"]].concat())
        };
        let output = client(&["-i", "-q"])?;
        ensure!(output.code == Some(0), "{output:?}");
        let output = client(&["-c", "4", "-j", "2", "-t", "50"])?;
        ensure!(output.stdout.contains("actually processed: 200/200"), "{output:?}");
        docker.ok(&["stop", "postgres"])?;
        Ok(())
    })
}
