//! Health checks: a command that runs in the container again and again, and what its answers make of the container's health
//! (<https://docs.docker.com/reference/dockerfile/#healthcheck>).
//!
//! [`Check`] is what the configuration asks for, [`judge`] what an answer changes. Each run is an exec like any other, with its events; nothing
//! is kept of it but what inspect shows.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::entry::{Entry, Status};
use crate::models::{
    ContainerConfig, ExecConfig, ExecStartConfig, Health, HealthConfig, HealthStatusEnum, HealthcheckResult,
};
use crate::shim::protocol::Request;
use crate::time::{Time, now};
use crate::{Engine, Error};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: i64 = 3;
/// The shortest time that can be asked for.
const SHORTEST_NS: i64 = 1_000_000;
/// How many answers inspect shows, and how much of each.
const KEPT: usize = 5;
const KEPT_OUTPUT: usize = 4096;
/// How long a command that was killed may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
const SIGKILL: i32 = 9;
/// The code of a check that could not be run to its end.
const NO_CODE: i64 = -1;

/// A check with every default written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    command: Vec<String>,
    interval: Duration,
    timeout: Duration,
    /// The time in which failures do not count yet, and how often it is checked then.
    start_period: Duration,
    start_interval: Duration,
    retries: i64,
}

/// One run of a check.
#[derive(Debug)]
struct Answer {
    start: Time,
    end: Time,
    code: i64,
    output: String,
}

impl Check {
    /// The check of a container, if it has one.
    pub fn of(config: &ContainerConfig) -> Option<Self> {
        let health = config.healthcheck.as_ref()?;
        let (kind, words) = health.test.as_ref()?.split_first()?;
        let shell = || config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" => [shell(), words.to_vec()].concat(),
            _ => return None,
        };
        let time = |wished: Option<i64>, default| {
            let given = wished.and_then(|wished| u64::try_from(wished).ok()).filter(|wished| *wished > 0);
            given.map_or(default, Duration::from_nanos)
        };
        Some(Self {
            command,
            interval: time(health.interval, INTERVAL),
            timeout: time(health.timeout, TIMEOUT),
            start_period: time(health.start_period, Duration::ZERO),
            start_interval: time(health.start_interval, START_INTERVAL),
            retries: health.retries.filter(|retries| *retries > 0).unwrap_or(RETRIES),
        })
    }

    /// How long to wait before the next run.
    fn pause(&self, health: &Health, since_start: Duration) -> Duration {
        let is_starting = health.status == Some(HealthStatusEnum::STARTING);
        if is_starting && since_start < self.start_period { self.start_interval } else { self.interval }
    }
}

