//! `docker exec`: another process in a running container.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci_spec::runtime::Spec;
use runtime_oci::root::Root;
use runtime_oci::spec::{ExecWishes, Window};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::container::attach::pair;
use crate::container::entry::{Entry, Status};
use crate::container::{Attachment, TerminalSize, security};
use crate::engine::{blocking, random_id};
use crate::models::{ExecConfig, ExecInspectResponse, ExecStartConfig, IdResponse, ProcessConfig};
use crate::shim::detach;
use crate::shim::protocol::{Attach, BUNDLE, Bundle, Exit, Reply, Request, Size};
use crate::shim::{read_json, write_json};
use crate::{Engine, Error};

/// Where the records of a container's execs are.
const FOLDER: &str = "execs";

/// One exec.
#[derive(Debug)]
pub(crate) struct ExecRecord {
    folder: PathBuf,
    kept: Mutex<Kept>,
    window: Mutex<Option<Size>>,
    /// Whether it has ended.
    ended: watch::Sender<bool>,
}

/// What is on disk of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    id: String,
    container: String,
    config: ExecConfig,
    pid: i32,
    state: ExecState,
    /// Whether it is a run of the container's health check.
    #[serde(default)]
    is_check: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ExecState {
    Created,
    Running,
    Ended { code: i64 },
}

impl ExecRecord {
    fn new(folder: PathBuf, kept: Kept) -> Self {
        let ended = watch::Sender::new(matches!(kept.state, ExecState::Ended { .. }));
        Self { folder, kept: Mutex::new(kept), window: Mutex::default(), ended }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> Result<T, Error> {
        let mut kept = self.kept();
        let value = change(&mut kept);
        let has_ended = matches!(kept.state, ExecState::Ended { .. });
        let written = write_json(&self.folder.join(format!("{}.json", kept.id)), &*kept);
        self.ended.send_replace(has_ended);
        written?;
        Ok(value)
    }
}

impl Engine {
    /// Prepares a process; gives its id.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchContainer`], [`Error::NotRunning`], [`Error::Paused`], [`Error::Invalid`].
    pub async fn exec_create(&self, container: &str, config: ExecConfig) -> Result<IdResponse, Error> {
        let entry = self.find(container)?;
        running(&entry)?;
        let command = config.cmd.clone().unwrap_or_default();
        if command.is_empty() {
            return Err(Error::Invalid("No exec command specified".to_owned()));
        }
        if config.privileged == Some(true) {
            security::privileged(self.inner.settings.is_sealed)?;
        }
        detach::parse(config.detach_keys.as_deref())?;
        let id = random_id()?;
        let folder = entry.folder.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(Error::system("create the folder of the execs"))?;
        let kept = Kept {
            id: id.clone(),
            container: entry.id.clone(),
            config,
            pid: 0,
            state: ExecState::Created,
            is_check: false,
        };
        let record = ExecRecord::new(folder, kept);
        record.change(|_| ())?;
        self.execs().insert(id.clone(), Arc::new(record));
        self.tell(&entry, &format!("exec_create: {}", command.join(" ")), &[("execID", id.clone())]);
        Ok(IdResponse { id })
    }

