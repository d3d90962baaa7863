//! `docker cp` and export: through the [helper](crate::helper) that sees what the container sees.

use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, ReadBuf};
use tokio::process::{Child, ChildStdout, Command};

use super::entry::{Entry, MountKind};
use super::{PathStat, PutOptions};
use crate::engine::blocking;
use crate::helper::archive::{Failure, Job, Place, Task};
use crate::{Engine, Error};

/// A tar that a helper packs. The helper ends with it.
struct Packed {
    output: BufReader<ChildStdout>,
    _child: Child,
}

impl AsyncRead for Packed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl Engine {
    /// Looks at a path in it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPath`].
    pub async fn archive_stat(&self, reference: &str, path: &str) -> Result<PathStat, Error> {
        let entry = self.find(reference)?;
        self.look(&entry, reference, path, Task::Stat).await.map(|(stat, _)| stat)
    }

    /// Gives a path as a tar.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPath`].
    pub async fn archive_get(
        &self,
        reference: &str,
        path: &str,
    ) -> Result<(PathStat, Box<dyn AsyncRead + Send + Unpin>), Error> {
        let entry = self.find(reference)?;
        let (stat, packed) = self.look(&entry, reference, path, Task::Get).await?;
        self.tell(&entry, "archive-path", &[]);
        Ok((stat, Box::new(packed)))
    }

    /// Unpacks a tar in a folder in it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPath`], [`Error::Invalid`] for broken archives.
    pub async fn archive_put(
        &self,
        reference: &str,
        path: &str,
        options: PutOptions,
        mut tar: impl AsyncRead + Send + Unpin,
    ) -> Result<(), Error> {
        let entry = self.find(reference)?;
        if entry.record().host_config.readonly_rootfs == Some(true)
            && !entry.record().mounts.iter().any(|mount| path.starts_with(&mount.destination))
        {
            return Err(Error::Forbidden("container rootfs is marked read-only".to_owned()));
        }
        // One that does not run must not be started while its files are mounted here.
        let _guard = if entry.status().is_alive() { None } else { Some(entry.lifecycle.lock().await) };
        {
            let (engine, entry, path) = (self.clone(), Arc::clone(&entry), path.to_owned());
            blocking(move || engine.measure_contents(&entry, &path)).await?;
        }
        let task = Task::Put { no_overwrite_dir_non_dir: options.no_overwrite_dir_non_dir };
        let mut child = self.spawn(&entry, path, task)?;
        let input = child.stdin.take();
        let copied = async {
            if let Some(mut input) = input {
                // The helper may stop early, and then says why.
                let _ = tokio::io::copy(&mut tar, &mut input).await;
                let _ = input.shutdown().await;
            }
        };
        copied.await;
        let output = child.wait_with_output().await.map_err(Error::system("unpack the archive"))?;
        if !output.status.success() {
            return Err(error_of(&output.stderr, reference, path));
        }
        self.tell(&entry, "extract-to-dir", &[]);
        Ok(())
    }

    /// Its whole file system as a tar.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn container_export(
        &self,
        reference: &str,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error> {
        let entry = self.find(reference)?;
        let (_, packed) = self.look(&entry, reference, "/", Task::Export).await?;
        self.tell(&entry, "export", &[]);
        Ok(Box::new(packed))
    }

    async fn look(
        &self,
        entry: &Arc<Entry>,
        reference: &str,
        path: &str,
        task: Task,
    ) -> Result<(PathStat, Packed), Error> {
        let what = "look into the container";
        let mut child = self.spawn(entry, path, task)?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| Error::system(what)(std::io::Error::from(std::io::ErrorKind::BrokenPipe)))?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).await.map_err(Error::system(what))?;
        match serde_json::from_str(&line) {
            Ok(stat) => Ok((stat, Packed { output, _child: child })),
            Err(_) => {
                let mut text = Vec::new();
                if let Some(mut errors) = child.stderr.take() {
                    errors.read_to_end(&mut text).await.map_err(Error::system(what))?;
                }
                Err(error_of(&text, reference, path))
            }
        }
    }

    fn spawn(&self, entry: &Entry, path: &str, task: Task) -> Result<Child, Error> {
        let record = entry.record().clone();
        let place = if record.state.status.is_alive() {
            Place::Running { pid: record.state.pid }
        } else {
            let mounts = record.mounts.iter().filter_map(|mount| {
                let source = match &mount.kind {
                    MountKind::Bind { source } => source.clone(),
                    MountKind::Volume { name, .. } => self.inner.volumes.data(name),
                    MountKind::Tmpfs { .. } => return None,
                };
                Some((source, mount.destination.clone()))
            });
            let layers =
                self.images().held(&entry.id).ok_or_else(|| Error::NoSuchImage(record.image.clone()))?;
            Place::Stopped { snapshot: entry.snapshot_folder(), layers, mounts: mounts.collect() }
        };
        let job = serde_json::to_string(&Job { place, task, path: path.to_owned() })
            .map_err(|source| Error::Stored { what: "job of the helper".to_owned(), source })?;
        let (program, args) = self
            .inner
            .settings
            .helper
            .split_first()
            .ok_or_else(|| Error::Invalid("no helper is set".to_owned()))?;
        Command::new(program)
            .args(args)
            .arg("archive")
            .arg(job)
            .stdin(if matches!(task, Task::Put { .. }) { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::system("run the helper"))
    }
}

fn error_of(text: &[u8], container: &str, path: &str) -> Error {
    match serde_json::from_slice::<Failure>(text) {
        Ok(failure) if failure.is_missing => {
            Error::NoSuchPath { path: path.to_owned(), container: container.to_owned() }
        }
        Ok(failure) if failure.is_request => Error::Invalid(failure.message),
        Ok(failure) => {
            Error::System { what: "copy".to_owned(), source: std::io::Error::other(failure.message) }
        }
        Err(_) => {
            let text = String::from_utf8_lossy(text).trim().to_owned();
            Error::System { what: "copy".to_owned(), source: std::io::Error::other(text) }
        }
    }
}
