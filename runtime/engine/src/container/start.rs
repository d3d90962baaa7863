//! Start: mount, write what the shim needs, create through it, connect, run.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::{Mount, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Spec};
use runtime_image::Snapshot;
use runtime_oci::root::Root;
use runtime_oci::spec::{Place, Window, Wishes, defaults};
use rustix::mount::MountFlags;

use super::Change;
use super::entry::{Entry, Moment, MountKind, Record, Status};
use crate::engine::blocking;
use crate::models::ResourcesUlimits;
use crate::shim::protocol::{BUNDLE, Bundle, EXIT, LogFile, Reply, Request, Size};
use crate::shim::{pts_folder, write_json};
use crate::time::now;
use crate::{Engine, Error, cgroup};

impl Engine {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] with docker's words, [`Error::Conflict`] while it is paused or being removed.
    pub async fn container_start(&self, reference: &str) -> Result<Change, Error> {
        let entry = self.find(reference)?;
        let guard = entry.lifecycle.lock().await;
        match entry.status() {
            Status::Running => return Ok(Change::AlreadySo),
            Status::Paused => {
                return Err(Error::Conflict(
                    "cannot start a paused container, try unpause instead".to_owned(),
                ));
            }
            Status::Removing | Status::Dead => {
                return Err(Error::Conflict(
                    "container is marked for removal and cannot be started".to_owned(),
                ));
            }
            Status::Created | Status::Restarting | Status::Exited => {}
        }
        entry.change(|record| {
            record.state.was_stopped = false;
            record.state.restart_count = 0;
        })?;
        let result = self.start_locked(&entry).await;
        drop(guard);
        if result.is_err() && entry.record().host_config.auto_remove == Some(true) {
            // docker removes what --rm could not start.
            let _ = self.remove_entry(&entry, true).await;
        }
        result.map(|()| Change::Done)
    }

    /// Starts a container whose `lifecycle` is held.
    pub(crate) async fn start_locked(&self, entry: &Arc<Entry>) -> Result<(), Error> {
        let result = self.try_start(entry).await;
        if let Err(error) = &result {
            let code = i64::from(error.exit_code());
            self.clean_up(entry).await;
            // Clients that attached for nothing see their end.
            entry.pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
            entry.change(|record| {
                record.state.exit_code = code;
                record.state.error = error.to_string();
                if record.state.status != Status::Created {
                    record.state.status = Status::Exited;
                }
                record.state.pid = 0;
            })?;
            entry.moment.send_modify(|moment| {
                moment.is_running = false;
                moment.exits += 1;
                moment.exit_code = code;
                moment.error = Some(error.to_string());
            });
        }
        result
    }

    async fn try_start(&self, entry: &Arc<Entry>) -> Result<(), Error> {
        let engine = self.clone();
        let prepared = Arc::clone(entry);
        let pid = blocking(move || engine.prepare(&prepared)).await?;
        self.connect_networks(entry, pid).await?;

        let shim = entry.shim();
        let waiting = std::mem::take(&mut *entry.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for (socket, wants) in waiting {
            shim.ask(&Request::Attach(wants), Some(OwnedFd::from(socket))).await?;
        }
        shim.ask(&Request::Start {}, None).await?;
        entry.change(|record| {
            let state = &mut record.state;
            state.status = Status::Running;
            state.pid = pid;
            state.exit_code = 0;
            state.error.clear();
            state.was_oom_killed = false;
            state.started = Some(now());
            state.health = super::health::at_start(&record.config);
        })?;
        entry.moment.send_modify(|moment| {
            *moment = Moment { is_running: true, exits: moment.exits, ..Moment::default() };
        });
        *entry.measured_check.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.tell(entry, "start", &[]);
        self.watch(entry);
        self.watch_health(entry);
        Ok(())
    }

    /// Everything up to the waiting first process; gives its pid.
    fn prepare(&self, entry: &Entry) -> Result<i32, Error> {
        let record = entry.record().clone();
        let layers = match self.images().held(&entry.id) {
            Some(layers) => layers,
            None => return Err(Error::NoSuchImage(record.image)),
        };
        // Left by an engine that was killed while it started or cleaned up.
        Snapshot::at(&entry.snapshot_folder()).unmount()?;
        remove_leftovers(entry)?;
        let snapshot = Snapshot::mount(&entry.snapshot_folder(), &layers)?;
        let root = Root::new(snapshot.root());
        if !record.has_copied {
            for mount in &record.mounts {
                if let MountKind::Volume { name, copies: true, .. } = &mount.kind {
                    super::copy::copy_up(&root, &mount.destination, &self.inner.volumes.data(name))?;
                }
            }
            entry.change(|record| record.has_copied = true)?;
        }
        if super::sharing::is_shareable(&record.host_config) {
            mount_shm(&shm_folder(&entry.folder), record.host_config.shm_size)?;
        }
        let has_terminal = record.config.tty.unwrap_or_default();
        let window = has_terminal.then(|| window_of(entry, &record));
        self.attend(entry, &record)?;
        let spec = self.spec(entry, &record, &root, window)?;
        let log = super::create::log_options(&record.host_config.log_config.clone().unwrap_or_default())?;
        let bundle = Bundle {
            spec,
            terminal: window,
            open_stdin: record.config.open_stdin.unwrap_or_default(),
            stdin_once: record.config.stdin_once.unwrap_or_default(),
            log: log.map(|(max_size, max_files)| LogFile { path: entry.log_path(), max_size, max_files }),
            cgroup: cgroup::of(&entry.id),
            limits: super::limits::settings(&record.host_config),
        };
        write_json(&entry.folder.join(BUNDLE), &bundle)?;
        self.measure_start(&record, &bundle.spec)?;
        self.launch(entry, &bundle)
    }

    /// Runs the shim up to the created container. It hears by a pipe what was measured, not from a file that may be another by now.
    fn launch(&self, entry: &Entry, bundle: &Bundle) -> Result<i32, Error> {
        let bundle = serde_json::to_vec(bundle)
            .map_err(|source| Error::Stored { what: "what the shim is started with".to_owned(), source })?;
        let (program, args) = self
            .inner
            .settings
            .helper
            .split_first()
            .ok_or_else(|| Error::Invalid("no helper is set".to_owned()))?;
        let mut shim = Command::new(program)
            .args(args)
            .arg("shim")
            .arg(&entry.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::system("run the shim"))?;
        // It reads all of it before it says anything; what one that ended early did not read, its status explains.
        if let Some(mut pipe) = shim.stdin.take() {
            let _ = pipe.write_all(&bundle);
        }
        let output = shim.wait_with_output().map_err(Error::system("run the shim"))?;
        match serde_json::from_slice(&output.stdout) {
            Ok(Reply::Started { pid }) => Ok(pid),
            Ok(Reply::Error { message, code }) => Err(Error::Start { message, code }),
            _ => Err(Error::Start { message: format!("the shim failed ({})", output.status), code: 125 }),
        }
    }

    fn spec(&self, entry: &Entry, record: &Record, root: &Root, window: Option<Size>) -> Result<Spec, Error> {
        let (config, host) = (&record.config, &record.host_config);
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let has_option = |start: &str| host.security_opt.iter().flatten().any(|it| it.starts_with(start));
        let unconfined = has_option("systempaths") || host.privileged == Some(true);
        let paths = |wished: &Option<Vec<String>>| if unconfined { Some(Vec::new()) } else { wished.clone() };
        let init = (host.init == Some(true)).then(|| self.inner.settings.helper.first().cloned()).flatten();
        let wishes = Wishes {
            args: Some([vec![record.path.clone()], record.args.clone()].concat()),
            entrypoint: Some(Vec::new()),
            env: config.env.clone().unwrap_or_default(),
            user: text(&config.user),
            working_directory: text(&config.working_dir),
            hostname: Some(match self.lends_network(record)? {
                Some(lender) => host_name(&lender.record()),
                None => host_name(record),
            }),
            terminal: window.map(|size| Window { rows: size.rows, columns: size.columns }),
            is_read_only: host.readonly_rootfs == Some(true),
            no_new_privileges: host
                .security_opt
                .iter()
                .flatten()
                .any(|option| option.starts_with("no-new-privileges") && !option.ends_with("false")),
            domainname: text(&config.domainname),
            cap_add: host.cap_add.clone().unwrap_or_default(),
            cap_drop: host.cap_drop.clone().unwrap_or_default(),
            group_add: host.group_add.clone().unwrap_or_default(),
            mounts: self.mounts(entry, record)?,
            limits: host.ulimits.iter().flatten().map(limit).collect::<Result<_, _>>()?,
            filter: super::security::filter(host)?,
            network: self.network_of(record)?,
            pids: self.pids_of(record)?,
            ipc: self.ipc_of(record)?,
            cgroup: cgroup::of(&entry.id),
            cgroups: super::sharing::cgroups_of(host),
            is_privileged: host.privileged == Some(true),
            shm_size: host.shm_size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0),
            masked_paths: Some(paths(&host.masked_paths).unwrap_or_else(masked_paths)),
            readonly_paths: paths(&host.readonly_paths),
            oom_score_adj: host.oom_score_adj.and_then(|it| i32::try_from(it).ok()).filter(|it| *it != 0),
            init: init.map(Into::into),
        };
        let pty = pts_folder(&entry.folder);
        let place = Place { id: &entry.id, root, pty_folder: window.is_some().then_some(pty.as_path()) };
        Ok(runtime_oci::spec::build(&ImageConfiguration::default(), &wishes, place)?)
    }

    /// The container's mounts: what its user asked for, and docker's three files.
    fn mounts(&self, entry: &Entry, record: &Record) -> Result<Vec<Mount>, Error> {
        let mut mounts = Vec::new();
        let lender = self.lends_network(record)?;
        if lender.is_none() {
            Self::write_network_files(entry)?;
        }
        let folder = &lender.as_ref().map_or(entry, |lender| lender).folder;
        for name in ["hostname", "hosts", "resolv.conf"] {
            let destination = format!("/etc/{name}");
            if record.mounts.iter().all(|mount| mount.destination != destination) {
                let source = folder.join(name);
                mounts.push(defaults::mount(&destination, "bind", &source, &["bind"])?);
            }
        }
        if let Some(folder) = crate::evidence::folder_of(self, entry, record) {
            mounts.push(defaults::mount(crate::evidence::FOLDER, "bind", &folder, &["bind", "ro"])?);
        }
        if let Some(owner) = self.lends_shm(entry, record)? {
            let options = ["bind", "nosuid", "nodev", "noexec"];
            mounts.push(defaults::mount("/dev/shm", "bind", &shm_folder(&owner), &options)?);
        }
        let is_privileged = record.host_config.privileged == Some(true);
        for mount in &record.mounts {
            let mut bind = vec!["rbind"];
            bind.extend((!is_privileged).then_some("nodev"));
            bind.extend((!mount.is_writable).then_some("ro"));
            let bind = bind.as_slice();
            mounts.push(match &mount.kind {
                MountKind::Bind { source } => {
                    // docker makes what -v names and is not there.
                    std::fs::create_dir_all(source)
                        .or_else(|error| if source.exists() { Ok(()) } else { Err(error) })
                        .map_err(Error::system(format!("create `{}`", source.display())))?;
                    defaults::mount(&mount.destination, "bind", source, bind)?
                }
                MountKind::Volume { name, .. } => {
                    let source = self.inner.volumes.data(name);
                    defaults::mount(&mount.destination, "bind", &source, bind)?
                }
                MountKind::Tmpfs { options } => {
                    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
                    if !mount.is_writable {
                        options.push("ro");
                    }
                    defaults::mount(&mount.destination, "tmpfs", "tmpfs".as_ref(), &options)?
                }
            });
        }
        Ok(mounts)
    }

    /// Takes away what a container that does not run needs no more.
    pub(crate) async fn clean_up(&self, entry: &Arc<Entry>) {
        self.disconnect_networks(entry).await;
        self.leave(entry);
        let entry = Arc::clone(entry);
        let cleaned = blocking(move || {
            cgroup::remove(&entry.id);
            Snapshot::at(&entry.snapshot_folder()).unmount()?;
            remove_leftovers(&entry)
        });
        if let Err(error) = cleaned.await {
            eprintln!("engine: {error}");
        }
    }
}

