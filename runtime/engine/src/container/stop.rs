//! Stop, restart and kill.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, Status};
use super::start::KILL_PATIENCE;
use super::{Change, signals};
use crate::engine::blocking;
use crate::shim::protocol::Request;
use crate::{Engine, Error, cgroup};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
/// How long docker waits after the stop signal.
const DEFAULT_TIMEOUT: i64 = 10;

impl Engine {
    /// Stops it: its stop signal, or `signal`; after `timeout` seconds (-1: never) SIGKILL.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for signals.
    pub async fn container_stop(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<Change, Error> {
        let entry = self.find(reference)?;
        let change = self.stop_entry(&entry, signal, timeout, true).await?;
        if change == Change::Done {
            self.tell(&entry, "stop", &[]);
        }
        Ok(change)
    }

    /// Stops and starts it.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub async fn container_restart(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<(), Error> {
        let entry = self.find(reference)?;
        // --rm must not take it away in between.
        let removes = entry.change(|record| record.host_config.auto_remove.replace(false))?;
        let stopped = self.stop_entry(&entry, signal, timeout, true).await;
        let started = match stopped {
            Ok(_) => self.container_start(&entry.id).await.map(drop),
            Err(error) => Err(error),
        };
        entry.change(|record| record.host_config.auto_remove = removes)?;
        started?;
        self.tell(&entry, "restart", &[]);
        Ok(())
    }

    /// Sends a signal, SIGKILL by default.
    ///
    /// # Errors
    ///
    /// [`Error::KillNotRunning`], [`Error::Invalid`].
    pub async fn container_kill(&self, reference: &str, signal: Option<&str>) -> Result<(), Error> {
        let entry = self.find(reference)?;
        let signal = signal.filter(|signal| !signal.is_empty()).map_or(Ok(SIGKILL), signals::parse)?;
        let not_running = || Error::KillNotRunning { name: reference.to_owned(), id: entry.id.clone() };
        if !entry.status().is_alive() {
            return Err(not_running());
        }
        let stop_signal = entry.record().config.stop_signal.clone();
        let stop_signal = stop_signal.as_deref().map_or(Ok(SIGTERM), signals::parse)?;
        if signal == SIGKILL || signal == stop_signal {
            // A restart policy takes neither for a failure.
            entry.change(|record| record.state.was_stopped = true)?;
        }
        self.signal(&entry, signal).await.map_err(|_| not_running())?;
        if signal == SIGKILL {
            self.thaw(&entry).await;
            let mut moment = entry.moment.subscribe();
            let _ = tokio::time::timeout(KILL_PATIENCE, moment.wait_for(|moment| !moment.is_running)).await;
        }
        self.tell(&entry, "kill", &[("signal", signal.to_string())]);
        Ok(())
    }

    /// Stops a container. With `by_user` restart policies leave it alone from then on.
    pub(crate) async fn stop_entry(
        &self,
        entry: &Arc<Entry>,
        signal: Option<&str>,
        timeout: Option<i64>,
        by_user: bool,
    ) -> Result<Change, Error> {
        let (status, stop_signal, stop_timeout) = {
            let record = entry.record();
            (record.state.status, record.config.stop_signal.clone(), record.config.stop_timeout)
        };
        let signal = signal.filter(|signal| !signal.is_empty()).or(stop_signal.as_deref());
        let signal = signal.map_or(Ok(SIGTERM), signals::parse)?;
        if by_user && status != Status::Created {
            entry.change(|record| record.state.was_stopped = true)?;
        }
        if status == Status::Restarting {
            entry.wake.notify_one();
            let _guard = entry.lifecycle.lock().await;
            if entry.status() == Status::Restarting {
                entry.change(|record| record.state.status = Status::Exited)?;
                return Ok(Change::Done);
            }
        }
        if !entry.status().is_alive() {
            return Ok(Change::AlreadySo);
        }
        let mut moment = entry.moment.subscribe();
        let seconds = timeout.or(stop_timeout).unwrap_or(DEFAULT_TIMEOUT);
        let sent = self.signal(entry, signal).await;
        self.thaw(entry).await;
        if sent.is_ok() {
            let ended = moment.wait_for(|moment| !moment.is_running);
            let is_ended = match u64::try_from(seconds) {
                Ok(seconds) => tokio::time::timeout(Duration::from_secs(seconds), ended).await.is_ok(),
                // Negative: wait for ever.
                Err(_) => ended.await.is_ok(),
            };
            if is_ended {
                return Ok(Change::Done);
            }
        }
        // One that has just ended cannot be signalled, which is as good.
        let _ = self.signal(entry, SIGKILL).await;
        match tokio::time::timeout(KILL_PATIENCE, moment.wait_for(|moment| !moment.is_running)).await {
            Ok(_) => Ok(Change::Done),
            Err(_) => Err(Error::Conflict(format!("container {} did not end after SIGKILL", entry.id))),
        }
    }

    async fn signal(&self, entry: &Entry, signal: i32) -> Result<(), Error> {
        entry.shim().ask(&Request::Signal { exec: None, signal }, None).await.map(drop)
    }

    /// Lets what is frozen take its signal.
    async fn thaw(&self, entry: &Arc<Entry>) {
        if entry.status() == Status::Paused {
            let id = entry.id.clone();
            let _ = blocking(move || cgroup::freeze(&id, false)).await;
        }
    }

    /// Freezes its processes.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`], [`Error::AlreadyPaused`], [`Error::Unsupported`] without cgroups.
    pub async fn container_pause(&self, reference: &str) -> Result<(), Error> {
        let entry = self.find(reference)?;
        let _guard = entry.lifecycle.lock().await;
        match entry.status() {
            Status::Running => {}
            Status::Paused => return Err(Error::AlreadyPaused(entry.id.clone())),
            Status::Restarting => return Err(Error::Restarting(entry.id.clone())),
            _ => return Err(Error::NotRunning(entry.id.clone())),
        }
        let id = entry.id.clone();
        blocking(move || cgroup::freeze(&id, true)).await?;
        entry.change(|record| record.state.status = Status::Paused)?;
        self.tell(&entry, "pause", &[]);
        Ok(())
    }

    /// Thaws them.
    ///
    /// # Errors
    ///
    /// [`Error::NotPaused`].
    pub async fn container_unpause(&self, reference: &str) -> Result<(), Error> {
        let entry = self.find(reference)?;
        let _guard = entry.lifecycle.lock().await;
        if entry.status() != Status::Paused {
            return Err(Error::NotPaused(entry.id.clone()));
        }
        let id = entry.id.clone();
        blocking(move || cgroup::freeze(&id, false)).await?;
        entry.change(|record| record.state.status = Status::Running)?;
        self.tell(&entry, "unpause", &[]);
        Ok(())
    }
}
