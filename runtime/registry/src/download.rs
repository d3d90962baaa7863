//! Downloading one layer into a file: resumed where the connection was cut, hashed on the way, never longer than announced.

use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use oci_spec::image::Descriptor;
use runtime_image::digest::Hasher;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::Error;
use crate::manifest::{Repository, check_size};

/// How long nothing may come.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How many tries in a row may bring nothing.
const MAX_FAILURES: u32 = 5;

/// The wait before the second try; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Downloads and verifies. `progress` is told how many bytes are there.
pub async fn download(
    repository: &Repository<'_>,
    descriptor: &Descriptor,
    path: &Path,
    progress: impl Fn(u64),
) -> Result<(), Error> {
    let digest = descriptor.digest();
    let new = || Hasher::of(digest).map_err(|error| Error::MediaType(error.to_string()));
    let file = File::create_new(path).await.map_err(Error::write(path))?;
    let mut partial = Partial { file, path, hasher: new()?, done: 0 };
    let mut failures = 0;
    loop {
        let before = partial.done;
        let Err(error) = partial.fetch(repository, descriptor, &progress).await else { break };
        failures = if partial.done > before { 1 } else { failures + 1 };
        if !error.is_transient() || failures >= MAX_FAILURES {
            return Err(error);
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.saturating_pow(failures - 1)).await;
    }
    partial.file.flush().await.map_err(Error::write(path))?;
    check_size(digest.as_ref(), descriptor.size(), partial.done)?;
    if partial.hasher.finish() == *digest { Ok(()) } else { Err(Error::LayerDigest(digest.to_string())) }
}

/// What is there of a layer.
struct Partial<'a> {
    file: File,
    path: &'a Path,
    hasher: Hasher,
    done: u64,
}

impl Partial<'_> {
    /// One try: asks for what is missing and takes what comes.
    async fn fetch(
        &mut self,
        repository: &Repository<'_>,
        descriptor: &Descriptor,
        progress: &impl Fn(u64),
    ) -> Result<(), Error> {
        let url = format!("{}/blobs/{}", repository.url, descriptor.digest());
        let mut headers = HeaderMap::new();
        if self.done > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.done)).expect("digits");
            headers.insert(header::RANGE, range);
        }
        let response = repository.session.get(&url, &headers).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if self.done > 0 && starts_at(response.headers(), self.done) => {}
            // The server cannot resume: all over again.
            StatusCode::OK => self.restart(descriptor).await?,
            _ => return Err(repository.refusal(response).await),
        }

        let mut body = response.into_body();
        loop {
            let frame = timeout(IDLE_TIMEOUT, body.frame()).await;
            let frame = frame.map_err(|_| Error::TimedOut { url: url.clone(), what: "body" })?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|source| Error::Http { url: url.clone(), source })?.into_data()
            else {
                continue;
            };
            let done = self.done.saturating_add(data.len() as u64);
            if done > descriptor.size() {
                return Err(Error::TooLarge {
                    what: descriptor.digest().to_string(),
                    limit: descriptor.size(),
                });
            }
            self.file.write_all(&data).await.map_err(Error::write(self.path))?;
            self.hasher.update(&data);
            self.done = done;
            progress(done);
        }
        Ok(())
    }

    async fn restart(&mut self, descriptor: &Descriptor) -> Result<(), Error> {
        if self.done > 0 {
            self.file.flush().await.map_err(Error::write(self.path))?;
            self.file.set_len(0).await.map_err(Error::write(self.path))?;
            self.file.rewind().await.map_err(Error::write(self.path))?;
            self.hasher =
                Hasher::of(descriptor.digest()).map_err(|error| Error::MediaType(error.to_string()))?;
            self.done = 0;
        }
        Ok(())
    }
}

/// Whether the answer begins where ours ends.
fn starts_at(headers: &HeaderMap, done: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {done}-")))
}
