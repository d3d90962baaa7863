//! `docker pull`: a name becomes an image in the store.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest, ImageConfiguration};
use runtime_image::compression::Compression;
use runtime_image::store::{Ingest, Lease, StoreError, chain_id};
use runtime_image::unpack::{Progress, Source};
use runtime_image::{Reference, Store};
use tokio::sync::{Semaphore, mpsc};

use crate::auth::Session;
use crate::download::download;
use crate::manifest::{Found, Repository, decode};
use crate::{Credentials, Error, Registries};

/// How many layers are downloaded at a time, as docker does.
const PARALLEL: usize = 3;

/// How often a layer's progress is told, in parts of the layer.
const STEPS: u64 = 100;

/// What a client is told, with the words that docker prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullEvent {
    Started { tag: String, repository: String },
    Layer { id: String, status: &'static str },
    Progress { id: String, status: &'static str, done: u64, total: u64 },
    Line(String),
}

type Events = mpsc::Sender<PullEvent>;

impl Registries {
    /// Pulls an image into the store; gives its id. A future that is dropped leaves nothing.
    ///
    /// # Errors
    ///
    /// [`Error`] in docker's words.
    pub async fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        credentials: Option<&Credentials>,
        events: Events,
    ) -> Result<String, Error> {
        let reference = reference.clone().or_latest();
        let scope = format!("repository:{}:pull", reference.path());
        let repository = Repository {
            session: Session::new(self, credentials, scope),
            url: format!("{}/v2/{}", self.base(reference.registry()), reference.path()),
            reference: reference.clone(),
        };
        let found = repository.manifest().await?;
        let tag = reference.digest().map(ToString::to_string).or(reference.tag().map(str::to_owned));
        tell(
            &events,
            PullEvent::Started { tag: tag.unwrap_or_default(), repository: reference.path().to_owned() },
        )
        .await;

        let config = repository.blob(found.manifest.config()).await?;
        let lease = Arc::new(store.lease());
        let chain = fetch_layers(&repository, store, &lease, &found, &config, &events).await?;

        let before = store.find(&reference.to_string()).ok().map(|image| image.id);
        let named = found.named.clone();
        let names = match reference.digest() {
            Some(_) => vec![reference.with_digest(named.clone())],
            None => vec![reference.clone(), reference.with_digest(named.clone())],
        };
        let image = blocking(move || lease.add_image(&config, Some(&found.bytes), &chain, &names)).await?;
        tell(&events, PullEvent::Line(format!("Digest: {named}"))).await;
        let status = if before.as_ref() == Some(&image.id) {
            "Image is up to date for"
        } else {
            "Downloaded newer image for"
        };
        tell(&events, PullEvent::Line(format!("Status: {status} {}", reference.familiar()))).await;
        Ok(image.id.to_string())
    }
}

/// A layer that is on its way.
struct Wanted {
    descriptor: Descriptor,
    compression: Compression,
    diff_id: Digest,
    file: Ingest,
    id: String,
}

