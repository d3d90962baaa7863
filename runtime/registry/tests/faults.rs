//! Pulling from a registry that misbehaves, over real sockets, into a real store.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use runtime_image::digest::sha256;
use runtime_image::{Reference, Store};
use runtime_registry::{Credentials, Error, PullEvent, Registries, Registry};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a registry serves, and how it misbehaves.
#[derive(Default)]
struct Content {
    /// By path: media type and bytes.
    pages: BTreeMap<String, (String, Vec<u8>)>,
    layer: String,
    /// Cut the connection after so many bytes of the layer, this often.
    cut_after: Option<usize>,
    cuts: AtomicUsize,
    /// Demand this `Authorization`.
    authorization: Option<String>,
    /// Where that is a token: the `Authorization` for which its server, at /token, gives it.
    token_for: Option<Option<String>>,
    requests: Mutex<Vec<String>>,
}

impl Content {
    /// An image of one layer called `x:1`.
    fn image() -> Self {
        let mut tar = tar_of("f", &b"some data ".repeat(20_000));
        tar.extend([0; 1024]);
        let config = json!({"architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [sha256(&tar).to_string()]}})
        .to_string();
        let mut content = Self { layer: format!("/v2/x/blobs/{}", sha256(&tar)), ..Self::default() };
        let mut blob = |media_type: &str, bytes: &[u8]| {
            let digest = sha256(bytes).to_string();
            content.pages.insert(format!("/v2/x/blobs/{digest}"), (String::new(), bytes.to_vec()));
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = blob("application/vnd.oci.image.config.v1+json", config.as_bytes());
        let layer = blob("application/vnd.oci.image.layer.v1.tar", &tar);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        content.page("/v2/x/manifests/1", MANIFEST, manifest.to_string().as_bytes());
        content
    }

    fn page(&mut self, path: &str, media_type: &str, bytes: &[u8]) {
        self.pages.insert(path.to_owned(), (media_type.to_owned(), bytes.to_vec()));
    }

    async fn serve(self) -> (String, Arc<Self>) {
        let content = Arc::new(self);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let served = Arc::clone(&content);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let content = Arc::clone(&served);
                tokio::spawn(async move { content.answer(stream).await });
            }
        });
        (name, content)
    }

    async fn answer(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let path = head[0].split(' ').nth(1).unwrap().to_owned();
        let header = |name: &str| {
            let lines = head.iter().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let range = header("range");
        self.requests.lock().unwrap().push(format!("{path} {}", range.clone().unwrap_or_default()));
        let answer = |status: &str, headers: &str, body: &[u8]| {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
            );
            [head.as_bytes(), body].concat()
        };
        let is_for_token = self.token_for.is_some() && path.starts_with("/token?");
        let bytes = if is_for_token && Some(header("authorization")) == self.token_for {
            answer("200 OK", "Content-Type: application/json\r\n", br#"{"token":"opened"}"#)
        } else if is_for_token {
            answer("401 Unauthorized", "", b"{}")
        } else if self.authorization.is_some() && header("authorization") != self.authorization {
            let host = header("host").unwrap_or_default();
            let challenge = match self.token_for {
                Some(_) => format!("Bearer realm=\"http://{host}/token\",service=\"images\""),
                None => "Basic realm=\"r\"".to_owned(),
            };
            answer("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), b"{}")
        } else if let Some((media_type, body)) = self.pages.get(&path) {
            let from: usize = range
                .as_deref()
                .map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
            let content_range = format!("Content-Type: {media_type}\r\nContent-Range: bytes {from}-\r\n");
            let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            let mut bytes = answer(status, &content_range, &body[from..]);
            if let (true, Some(cut)) = (path == self.layer, self.cut_after)
                && self.cuts.fetch_add(1, Ordering::Relaxed) < 3
            {
                bytes.truncate(cut);
            }
            bytes
        } else {
            let body = json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]});
            answer("404 Not Found", "", body.to_string().as_bytes())
        };
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    }
}

