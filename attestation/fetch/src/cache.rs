//! [`Cache`]: bundles in a folder, each for as long as it is current, but no longer than a day: Intel publishes what it has found out since
//! without a word to those who have older documents, which stay current for a month.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use attestation_verify::{BUNDLE_LIMIT, Collateral, Subject};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::{FetchError, Service};

/// How old a bundle may be before the service is asked again.
const AGE_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder with bundles.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// Where a bundle comes from.
#[derive(Debug)]
pub enum Origin {
    /// The service, now.
    Service,
    /// The service, this long ago.
    Cache(Duration),
    /// The same, which would have been too long, but the service has no other now.
    StaleCache(Duration, FetchError),
}

impl Cache {
    /// In this folder, which need not be there yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A bundle about `subject`: a kept one that is current at `at`, else the service's, which is kept.
    ///
    /// # Errors
    ///
    /// When there is none that is current, and the service gives none.
    pub fn obtain(
        &self,
        service: &Service,
        subject: &Subject,
        at: OffsetDateTime,
    ) -> Result<(Collateral, Origin), FetchError> {
        let path = self.path(service, subject);
        let kept = read(&path).ok().and_then(|(text, age)| Some((Collateral::from_json(&text).ok()?, age)));
        let kept = kept.filter(|(collateral, _)| collateral.next_update().is_some_and(|next| at <= next));
        let stale = match kept {
            Some((collateral, age)) if age <= AGE_LIMIT => return Ok((collateral, Origin::Cache(age))),
            other => other,
        };
        match (service.fetch(subject), stale) {
            (Ok(text), _) => {
                // What cannot be kept is fetched again the next time.
                let _ = self.write(&path, text.as_bytes());
                Ok((Collateral::from_json(text.as_bytes())?, Origin::Service))
            }
            (Err(error), Some((collateral, age))) => Ok((collateral, Origin::StaleCache(age, error))),
            (Err(error), None) => Err(error),
        }
    }

    /// One file for each service and kind of platform.
    fn path(&self, service: &Service, subject: &Subject) -> PathBuf {
        let service = hex::encode(Sha256::digest(service.base()).get(..8).unwrap_or_default());
        let fmspc = hex::encode(subject.fmspc);
        self.folder.join(format!("{fmspc}-{}-{service}.json", subject.authority.name()))
    }

    /// As a whole, or not at all.
    fn write(&self, path: &PathBuf, text: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(text)?;
        file.persist(path)?;
        Ok(())
    }
}

/// A kept bundle, and how old it is. One of the future is of a clock that was wrong, and as good as none.
fn read(path: &PathBuf) -> io::Result<(Vec<u8>, Duration)> {
    let file = File::open(path)?;
    let age = SystemTime::now().duration_since(file.metadata()?.modified()?).map_err(io::Error::other)?;
    let mut text = Vec::new();
    file.take(u64::try_from(BUNDLE_LIMIT).unwrap_or(u64::MAX)).read_to_end(&mut text)?;
    Ok((text, age))
}