/// The host name that a container has.
pub(crate) fn host_name(record: &Record) -> String {
    let name = record.config.hostname.clone().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| record.id.chars().take(12).collect())
}

fn window_of(entry: &Entry, record: &Record) -> Size {
    let asked = *entry.window.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |at: usize| {
        let size = record.host_config.console_size.as_ref().and_then(|size| size.get(at).copied());
        size.and_then(|size| u16::try_from(size).ok()).unwrap_or_default()
    };
    asked.unwrap_or_else(|| Size { rows: number(0), columns: number(1) })
}

/// What an earlier run left in the folder.
fn remove_leftovers(entry: &Entry) -> Result<(), Error> {
    let (pts, shm) = (pts_folder(&entry.folder), shm_folder(&entry.folder));
    for folder in [&pts, &shm] {
        let _ = rustix::mount::unmount(folder, rustix::mount::UnmountFlags::DETACH);
    }
    let fine = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    fine(std::fs::remove_dir(&pts))
        .and_then(|()| fine(std::fs::remove_dir(&shm)))
        .and_then(|()| fine(std::fs::remove_file(entry.folder.join(EXIT))))
        .and_then(|()| fine(std::fs::remove_file(entry.folder.join(BUNDLE))))
        .map_err(Error::system(format!("clean `{}`", entry.folder.display())))
}

