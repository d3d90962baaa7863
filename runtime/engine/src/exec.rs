//! `docker exec`: another process in a running container.

use crate::container::{Attachment, TerminalSize};
use crate::models::{ExecConfig, ExecInspectResponse, ExecStartConfig, IdResponse};
use crate::{Engine, Error};

impl Engine {
    /// Prepares a process; gives its id.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchContainer`], [`Error::NotRunning`], [`Error::Paused`], [`Error::Invalid`].
    pub async fn exec_create(&self, container: &str, config: ExecConfig) -> Result<IdResponse, Error> {
        let _ = (container, config);
        Err(Error::Unsupported("exec".to_owned()))
    }

    /// Starts it. None when detached.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchExec`], [`Error::Conflict`] when it ran already, [`Error::Start`].
    pub async fn exec_start(&self, id: &str, config: ExecStartConfig) -> Result<Option<Attachment>, Error> {
        let _ = config;
        Err(Error::NoSuchExec(id.to_owned()))
    }

    /// Tells how it is.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchExec`].
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInspectResponse, Error> {
        Err(Error::NoSuchExec(id.to_owned()))
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchExec`].
    pub async fn exec_resize(&self, id: &str, size: TerminalSize) -> Result<(), Error> {
        let _ = size;
        Err(Error::NoSuchExec(id.to_owned()))
    }
}