/// Fails for what no check can be.
pub fn validate(health: &HealthConfig) -> Result<(), Error> {
    let times = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    for (name, time) in times {
        if time.is_some_and(|time| time != 0 && time < SHORTEST_NS) {
            return Err(Error::Invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if health.retries.is_some_and(|retries| retries < 0) {
        return Err(Error::Invalid("Retries in Healthcheck cannot be negative".to_owned()));
    }
    match health.test.iter().flatten().next().map(String::as_str) {
        None | Some("NONE" | "CMD" | "CMD-SHELL") => Ok(()),
        Some(other) => Err(Error::Invalid(format!(
            "Unknown healthcheck type '{other}' (expected 'CMD', 'CMD-SHELL' or 'NONE')"
        ))),
    }
}

/// The request's check over the image's: what the request leaves out is the image's.
pub fn merge(wished: Option<HealthConfig>, image: Option<HealthConfig>) -> Option<HealthConfig> {
    let (Some(wished), Some(image)) = (wished.clone(), image.clone()) else { return wished.or(image) };
    let time = |wished: Option<i64>, image: Option<i64>| wished.filter(|time| *time != 0).or(image);
    Some(HealthConfig {
        test: wished.test.filter(|test| !test.is_empty()).or(image.test),
        interval: time(wished.interval, image.interval),
        timeout: time(wished.timeout, image.timeout),
        retries: time(wished.retries, image.retries),
        start_period: time(wished.start_period, image.start_period),
        start_interval: time(wished.start_interval, image.start_interval),
    })
}

/// The health of a container that has just been started.
pub fn at_start(config: &ContainerConfig) -> Option<Health> {
    Check::of(config).map(|_| Health {
        status: Some(HealthStatusEnum::STARTING),
        failing_streak: Some(0),
        log: Some(Vec::new()),
    })
}

/// What follows ` ` in the status of a listing: `(healthy)`.
pub fn words(health: &Health) -> &'static str {
    match health.status {
        Some(HealthStatusEnum::STARTING) => " (health: starting)",
        Some(HealthStatusEnum::HEALTHY) => " (healthy)",
        Some(HealthStatusEnum::UNHEALTHY) => " (unhealthy)",
        _ => "",
    }
}

/// Takes an answer in.
fn judge(health: &mut Health, check: &Check, started: Time, answer: Answer) {
    let since_start = answer.start.nanoseconds() - started.nanoseconds();
    let streak = health.failing_streak.get_or_insert(0);
    if answer.code == 0 {
        *streak = 0;
        health.status = Some(HealthStatusEnum::HEALTHY);
    } else {
        let is_starting = health.status == Some(HealthStatusEnum::STARTING);
        let is_early = since_start < i128::try_from(check.start_period.as_nanos()).unwrap_or(i128::MAX);
        if !(is_starting && is_early) {
            *streak = streak.saturating_add(1);
            if *streak >= check.retries {
                health.status = Some(HealthStatusEnum::UNHEALTHY);
            }
        }
    }
    let log = health.log.get_or_insert_default();
    log.push(HealthcheckResult {
        start: Some(answer.start.to_string()),
        end: Some(answer.end.to_string()),
        exit_code: Some(answer.code),
        output: Some(answer.output),
    });
    log.drain(..log.len().saturating_sub(KEPT));
}

impl Engine {
    /// Checks a running container's health, if that is asked for, until it has ended; in a task of its own.
    pub(crate) fn watch_health(&self, entry: &Arc<Entry>) {
        let Some(check) = Check::of(&entry.record().config) else { return };
        let (engine, entry) = (self.clone(), Arc::clone(entry));
        tokio::spawn(async move {
            let mut moment = entry.moment.subscribe();
            let run = moment.borrow().exits;
            loop {
                let (health, started) = {
                    let record = entry.record();
                    (
                        record.state.health.clone().unwrap_or_default(),
                        record.state.started.unwrap_or_default(),
                    )
                };
                let since = u64::try_from(now().nanoseconds() - started.nanoseconds()).unwrap_or_default();
                let pause = check.pause(&health, Duration::from_nanos(since));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = moment.wait_for(|moment| moment.exits != run) => return,
                }
                if entry.status() != Status::Running {
                    continue;
                }
                let answer = engine.ask_health(&entry, &check).await;
                // An end of the container is not the check's failure.
                if moment.borrow().exits != run || !entry.status().is_alive() {
                    return;
                }
                engine.tell_health(&entry, &check, started, answer);
            }
        });
    }

    fn tell_health(&self, entry: &Entry, check: &Check, started: Time, answer: Answer) {
        let changed = entry.change(|record| {
            let health = record.state.health.get_or_insert_default();
            let before = health.status;
            judge(health, check, started, answer);
            health.status.filter(|status| Some(*status) != before)
        });
        match changed {
            Ok(Some(status)) => self.tell(entry, &format!("health_status: {status}"), &[]),
            Ok(None) => {}
            Err(error) => eprintln!("engine: {error}"),
        }
    }

    async fn ask_health(&self, entry: &Arc<Entry>, check: &Check) -> Answer {
        let start = now();
        let config = ExecConfig {
            cmd: Some(check.command.clone()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let result = match self.exec_create(&entry.id, config).await.map(|response| response.id) {
            Ok(id) => {
                let result = match self.mark_check(&id) {
                    Ok(()) => self.run_health(entry, &id, check.timeout).await,
                    Err(error) => Err(error),
                };
                self.forget_exec(entry, &id).await;
                result
            }
            Err(error) => Err(error),
        };
        let (code, output) = result.unwrap_or_else(|error| (NO_CODE, error.to_string()));
        Answer { start, end: now(), code, output }
    }

    async fn run_health(&self, entry: &Entry, id: &str, timeout: Duration) -> Result<(i64, String), Error> {
        let attachment = self.exec_start(id, ExecStartConfig::default()).await?;
        let Some(mut attachment) = attachment else { return Ok((NO_CODE, String::new())) };
        let mut output = Vec::new();
        let mut ended = attachment.ended.take();
        let run = async {
            read_frames(&mut attachment.stream, &mut output).await;
            if let Some(ended) = &mut ended {
                let _ = ended.wait_for(|ended| *ended).await;
            }
        };
        let is_late = tokio::time::timeout(timeout, run).await.is_err();
        if is_late {
            let kill = Request::Signal { exec: Some(id.to_owned()), signal: SIGKILL };
            // One that has just ended needs no signal.
            let _ = entry.shim().ask(&kill, None).await;
            if let Some(ended) = &mut ended {
                let _ = tokio::time::timeout(PATIENCE, ended.wait_for(|ended| *ended)).await;
            }
        }
        let output = String::from_utf8_lossy(&output).into_owned();
        if is_late {
            return Ok((NO_CODE, format!("Health check exceeded timeout ({timeout:?}): {output}")));
        }
        let code = self.exec_inspect(id).await?.exit_code;
        Ok((code.unwrap_or(NO_CODE), output))
    }
}

/// Reads docker's frames up to the end, and keeps the beginning of what is in them.
async fn read_frames(stream: &mut (impl AsyncRead + Unpin), output: &mut Vec<u8>) {
    let mut header = [0_u8; 8];
    while stream.read_exact(&mut header).await.is_ok() {
        let [.., a, b, c, d] = header;
        let mut frame = stream.take(u32::from_be_bytes([a, b, c, d]).into());
        let mut buffer = [0_u8; 1024];
        while let Ok(count) = frame.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            let room = KEPT_OUTPUT.saturating_sub(output.len()).min(count);
            output.extend(buffer.iter().take(room));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> ContainerConfig {
        serde_json::from_str(&format!(r#"{{"Healthcheck":{json}}}"#)).unwrap()
    }

    fn answer(at_s: i128, code: i64) -> Answer {
        let at = Time::from_nanoseconds(at_s * 1_000_000_000);
        Answer { start: at, end: at, code, output: code.to_string() }
    }

    #[test]
    fn a_check_has_docker_s_defaults() {
        let check = Check::of(&config(r#"{"Test":["CMD-SHELL","curl x"]}"#)).unwrap();
        assert_eq!(check.command, ["/bin/sh", "-c", "curl x"]);
        assert_eq!((check.interval, check.timeout, check.retries), (INTERVAL, TIMEOUT, 3));
        assert_eq!(
            Check::of(&config(r#"{"Test":["CMD","a","b"],"Interval":5}"#)).unwrap().command,
            ["a", "b"]
        );
        assert_eq!(Check::of(&config(r#"{"Test":["NONE"]}"#)), None);
        assert_eq!(Check::of(&config(r#"{"Interval":1000000}"#)), None);
    }

    #[test]
    fn what_is_left_out_is_the_image_s() {
        let of = |json: &str| config(json).healthcheck;
        let image = of(r#"{"Test":["CMD","i"],"Interval":7000000,"Retries":2}"#);
        let merged = merge(of(r#"{"Interval":9000000}"#), image.clone()).unwrap();
        assert_eq!(merged.test.as_deref(), Some(&["CMD".to_owned(), "i".to_owned()][..]));
        assert_eq!((merged.interval, merged.retries), (Some(9_000_000), Some(2)));
        assert_eq!(merge(None, image.clone()), image);
        let off = merge(of(r#"{"Test":["NONE"]}"#), image).unwrap();
        assert_eq!(off.test.as_deref(), Some(&["NONE".to_owned()][..]));
    }

    #[test]
    fn nonsense_is_refused() {
        for (json, words) in [
            (r#"{"Test":["CMD","x"],"Interval":5}"#, "Interval in Healthcheck cannot be less than 1ms"),
            (r#"{"Test":["CMD","x"],"Retries":-1}"#, "Retries in Healthcheck cannot be negative"),
            (r#"{"Test":["x"]}"#, "Unknown healthcheck type 'x'"),
        ] {
            let error = validate(&config(json).healthcheck.unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn failures_count_once_it_has_had_time_to_start() {
        let config =
            config(r#"{"Test":["CMD","x"],"StartPeriod":10000000000,"Retries":2,"Interval":60000000000}"#);
        let check = Check::of(&config).unwrap();
        let mut health = at_start(&config).unwrap();
        let started = Time::from_nanoseconds(0);
        let take = |health: &mut Health, at, code| {
            judge(health, &check, started, answer(at, code));
            (health.status.unwrap(), health.failing_streak.unwrap())
        };
        assert_eq!(take(&mut health, 3, 1), (HealthStatusEnum::STARTING, 0));
        assert_eq!(check.pause(&health, Duration::from_secs(3)), START_INTERVAL);
        assert_eq!(check.pause(&health, Duration::from_secs(11)), Duration::from_secs(60));
        assert_eq!(take(&mut health, 11, 1), (HealthStatusEnum::STARTING, 1));
        assert_eq!(take(&mut health, 12, 0), (HealthStatusEnum::HEALTHY, 0));
        assert_eq!(take(&mut health, 13, 5), (HealthStatusEnum::HEALTHY, 1));
        assert_eq!(take(&mut health, 14, 5), (HealthStatusEnum::UNHEALTHY, 2));
        assert_eq!(take(&mut health, 15, 0), (HealthStatusEnum::HEALTHY, 0));
        let kept: Vec<_> = health.log.unwrap().iter().filter_map(|it| it.exit_code).collect();
        assert_eq!(kept, [1, 0, 5, 5, 0]);
    }

    #[tokio::test]
    async fn only_the_beginning_of_the_output_is_kept() {
        let frame = |text: &[u8]| {
            [&[1, 0, 0, 0][..], &u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
        };
        let bytes = [frame(b"one "), frame(&[b'x'; 10_000]), frame(b"last")].concat();
        let mut output = Vec::new();
        read_frames(&mut bytes.as_slice(), &mut output).await;
        assert_eq!(output.len(), KEPT_OUTPUT);
        assert!(output.starts_with(b"one xx"));
    }
}
