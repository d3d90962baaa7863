//! Evidence for containers: one with the label [`LABEL`] finds a socket at [`FOLDER`] where it can ask for quotes that name it (docs/attestation.md,
//! "From inside of a container"). Who answers there is told by [`Attend`]; the engine says which socket is whose.

use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::container::entry::{Entry, Record};
use crate::{Engine, Error};

/// With any value but `false`, a container has the socket.
pub const LABEL: &str = "coffer.evidence";

/// Where the container finds it, and its name there.
pub(crate) const FOLDER: &str = "/run/coffer";
const SOCKET: &str = "evidence.sock";

/// Who answers at containers' sockets.
pub trait Attend: fmt::Debug + Send + Sync {
    /// Makes the socket and answers there, for this container and no other, until [`Self::leave`].
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    fn attend(&self, container: &str, socket: &Path) -> io::Result<()>;

    /// Answers no more.
    fn leave(&self, container: &str);
}

/// The folder that is mounted in a container (its name is short, since the paths of sockets are), if it has the label and there is somebody to answer.
pub(crate) fn folder_of(engine: &Engine, entry: &Entry, record: &Record) -> Option<PathBuf> {
    let label = record.config.labels.as_ref().and_then(|labels| labels.get(LABEL));
    let is_wanted = label.is_some_and(|value| value != "false");
    (is_wanted && engine.inner.settings.attending.is_some()).then(|| entry.folder.join("ask"))
}

impl Engine {
    /// Has somebody answer for a container that starts, or that an earlier engine started.
    pub(crate) fn attend(&self, entry: &Entry, record: &Record) -> Result<(), Error> {
        let (Some(folder), Some(attending)) =
            (folder_of(self, entry, record), &self.inner.settings.attending)
        else {
            return Ok(());
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&folder)
            .and_then(|()| attending.attend(&entry.id, &folder.join(SOCKET)))
            .map_err(Error::system("make the socket for evidence"))
    }

    /// The same, the other way round.
    pub(crate) fn leave(&self, entry: &Entry) {
        if let Some(attending) = &self.inner.settings.attending {
            attending.leave(&entry.id);
        }
    }
}
