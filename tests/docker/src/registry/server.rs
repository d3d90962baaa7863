//! Debian's docker-registry on this computer's loopback, which a machine sees at 10.0.2.2, and skopeo to fill it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::certificates::Certificate;
use crate::debian::command;

/// Who may enter where a server asks for names: `coffer` with the password [`PASSWORD`]. bcrypt is the only form that it takes.
const PASSWORDS: &str = "coffer:$2y$05$Q0ZmZXJDb2ZmZXJDb2ZmZO90O6T5KicfM1kDopV.wQxlEBw6mQhjy\n";
pub const USER: &str = "coffer";
pub const PASSWORD: &str = "open sesame";

/// A server that ends with this value.
#[derive(Debug)]
pub struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts the registry `program` over the images in `storage`. `folder` is for this server alone.
    pub fn start(
        program: &Path,
        folder: &Path,
        storage: &Path,
        certificate: Option<&Certificate>,
        asks_for_names: bool,
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        fs::create_dir_all(folder)?;
        let mut configuration = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n\
             storage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: 127.0.0.1:{port}\n",
            storage.display()
        );
        if let Some(certificate) = certificate {
            let (pem, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
            fs::write(&pem, &certificate.certificate)?;
            fs::write(&key, &certificate.key)?;
            configuration +=
                &format!("  tls:\n    certificate: {}\n    key: {}\n", pem.display(), key.display());
        }
        if asks_for_names {
            let passwords = folder.join("htpasswd");
            fs::write(&passwords, PASSWORDS)?;
            configuration +=
                &format!("auth:\n  htpasswd:\n    realm: registry\n    path: {}\n", passwords.display());
        }
        let path = folder.join("registry.yml");
        fs::write(&path, configuration)?;
        let process = Command::new(program)
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Self { process, port };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("docker-registry has ended: {status}");
            }
            ensure!(start.elapsed() < Duration::from_secs(60), "docker-registry does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Where it is on this computer.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Copies the image of an OCI layout to it, as `name:tag`. It must speak plain HTTP.
    pub fn fill(&self, layout: &Path, name: &str) -> anyhow::Result<()> {
        command(
            Command::new("skopeo")
                .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
                .arg(format!("oci:{}:latest", layout.display()))
                .arg(format!("docker://{}/{name}", self.address())),
        )
    }

    /// Puts a manifest there as it is.
    pub fn put_manifest(&self, name: &str, tag: &str, media_type: &str, text: &str) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(self.address())?;
        write!(
            stream,
            "PUT /v2/{name}/manifests/{tag} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{text}",
            self.address(),
            text.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 201"), "the registry says {answer}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing that would be missed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What machines call a port of this computer's.
pub fn seen_by_machines(address: SocketAddr) -> String {
    format!("10.0.2.2:{}", address.port())
}