    /// Starts it. None when detached.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchExec`], [`Error::Conflict`] when it ran already, [`Error::Start`].
    pub async fn exec_start(&self, id: &str, config: ExecStartConfig) -> Result<Option<Attachment>, Error> {
        let record = self.exec(id)?;
        let kept = record.kept().clone();
        let entry = self.find(&kept.container)?;
        running(&entry)?;
        match kept.state {
            ExecState::Created => {}
            ExecState::Running => {
                return Err(Error::Conflict(format!("Error: Exec command {id} is already running")));
            }
            ExecState::Ended { .. } => {
                return Err(Error::Conflict(format!("Error: Exec command {id} has already run")));
            }
        }
        let is_terminal = kept.config.tty.unwrap_or_default();
        let is_detached = config.detach == Some(true);
        let asked = *record.window.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |at: usize| {
            let sizes = config.console_size.as_ref().or(kept.config.console_size.as_ref());
            let size = sizes.and_then(|size| size.get(at).copied());
            size.and_then(|size| u16::try_from(size).ok()).unwrap_or_default()
        };
        let terminal =
            is_terminal.then(|| asked.unwrap_or_else(|| Size { rows: number(0), columns: number(1) }));

        let process = {
            let (entry, config) = (Arc::clone(&entry), kept.config.clone());
            let engine = self.clone();
            blocking(move || {
                let process = process(&entry, &config, terminal)?;
                engine.measure_exec(&entry, &process, kept.is_check)?;
                Ok(process)
            })
            .await?
        };
        let (attach, attachment, descriptor) = if is_detached {
            (None, None, None)
        } else {
            let (ours, theirs) = pair()?;
            let keys = detach::parse(kept.config.detach_keys.as_deref())?;
            let wants = Attach {
                stdin: kept.config.attach_stdin.unwrap_or_default(),
                stdout: kept.config.attach_stdout.unwrap_or_default(),
                stderr: kept.config.attach_stderr.unwrap_or_default(),
                detach_keys: if is_terminal { keys } else { Vec::new() },
            };
            let attachment =
                Attachment { is_terminal, logs: None, stream: ours, ended: Some(record.ended.subscribe()) };
            (Some(wants), Some(attachment), Some(OwnedFd::from(theirs)))
        };
        let command = kept.config.cmd.clone().unwrap_or_default().join(" ");
        self.tell(&entry, &format!("exec_start: {command}"), &[("execID", id.to_owned())]);
        let request = Request::Exec { id: id.to_owned(), process: Box::new(process), terminal, attach };
        match entry.shim().ask(&request, descriptor).await {
            Ok(Reply::Started { pid }) => {
                record.change(|kept| {
                    kept.pid = pid;
                    kept.state = ExecState::Running;
                })?;
                self.watch_exec(&entry, &record);
                Ok(attachment)
            }
            Ok(_) => Err(Error::Conflict("the shim gave another answer than it was asked for".to_owned())),
            Err(error) => {
                let code = i64::from(error.exit_code());
                record.change(|kept| kept.state = ExecState::Ended { code })?;
                Err(error)
            }
        }
    }

    /// Tells how it is.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchExec`].
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInspectResponse, Error> {
        let kept = self.exec(id)?.kept().clone();
        let mut command = kept.config.cmd.clone().unwrap_or_default().into_iter();
        let exit_code = match kept.state {
            ExecState::Ended { code } => Some(code),
            ExecState::Created | ExecState::Running => None,
        };
        Ok(ExecInspectResponse {
            can_remove: Some(false),
            detach_keys: Some(kept.config.detach_keys.unwrap_or_default()),
            id: Some(kept.id),
            running: Some(kept.state == ExecState::Running),
            exit_code,
            process_config: Some(ProcessConfig {
                privileged: Some(kept.config.privileged.unwrap_or_default()),
                user: kept.config.user,
                tty: Some(kept.config.tty.unwrap_or_default()),
                entrypoint: command.next(),
                arguments: Some(command.collect()),
            }),
            open_stdin: Some(kept.config.attach_stdin.unwrap_or_default()),
            open_stderr: Some(kept.config.attach_stderr.unwrap_or_default()),
            open_stdout: Some(kept.config.attach_stdout.unwrap_or_default()),
            container_id: Some(kept.container),
            pid: Some(kept.pid.into()),
        })
    }

    /// Sets the size of its terminal. Before it runs the size is kept for it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchExec`].
    pub async fn exec_resize(&self, id: &str, size: TerminalSize) -> Result<(), Error> {
        let record = self.exec(id)?;
        let size = Size { rows: size.rows, columns: size.columns };
        *record.window.lock().unwrap_or_else(PoisonError::into_inner) = Some(size);
        let (container, state) = {
            let kept = record.kept();
            (kept.container.clone(), kept.state)
        };
        if state == ExecState::Running {
            let shim = self.find(&container)?.shim();
            // One that has just ended has nothing to resize.
            let _ = shim.ask(&Request::Resize { exec: Some(id.to_owned()), size }, None).await;
        }
        Ok(())
    }

    /// The execs of a container that have not ended.
    pub(crate) fn execs_of(&self, container: &str) -> Vec<String> {
        let execs = self.execs();
        let of = execs.values().filter(|record| {
            let kept = record.kept();
            kept.container == container && !matches!(kept.state, ExecState::Ended { .. })
        });
        of.map(|record| record.kept().id.clone()).collect()
    }

