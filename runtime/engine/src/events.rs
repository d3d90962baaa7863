//! Events: what happened to containers, volumes, networks and images, as docker tells them. The last ones are kept for `--since`.

use crate::models::EventMessage;
use crate::{Error, Filters};

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
    receiver: tokio::sync::mpsc::Receiver<EventMessage>,
}

impl Events {
    /// The next event. None at `until`, and when the engine stops.
    pub async fn next(&mut self) -> Option<EventMessage> {
        self.receiver.recv().await
    }
}

impl crate::Engine {
    /// Tells events until the stream is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters and times that make no sense.
    pub async fn events(&self, options: EventsOptions) -> Result<Events, Error> {
        let _ = options;
        Err(Error::Unsupported("events".to_owned()))
    }

    /// Tells everybody. For events of images, whose store does not know the engine; containers, volumes and networks tell themselves.
    pub fn emit(&self, event: EventMessage) {
        let _ = event;
    }
}
