//! Wait: for the end, the next end, or the removal.

use tokio::sync::{oneshot, watch};

use super::entry::Moment;
use super::{Condition, Wait};
use crate::models::{ContainerWaitExitError, ContainerWaitResponse};
use crate::{Engine, Error};

impl Engine {
    /// Begins to wait. Returns at once; the [`Wait`] ends with the exit code.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchContainer`].
    pub async fn container_wait(&self, reference: &str, condition: Condition) -> Result<Wait, Error> {
        let entry = self.find(reference)?;
        let moment = entry.moment.subscribe();
        let exits = moment.borrow().exits;
        let (mut sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            // Who asked may go away; then nobody waits.
            tokio::select! {
                response = wait(moment, condition, exits) => drop(sender.send(response)),
                () = sender.closed() => {}
            }
        });
        Ok(Wait { receiver })
    }
}

async fn wait(
    mut moment: watch::Receiver<Moment>,
    condition: Condition,
    exits: u64,
) -> ContainerWaitResponse {
    let is_over = |moment: &Moment| match condition {
        Condition::NotRunning => !moment.is_running,
        Condition::NextExit => moment.exits > exits,
        Condition::Removed => moment.is_removed || moment.removal_error.is_some(),
    };
    // An entry that is dropped was removed: what it said last counts.
    let _ = moment.wait_for(|moment| is_over(moment) || moment.is_removed).await;
    let last = moment.borrow().clone();
    ContainerWaitResponse {
        status_code: last.exit_code,
        error: last
            .removal_error
            .filter(|_| !last.is_removed)
            .or(last.error)
            .map(|message| ContainerWaitExitError { message: Some(message) }),
    }
}