/// Brings all layers into the store; gives their chain ids.
async fn fetch_layers(
    repository: &Repository<'_>,
    store: &Store,
    lease: &Arc<Lease>,
    found: &Found,
    config: &[u8],
    events: &Events,
) -> Result<Vec<Digest>, Error> {
    let config: ImageConfiguration = decode(config, "image configuration")?;
    let diff_ids = config.rootfs().diff_ids();
    let layers = found.manifest.layers();
    if diff_ids.len() != layers.len() {
        let reason = format!("{} diff_ids for {} layers", diff_ids.len(), layers.len());
        return Err(Error::Malformed { what: "image configuration".to_owned(), reason });
    }
    let mut chain: Vec<Digest> = Vec::new();
    let mut wanted = Vec::new();
    for (descriptor, diff_id) in layers.iter().zip(diff_ids) {
        let diff_id = runtime_image::reference::parse_digest(diff_id).ok_or_else(|| Error::Malformed {
            what: "image configuration".to_owned(),
            reason: format!("diff_id `{}` is not a digest", diff_id.escape_default()),
        })?;
        chain.push(chain_id(chain.last(), &diff_id));
        let id = descriptor.digest().digest().get(..12).unwrap_or_default().to_owned();
        let is_there = wanted.is_empty() && chain.last().is_some_and(|chain| lease.has_layer(chain));
        tell(
            events,
            PullEvent::Layer {
                id: id.clone(),
                status: if is_there { "Already exists" } else { "Pulling fs layer" },
            },
        )
        .await;
        if !is_there {
            let media_type = descriptor.media_type().as_ref();
            let compression = Compression::of_media_type(media_type)
                .map_err(|_| Error::MediaType(media_type.to_owned()))?;
            let (descriptor, file) = (descriptor.clone(), store.ingest());
            wanted.push(Wanted { descriptor, compression, diff_id, file, id });
        }
    }

    let first = chain.len() - wanted.len();
    let permits = Semaphore::new(PARALLEL);
    let (done_sender, mut done_receiver) = mpsc::unbounded_channel();
    let downloads = async {
        let download_one = |place: usize, layer: &Wanted| {
            let (permits, done, events) = (&permits, done_sender.clone(), events.clone());
            let (descriptor, path, id) =
                (layer.descriptor.clone(), layer.file.path.clone(), layer.id.clone());
            async move {
                let _permit = permits.acquire().await;
                let total = descriptor.size();
                let report = steps(&events, &id, "Downloading", total);
                download(repository, &descriptor, &path, report).await?;
                tell(&events, PullEvent::Layer { id: id.clone(), status: "Download complete" }).await;
                let _ = done.send(place);
                Ok::<(), Error>(())
            }
        };
        let all = wanted.iter().enumerate().map(|(place, layer)| download_one(place, layer));
        try_all(all).await
    };
    let unpacking = async {
        let mut is_downloaded = vec![false; wanted.len()];
        for (place, layer) in wanted.iter().enumerate() {
            while is_downloaded.get(place) == Some(&false) {
                let Some(ready) = done_receiver.recv().await else { return Ok(()) };
                if let Some(is_downloaded) = is_downloaded.get_mut(ready) {
                    *is_downloaded = true;
                }
            }
            let below = chain.get(..first + place).unwrap_or_default().to_vec();
            unpack(lease, layer, below, events).await?;
        }
        Ok(())
    };
    tokio::try_join!(downloads, unpacking)?;
    Ok(chain)
}

async fn unpack(
    lease: &Arc<Lease>,
    layer: &Wanted,
    below: Vec<Digest>,
    events: &Events,
) -> Result<(), Error> {
    let lease = Arc::clone(lease);
    let (path, id, diff_id) = (layer.file.path.clone(), layer.id.clone(), layer.diff_id.clone());
    let (compression, digest) = (layer.compression, layer.descriptor.digest().clone());
    let report = Arc::new(steps(events, &id, "Extracting", layer.descriptor.size()));
    let unpacked = blocking(move || {
        let open = || {
            let file = File::open(&path)
                .map_err(|source| runtime_image::Error::Read { name: path.display().to_string(), source })?;
            let report = Arc::clone(&report);
            Ok(Source {
                reader: Progress::new(BufReader::new(file), move |done| report(done)),
                label: digest.to_string(),
                name: digest.to_string(),
                compression,
                // It was verified when it came.
                digest: None,
                diff_id: diff_id.clone(),
                known: Some(digest.clone()),
            })
        };
        let added = lease.add_layer(&below, &diff_id, open);
        // A layer takes its room once, not twice.
        let _ = std::fs::remove_file(&path);
        added.map(drop)
    });
    match unpacked.await {
        Ok(()) => tell(events, PullEvent::Layer { id, status: "Pull complete" }).await,
        Err(Error::Store(error)) => return Err(Error::Layer(error)),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Tells progress in so many steps; one that a slow client has no room for is left out.
fn steps(
    events: &Events,
    id: &str,
    status: &'static str,
    total: u64,
) -> impl Fn(u64) + Send + Sync + 'static {
    let (events, id) = (events.clone(), id.to_owned());
    let last = std::sync::atomic::AtomicU64::new(u64::MAX);
    move |done| {
        let step = done.saturating_mul(STEPS).checked_div(total).unwrap_or_default();
        if last.swap(step, std::sync::atomic::Ordering::Relaxed) != step {
            let _ = events.try_send(PullEvent::Progress { id: id.clone(), status, done, total });
        }
    }
}

async fn tell(events: &Events, event: PullEvent) {
    // Somebody who has gone is not told.
    let _ = events.send(event).await;
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Drives all futures beside each other; ends with the first error.
async fn try_all(
    futures: impl Iterator<Item = impl Future<Output = Result<(), Error>>>,
) -> Result<(), Error> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        let mut place = 0;
        while let Some(future) = futures.get_mut(place) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(Ok(())) => drop(futures.swap_remove(place)),
                std::task::Poll::Ready(Err(error)) => return std::task::Poll::Ready(Err(error)),
                std::task::Poll::Pending => place += 1,
            }
        }
        if futures.is_empty() { std::task::Poll::Ready(Ok(())) } else { std::task::Poll::Pending }
    })
    .await
}
