//! Events: what happened to containers, volumes, networks and images, as docker tells them. The last ones are kept for `--since`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{broadcast, mpsc};

use crate::models::{EventActor, EventMessage, EventMessageScopeEnum, EventMessageTypeEnum};
use crate::time::{Time, now};
use crate::{Engine, Error, Filters};

/// How many are kept, as in docker.
const KEPT: usize = 256;

/// What to tell.
#[derive(Clone, Debug, Default)]
pub struct EventsOptions {
    /// Seconds since the epoch with a fraction, or RFC 3339: the first event to tell; without, only what comes.
    pub since: Option<String>,
    /// The same: where to end; without, never.
    pub until: Option<String>,
    pub filters: Filters,
}

/// A stream of events.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<EventMessage>,
}

impl Events {
    /// The next event. None at `until`, and when the engine stops.
    pub async fn next(&mut self) -> Option<EventMessage> {
        self.receiver.recv().await
    }
}

/// Where events go.
#[derive(Debug)]
pub(crate) struct Bus {
    sender: broadcast::Sender<EventMessage>,
    last: Mutex<VecDeque<EventMessage>>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { sender: broadcast::channel(1024).0, last: Mutex::default() }
    }
}

impl Bus {
    /// Tells everybody.
    pub fn emit(&self, event: EventMessage) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(event.clone());
        // Nobody may be listening.
        let _ = self.sender.send(event);
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// What was and what comes, without a gap between them.
    fn subscribe(&self) -> (Vec<EventMessage>, broadcast::Receiver<EventMessage>) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.iter().cloned().collect(), self.sender.subscribe())
    }
}

/// Makes an event of now.
#[must_use]
pub fn event(
    kind: EventMessageTypeEnum,
    action: &str,
    id: &str,
    attributes: HashMap<String, String>,
) -> EventMessage {
    let time = now();
    EventMessage {
        typ: Some(kind),
        action: Some(action.to_owned()),
        actor: Some(EventActor { id: Some(id.to_owned()), attributes: Some(attributes) }),
        scope: Some(EventMessageScopeEnum::LOCAL),
        time: Some(time.seconds()),
        time_nano: i64::try_from(time.nanoseconds()).ok(),
    }
}

impl Engine {
    /// Tells events until the stream is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters and times that make no sense.
    pub async fn events(&self, options: EventsOptions) -> Result<Events, Error> {
        options.filters.allow(&[
            "config",
            "container",
            "daemon",
            "event",
            "image",
            "label",
            "network",
            "node",
            "plugin",
            "scope",
            "secret",
            "service",
            "type",
            "volume",
        ])?;
        let since = Time::parse_optional(options.since.as_deref())?;
        let until = Time::parse_optional(options.until.as_deref())?;
        let (last, mut coming) = self.inner.bus.subscribe();
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            let passes = |event: &EventMessage| matches(event, &options.filters);
            for event in last {
                let is_wanted = since.is_some_and(|since| time_of(&event) >= since)
                    && until.is_none_or(|until| time_of(&event) <= until);
                if is_wanted && passes(&event) && sender.send(event).await.is_err() {
                    return;
                }
            }
            let left = until.map(|until| (until.nanoseconds() - now().nanoseconds()).max(0));
            let end = async {
                match left.and_then(|left| u64::try_from(left).ok()) {
                    Some(left) => tokio::time::sleep(std::time::Duration::from_nanos(left)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = &mut end => return,
                    () = sender.closed() => return,
                    event = coming.recv() => match event {
                        Ok(event) if passes(&event) => {
                            if sender.send(event).await.is_err() {
                                return;
                            }
                        }
                        // One that does not read misses events, as in docker.
                        Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                }
            }
        });
        Ok(Events { receiver })
    }

    /// Tells everybody. For events of images, whose store does not know the engine; containers, volumes and networks tell themselves.
    pub fn emit(&self, event: EventMessage) {
        self.inner.bus.emit(event);
    }
}

fn time_of(event: &EventMessage) -> Time {
    Time::from_nanoseconds(event.time_nano.unwrap_or_default().into())
}

fn matches(event: &EventMessage, filters: &Filters) -> bool {
    let kind = event.typ.map(|kind| kind.to_string()).unwrap_or_default();
    let action = event.action.as_deref().unwrap_or_default();
    let empty = HashMap::new();
    let (id, attributes) = match &event.actor {
        Some(actor) => (actor.id.as_deref().unwrap_or_default(), actor.attributes.as_ref().unwrap_or(&empty)),
        None => ("", &empty),
    };
    let attribute = |key: &str| attributes.get(key).map(String::as_str);
    // An object is named by its id, the start of it, or its name; images also by the image of a container.
    let is_object = |wanted: &str, key: &str| {
        (kind == key && (id.starts_with(wanted) || attribute("name") == Some(wanted)))
            || attribute(key) == Some(wanted)
    };
    filters.any("type", |wanted| wanted == kind)
        // `exec_create: sh` is the event exec_create.
        && filters.any("event", |wanted| {
            wanted == action || action.split_once(':').is_some_and(|(verb, _)| verb == wanted)
        })
        && filters.any("scope", |wanted| wanted == "local")
        && ["container", "image", "volume", "network"]
            .iter()
            .all(|key| filters.any(key, |wanted| is_object(wanted, key)))
        && filters.match_labels(attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_by_kind_action_object_and_label() {
        let attributes = [("name", "web"), ("image", "nginx"), ("tier", "front")];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let event = event(EventMessageTypeEnum::CONTAINER, "exec_create: sh", "abcdef", attributes);
        let passes = |text| matches(&event, &Filters::parse(Some(text)).unwrap());
        assert!(passes("{}"));
        assert!(passes(r#"{"type":["container"],"event":["exec_create"],"container":["abc"]}"#));
        assert!(passes(r#"{"container":["web"],"image":["nginx"],"label":["tier=front"]}"#));
        assert!(!passes(r#"{"type":["image"]}"#));
        assert!(!passes(r#"{"event":["die"]}"#));
        assert!(!passes(r#"{"container":["db"]}"#));
        assert!(!passes(r#"{"label":["tier=back"]}"#));
    }

    #[test]
    fn the_last_events_of_all_kinds_are_kept() {
        let bus = Bus::default();
        let kinds =
            [EventMessageTypeEnum::IMAGE, EventMessageTypeEnum::VOLUME, EventMessageTypeEnum::CONTAINER];
        for (number, kind) in (0..300).zip(kinds.iter().cycle()) {
            bus.emit(event(*kind, "create", &number.to_string(), HashMap::new()));
        }
        let (kept, _) = bus.subscribe();
        assert_eq!(kept.len(), 256);
        assert_eq!(kept[0].actor.as_ref().unwrap().id.as_deref(), Some("44"));
        assert!(kinds.iter().all(|kind| kept.iter().any(|event| event.typ == Some(*kind))));
    }
}
