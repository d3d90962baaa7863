//! The docker client's contexts, as files below `$DOCKER_CONFIG/contexts`: the form that the client itself writes
//! (<https://docs.docker.com/engine/manage-resources/contexts/>). Written here rather than by the client, so that it need not be
//! installed yet and so that there is one way.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::{env, io};

use anyhow::{Context as _, bail};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::tls::hex;

/// What a context needs besides its name.
#[derive(Debug)]
pub struct Endpoint<'a> {
    /// `tcp://…`.
    pub host: &'a str,
    pub description: &'a str,
    /// The server's certificate, the client's and its key; none for a socket of this computer.
    pub files: &'a [(&'static str, &'a str)],
}

/// A context by its name.
#[derive(Debug)]
pub struct Context {
    name: String,
    meta: PathBuf,
    tls: PathBuf,
}

impl Context {
    /// The context of a machine.
    pub fn of(machine: &str) -> anyhow::Result<Self> {
        let configuration = match env::var_os("DOCKER_CONFIG") {
            Some(folder) => PathBuf::from(folder),
            None => env::home_dir().context("neither DOCKER_CONFIG nor HOME is set")?.join(".docker"),
        };
        let name = format!("coffer-{machine}");
        let id = hex(&Sha256::digest(&name));
        let contexts = configuration.join("contexts");
        Ok(Self { meta: contexts.join("meta").join(&id), tls: contexts.join("tls").join(&id), name })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fails if there is a context of that name which is not ours to replace.
    pub fn check_free(&self) -> anyhow::Result<()> {
        if self.meta.exists() {
            bail!(
                "docker has a context `{}` already: remove it (`docker context rm {}`)",
                self.name,
                self.name
            );
        }
        Ok(())
    }

    /// Writes the context.
    pub fn write(&self, endpoint: &Endpoint) -> anyhow::Result<()> {
        let meta = json!({
            "Name": self.name,
            "Metadata": { "Description": endpoint.description },
            "Endpoints": { "docker": { "Host": endpoint.host, "SkipTLSVerify": false } },
        });
        let write = || {
            let tls = self.tls.join("docker");
            create(&tls)?;
            for (name, text) in endpoint.files {
                write_private(&tls.join(name), text.as_bytes())?;
            }
            create(&self.meta)?;
            // Last: it is what makes the context be there.
            write_private(&self.meta.join("meta.json"), meta.to_string().as_bytes())
        };
        write().with_context(|| format!("cannot write the docker context `{}`", self.name))
    }

    /// Removes the context. One that is gone is fine.
    pub fn remove(&self) -> anyhow::Result<()> {
        for folder in [&self.meta, &self.tls] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error)
                        .with_context(|| format!("cannot remove the docker context `{}`", self.name));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}