/// Docker's, and where this kernel tells what the machine as a whole holds.
fn masked_paths() -> Vec<String> {
    defaults::MASKED.iter().copied().chain(["/proc/coffer"]).map(str::to_owned).collect()
}

/// Where the memory is that a container shares with others that have its IPC namespace.
fn shm_folder(folder: &Path) -> PathBuf {
    folder.join("shm")
}

fn mount_shm(folder: &Path, size: Option<i64>) -> Result<(), Error> {
    let what = || format!("mount `{}`", folder.display());
    let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(defaults::SHM_SIZE);
    let options = std::ffi::CString::new(format!("mode=1777,size={size}"))
        .map_err(|error| Error::system(what())(std::io::Error::from(error)))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    std::fs::create_dir_all(folder).map_err(Error::system(what()))?;
    rustix::mount::mount("shm", folder, "tmpfs", flags, options.as_c_str()).map_err(Error::system(what()))
}

/// A limit as the kernel knows it.
pub(super) fn limit(wished: &ResourcesUlimits) -> Result<PosixRlimit, Error> {
    let name = wished.name.as_deref().unwrap_or_default();
    let kind = match name {
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        _ => return Err(Error::Invalid(format!("invalid ulimit type: {name}"))),
    };
    // -1 is no limit.
    let value = |value: Option<i64>| u64::try_from(value.unwrap_or(-1)).unwrap_or(u64::MAX);
    let (soft, hard) = (value(wished.soft), value(wished.hard));
    if soft > hard {
        return Err(Error::Invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    let limit = PosixRlimitBuilder::default().typ(kind).soft(soft).hard(hard).build();
    limit.map_err(|_| Error::Invalid(format!("invalid ulimit {name}")))
}

/// How long a container that has just been killed may take to end.
pub(crate) const KILL_PATIENCE: Duration = Duration::from_secs(10);