    /// A container has ended, and with it everything that joined it.
    pub(crate) fn end_execs(&self, container: &str) {
        self.execs().retain(|_, record| {
            let kept = record.kept();
            kept.container != container || kept.state != ExecState::Created
        });
    }

    /// Says of an exec that it is a run of the container's health check.
    pub(crate) fn mark_check(&self, id: &str) -> Result<(), Error> {
        self.exec(id)?.change(|kept| kept.is_check = true)
    }

    /// Forgets an exec that has ended, here and in the shim.
    pub(crate) async fn forget_exec(&self, entry: &Entry, id: &str) {
        let Some(record) = self.execs().remove(id) else { return };
        // What is gone already is forgotten.
        let _ = std::fs::remove_file(record.folder.join(format!("{id}.json")));
        let _ = entry.shim().ask(&Request::Forget { exec: id.to_owned() }, None).await;
    }

    /// A container is removed.
    pub(crate) fn forget_execs(&self, container: &str) {
        self.execs().retain(|_, record| record.kept().container != container);
    }

    /// Reads the execs of all containers, and goes on waiting for those that run.
    pub(crate) fn recover_execs(&self) {
        for entry in self.all() {
            let folder = entry.folder.join(FOLDER);
            for file in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                // One that was being written when the engine was killed had not been answered.
                let Ok(kept) = read_json::<Kept>(&file.path()) else { continue };
                let (id, is_running) = (kept.id.clone(), kept.state == ExecState::Running);
                let record = Arc::new(ExecRecord::new(folder.clone(), kept));
                self.execs().insert(id, Arc::clone(&record));
                if is_running {
                    self.watch_exec(&entry, &record);
                }
            }
        }
    }

    fn watch_exec(&self, entry: &Arc<Entry>, record: &Arc<ExecRecord>) {
        let (engine, entry, record) = (self.clone(), Arc::clone(entry), Arc::clone(record));
        tokio::spawn(async move {
            let id = record.kept().id.clone();
            // With the container everything in it is killed.
            let exit = entry.shim().wait_exec(&id).await.unwrap_or(Exit { code: 137, at_ns: 0 });
            let code = exit.code.into();
            if let Err(error) = record.change(|kept| kept.state = ExecState::Ended { code }) {
                // The folder may be gone with the container.
                if !entry.moment.borrow().is_removed {
                    eprintln!("engine: {error}");
                }
            }
            engine.tell(&entry, "exec_die", &[("execID", id), ("exitCode", exit.code.to_string())]);
        });
    }

    fn exec(&self, id: &str) -> Result<Arc<ExecRecord>, Error> {
        self.execs().get(id).cloned().ok_or_else(|| Error::NoSuchExec(id.to_owned()))
    }

    fn execs(&self) -> MutexGuard<'_, std::collections::HashMap<String, Arc<ExecRecord>>> {
        self.inner.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn running(entry: &Entry) -> Result<(), Error> {
    match entry.status() {
        Status::Running => Ok(()),
        Status::Paused => Err(Error::Paused { id: entry.id.clone(), action: "exec" }),
        Status::Restarting => Err(Error::Restarting(entry.id.clone())),
        _ => Err(Error::NotRunning(entry.id.clone())),
    }
}

/// The configuration of the process, with its user looked up in the container as it is now.
fn process(
    entry: &Entry,
    config: &ExecConfig,
    terminal: Option<Size>,
) -> Result<oci_spec::runtime::Process, Error> {
    let bundle: Bundle = read_json(&entry.folder.join(BUNDLE))?;
    let spec: &Spec = &bundle.spec;
    let record = entry.record().clone();
    let user = config.user.clone().filter(|user| !user.is_empty());
    let wishes = ExecWishes {
        args: config.cmd.clone().unwrap_or_default(),
        base_env: record.config.env.clone().unwrap_or_default(),
        env: config.env.clone().unwrap_or_default(),
        user: user.or_else(|| record.config.user.clone()).unwrap_or_default(),
        group_add: record.host_config.group_add.clone().unwrap_or_default(),
        working_directory: config.working_dir.clone(),
        terminal: terminal.map(|size| Window { rows: size.rows, columns: size.columns }),
        is_privileged: config.privileged.unwrap_or_default(),
    };
    let root = Root::new(format!("/proc/{}/root", record.state.pid));
    Ok(runtime_oci::spec::exec(spec, &wishes, &root)?)
}
