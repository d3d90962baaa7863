//! [`Served`]: the connections of one listener, which end with it.

use std::sync::{Mutex, PoisonError};

use tokio::task::{AbortHandle, JoinSet};

use super::Budget;
use super::heads::Stage;

/// The connections that are being served.
#[derive(Debug)]
pub struct Served {
    budget: Budget,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    /// Whose end is theirs.
    tasks: JoinSet<()>,
    /// The oldest first.
    entered: Vec<(AbortHandle, Stage)>,
}

impl Served {
    /// None yet.
    pub fn new(budget: Budget) -> Self {
        Self { budget, members: Mutex::default() }
    }

    /// Serves one more if there is room for it. What is not served is closed.
    pub fn enter<F: Future<Output = ()> + Send + 'static>(&self, connection: impl FnOnce(Stage) -> F) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        while members.tasks.try_join_next().is_some() {}
        members.entered.retain(|(task, _)| !task.is_finished());
        if members.entered.len() >= self.budget.connections && !(self.budget.gives_way && members.give_way())
        {
            return;
        }
        let stage = Stage::default();
        let task = members.tasks.spawn(connection(stage.clone()));
        members.entered.push((task, stage));
    }
}

impl Members {
    /// Closes the oldest connection that has asked for nothing, or else the oldest that is only being sent its answer. Requests that
    /// are being served stay: it is their service that says how many there may be.
    fn give_way(&mut self) -> bool {
        let oldest = |is: fn(&Stage) -> bool| self.entered.iter().position(|(_, stage)| is(stage));
        let Some(index) = oldest(Stage::is_idle).or_else(|| oldest(Stage::is_sending)) else { return false };
        let (task, _) = self.entered.remove(index);
        task.abort();
        true
    }
}