/// A tar of one file, by hand: the writer is not what is tested.
fn tar_of(name: &str, data: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = [header.as_slice(), data].concat();
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

struct Client {
    folder: tempfile::TempDir,
    store: Store,
}

impl Client {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        Self { folder, store }
    }

    async fn pull(
        &self,
        name: &str,
        image: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<PullEvent>, Error> {
        let registry = Registry { name: name.to_owned(), authorities: Vec::new(), is_http: true };
        let registries = Registries::new(vec![registry]).unwrap();
        let reference = Reference::parse(&format!("{name}/{image}")).unwrap();
        let (sender, mut receiver) = mpsc::channel(1000);
        registries.pull(&self.store, &reference, credentials, sender).await?;
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        Ok(events)
    }

    /// Nothing is left of what was not wanted.
    fn assert_clean(&self) {
        for folder in ["layers", "frames", "documents", "ingest"] {
            assert_eq!(std::fs::read_dir(self.folder.path().join(folder)).unwrap().count(), 0, "{folder}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_and_told_of_in_dockers_words() {
    let (name, _) = Content::image().serve().await;
    let client = Client::new();
    let events = client.pull(&name, "x:1", None).await.unwrap();
    assert_eq!(events[0], PullEvent::Started { tag: "1".to_owned(), repository: "x".to_owned() });
    assert_eq!(
        events.last(),
        Some(&PullEvent::Line(format!("Status: Downloaded newer image for {name}/x:1")))
    );
    let image = client.store.find(&format!("{name}/x:1")).unwrap();
    assert_eq!((image.tags.len(), image.digests.len(), image.size()), (1, 1, 200_000));
    let again = client.pull(&name, "x:1", None).await.unwrap();
    assert_eq!(again.last(), Some(&PullEvent::Line(format!("Status: Image is up to date for {name}/x:1"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_resumed_where_it_broke() {
    let content = Content { cut_after: Some(50_000), ..Content::image() };
    let (name, content) = content.serve().await;
    let client = Client::new();
    client.pull(&name, "x:1", None).await.unwrap();
    let requests = content.requests.lock().unwrap();
    let resumed =
        requests.iter().filter(|request| request.contains("blobs") && request.contains("bytes=")).count();
    assert_eq!(resumed, 3, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_another_digest_is_refused_and_leaves_nothing() {
    for change in [0, 1] {
        let mut content = Content::image();
        let path = if change == 0 {
            content.layer.clone()
        } else {
            content
                .pages
                .keys()
                .find(|path| path.contains("blobs") && **path != content.layer)
                .unwrap()
                .clone()
        };
        content.pages.get_mut(&path).unwrap().1[600 * usize::from(change == 0) + 3] ^= 1;
        let (name, _) = content.serve().await;
        let client = Client::new();
        let error = client.pull(&name, "x:1", None).await.unwrap_err();
        let words =
            ["filesystem layer verification failed", "image configuration verification failed"][change];
        assert!(error.to_string().starts_with(words), "{error}");
        client.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_that_lie_are_refused() {
    for longer in [true, false] {
        let mut content = Content::image();
        let layer = content.layer.clone();
        let bytes = &mut content.pages.get_mut(&layer).unwrap().1;
        if longer {
            bytes.extend([0; 512]);
        } else {
            bytes.truncate(1000);
        }
        let (name, _) = content.serve().await;
        let client = Client::new();
        let error = client.pull(&name, "x:1", None).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. } | Error::Size { .. }), "{error}");
        client.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_malformed_manifests_get_dockers_words() {
    let mut content = Content::image();
    content.page("/v2/x/manifests/bad", MANIFEST, b"{\"schemaVersion\":2");
    content.page("/v2/x/manifests/v1", "application/vnd.docker.distribution.manifest.v1+json", b"{}");
    content.page(
        "/v2/x/manifests/arm",
        "application/vnd.oci.image.index.v1+json",
        br#"{"schemaVersion":2,"manifests":[]}"#,
    );
    let (name, _) = content.serve().await;
    let client = Client::new();
    for (tag, words) in [
        ("nope", "not found: manifest unknown: manifest unknown"),
        ("bad", "manifest is not valid"),
        ("v1", "unsupported media type"),
        ("arm", "no matching manifest for linux/amd64 in the manifest list entries"),
    ] {
        let error = client.pull(&name, &format!("x:{tag}"), None).await.unwrap_err().to_string();
        assert!(error.contains(words), "{tag}: {error}");
    }
    client.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_sent_when_it_is_asked_for() {
    let content = Content { authorization: Some("Basic YTpi".to_owned()), ..Content::image() };
    let (name, _) = content.serve().await;
    let client = Client::new();
    let error = client.pull(&name, "x:1", None).await.unwrap_err();
    assert!(error.to_string().ends_with("no basic auth credentials") && error.is_unauthorized(), "{error}");
    let with = |password: &str| {
        serde_json::from_value::<Credentials>(json!({"username": "a", "password": password})).unwrap()
    };
    let error = client.pull(&name, "x:1", Some(&with("wrong"))).await.unwrap_err();
    assert_eq!(error.to_string(), "unauthorized: authentication required");
    client.assert_clean();
    client.pull(&name, "x:1", Some(&with("b"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_from_the_server_that_the_registry_names() {
    let with_token = |token_for: Option<&str>| Content {
        authorization: Some("Bearer opened".to_owned()),
        token_for: Some(token_for.map(str::to_owned)),
        ..Content::image()
    };
    // To anybody.
    let (name, content) = with_token(None).serve().await;
    let client = Client::new();
    client.pull(&name, "x:1", None).await.unwrap();
    let requests = content.requests.lock().unwrap().clone();
    let asked: Vec<_> = requests.iter().filter(|request| request.starts_with("/token")).collect();
    assert_eq!(asked, ["/token?service=images&scope=repository%3Ax%3Apull "], "{requests:?}");
    // To who knows the password, which the registry itself never sees.
    let (name, _) = with_token(Some("Basic YTpi")).serve().await;
    let client = Client::new();
    let error = client.pull(&name, "x:1", None).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    client.assert_clean();
    let right = json!({"username": "a", "password": "b"});
    client.pull(&name, "x:1", Some(&serde_json::from_value(right).unwrap())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_given_up_leaves_nothing() {
    let content = Content { cut_after: Some(0), ..Content::image() };
    let (name, _) = content.serve().await;
    let client = Client::new();
    let pull = client.pull(&name, "x:1", None);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), pull).await.is_err());
    client.assert_clean();
}
