//! While it runs, and when it ends: waiting for the end, restart policies, recovery after a restart of the engine.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, Status};
use crate::events::event;
use crate::models::{EventMessageTypeEnum, HealthStatusEnum, RestartPolicyNameEnum};
use crate::shim::protocol::Exit;
use crate::time::{Time, now};
use crate::{Engine, cgroup};

/// The first pause before a restart; each next one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A container that ran so long has not failed at once: the pauses begin anew.
const SETTLED_NS: i128 = 10_000_000_000;
/// The exit code of a container whose end nobody saw.
const LOST: i32 = 137;

impl Engine {
    /// Waits for the end of a running container, in a task of its own.
    pub(crate) fn watch(&self, entry: &Arc<Entry>) {
        let (engine, entry) = (self.clone(), Arc::clone(entry));
        tokio::spawn(async move {
            let exit = entry.shim().wait().await;
            engine.ended(&entry, exit).await;
        });
    }

    /// Takes up a container that an earlier engine left.
    pub(crate) async fn resume(&self, entry: &Arc<Entry>) {
        let record = entry.record().clone();
        match record.state.status {
            Status::Running | Status::Paused => {
                // Whoever answered its questions for evidence is gone with the earlier engine.
                if let Err(error) = self.attend(entry, &record) {
                    eprintln!("engine: {error}");
                }
                self.watch(entry);
                self.watch_health(entry);
                let pid = rustix::process::Pid::from_raw(record.state.pid);
                if let Some(Err(error)) = pid.map(|pid| self.serve_names(entry, pid)) {
                    eprintln!("engine: {error}");
                }
            }
            Status::Removing | Status::Dead => {
                if let Err(error) = self.remove_entry(entry, true).await {
                    eprintln!("engine: {error}");
                }
            }
            // It was waiting to be restarted, or starting: as if it had just ended.
            Status::Restarting => {
                let (engine, entry) = (self.clone(), Arc::clone(entry));
                tokio::spawn(async move { engine.restart_after(&entry, FIRST_PAUSE).await });
            }
            Status::Created | Status::Exited => {}
        }
    }

    async fn ended(&self, entry: &Arc<Entry>, exit: Option<Exit>) {
        let exit = exit.unwrap_or_else(|| Exit { code: LOST, at_ns: now().nanoseconds() });
        let guard = entry.lifecycle.lock().await;
        // The group goes with what is cleaned up.
        let was_oom_killed = cgroup::oom_kills(&entry.id) > 0;
        self.clean_up(entry).await;
        let at = Time::from_nanoseconds(exit.at_ns);
        let changed = entry.change(|record| {
            let state = &mut record.state;
            let ran_ns = state.started.map_or(0, |started| exit.at_ns - started.nanoseconds());
            state.pid = 0;
            state.exit_code = exit.code.into();
            state.finished = Some(at);
            state.was_oom_killed = was_oom_killed;
            // What cannot be checked any more is not healthy.
            if let Some(health) = &mut state.health {
                health.status = Some(HealthStatusEnum::UNHEALTHY);
            }
            let policy = record.host_config.restart_policy.clone().unwrap_or_default();
            let retries = policy.maximum_retry_count.unwrap_or_default();
            let restarts = !state.was_stopped
                && match policy.name.unwrap_or(RestartPolicyNameEnum::EMPTY) {
                    RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED => true,
                    RestartPolicyNameEnum::ON_FAILURE => {
                        exit.code != 0 && (retries == 0 || state.restart_count < retries)
                    }
                    RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY => false,
                };
            state.status = if restarts { Status::Restarting } else { Status::Exited };
            let failures = u32::try_from(state.restart_count).unwrap_or(u32::MAX).min(16);
            if restarts {
                state.restart_count += 1;
            }
            let pause =
                if ran_ns >= SETTLED_NS { FIRST_PAUSE } else { FIRST_PAUSE.saturating_mul(1 << failures) };
            (restarts.then(|| pause.min(LAST_PAUSE)), record.host_config.auto_remove == Some(true))
        });
        let (pause, removes) = changed.unwrap_or_else(|error| {
            eprintln!("engine: {error}");
            (None, false)
        });
        self.end_execs(&entry.id);
        if was_oom_killed {
            self.tell(entry, "oom", &[]);
        }
        let seconds = entry.record().state.started.map_or(0, |started| at.seconds() - started.seconds());
        self.tell(
            entry,
            "die",
            &[("exitCode", exit.code.to_string()), ("execDuration", seconds.max(0).to_string())],
        );
        entry.moment.send_modify(|moment| {
            moment.is_running = false;
            moment.exits += 1;
            moment.exit_code = exit.code.into();
            moment.error = None;
        });
        drop(guard);
        if let Some(pause) = pause {
            self.restart_after(entry, pause).await;
        } else if removes && let Err(error) = self.remove_entry(entry, true).await {
            eprintln!("engine: {error}");
        }
    }

    /// Starts it again after a pause, unless it was stopped, started or removed meanwhile.
    async fn restart_after(&self, entry: &Arc<Entry>, pause: Duration) {
        let is_due = tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = entry.wake.notified() => false,
        };
        let _guard = entry.lifecycle.lock().await;
        if !is_due || entry.status() != Status::Restarting {
            return;
        }
        if let Err(error) = self.start_locked(entry).await {
            eprintln!("engine: cannot restart {}: {error}", entry.name());
        }
    }

    /// Tells an event of a container.
    pub(crate) fn tell(&self, entry: &Entry, action: &str, more: &[(&str, String)]) {
        let mut attributes = entry.attributes();
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.emit(event(EventMessageTypeEnum::CONTAINER, action, &entry.id, attributes));
    }
}
