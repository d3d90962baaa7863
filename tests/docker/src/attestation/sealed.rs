//! A sealed machine: it runs its workload, nobody drives it, nothing of what containers say gets out, and each container proves itself.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use attestation_evidence::{Isolation, RuntimeEvent, RuntimeLog};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_images::{Compression, Image, Layer};
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384};

use super::{Said, policy, said, trusting};
use crate::{Launch, Machine, TrustDomain};

/// What the containers say (`tests/docker/guest`).
const WORDS: &str = "WORDS-OF-A-SEALED-CONTAINER";

/// How long a service may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// One machine, attested from outside, with two containers.
///
/// # Errors
/// If anything is not as it should be.
pub fn is_attested_from_outside(launch: &Launch, simulator: &Path, guest: &Path) -> anyhow::Result<()> {
    let registry = Registry::start(guest)?;
    let folder = tempfile::tempdir()?;
    let workload = folder.path().join("workload.yaml");
    let image = format!("{}/proof@{}", registry.address, registry.manifest);
    fs::write(
        &workload,
        format!(
            "name: proof\nservices:\n  one:\n    image: {image}\n    ports: [\"8081:8080\"]\n  two:\n    image: {image}\n    \
             ports: [\"8082:8080\"]\n    depends_on: [one]\n    restart: always\n"
        ),
    )?;
    let machine = Launch {
        memory_mib: 1024,
        cpus: 1,
        ports: vec![8081, 8082],
        configuration: Some(format!("[[registries]]\nname = \"{}\"\nhttp = true\n", registry.address)),
        trust_domain: Some(TrustDomain { simulator: simulator.to_owned(), options: Vec::new() }),
        workload: Some(workload.clone()),
        ..launch.clone()
    }
    .launch()?;
    let result = attest(&machine, &workload, &registry, folder.path());
    result.with_context(|| format!("the console ends with\n{}", machine.console()))
}

fn attest(machine: &Machine, workload: &Path, registry: &Registry, folder: &Path) -> anyhow::Result<()> {
    // There is no API, and no context for one.
    ensure!(machine.record["api"].is_null() && machine.record["context"].is_null(), "{}", machine.record);
    let output = said(&mut machine.coffer(&["connect", "test"]))?;
    ensure!(output.code == Some(2) && output.text.contains("is sealed"), "{output:?}");

    // Both containers prove themselves, by data of their clients'.
    let data = "5a".repeat(32);
    let [one, two] = [8081, 8082].map(|port| proof(&published(machine, port)?, &data));
    let (one, two) = (one?, two?);
    let wanted = policy(machine)?.replace(
        "modes = [\"open\"]",
        &format!(
            "modes = [\"sealed\"]\nworkloads = [\"{}\"]\ncontainer-images = [\"{}\"]",
            hex(&Sha384::digest(fs::read(workload)?)),
            registry.manifest
        ),
    );
    let policy = folder.join("policy.toml");
    fs::write(&policy, wanted)?;
    let judged = |words: &[&str]| {
        let mut command = machine.coffer(words);
        command.arg("--policy").arg(&policy);
        trusting(&mut command, machine)?;
        said(&mut command)
    };
    // A third party, of the machine: its image, its mode, its workload and all that ran.
    let output = judged(&["attest", "test"])?;
    ensure!(output.code == Some(0), "{output:?}");
    ensure!(output.text.contains("sealed: it runs the workload that it was given"), "{output:?}");
    let starts = containers(&two)?;
    let [first, second] = starts.as_slice() else { bail!("not two starts: {starts:?}") };

    // A client, of each container; and neither passes for the other.
    let evidence = |name: &str, document: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, document)?;
        path.into_os_string().into_string().ok().context("a path that is not text")
    };
    let (one, two) = (evidence("one", &one)?, evidence("two", &two)?);
    let of = |path: &str, container: &str, data: &str| {
        judged(&["attest", path, "--container", container, "--nonce", data])
    };
    let accepted = |output: Said| {
        ensure!(output.code == Some(0) && output.text.contains("pass policy-binding"), "{output:?}");
        Ok(())
    };
    let refused = |output: Said, check: &str| {
        ensure!(output.code == Some(1) && output.text.contains(&format!("refused: {check}:")), "{output:?}");
        Ok(())
    };
    accepted(of(&one, first, &data)?)?;
    accepted(of(&two, second, &data)?)?;
    refused(of(&one, second, &data)?, "report-data")?;
    refused(of(&one, first, &"5b".repeat(32))?, "report-data")?;

    let console = machine.whole_console();
    ensure!(console.contains("coffer: sealed: ") && !console.contains(WORDS), "{console}");
    Ok(())
}

fn published(machine: &Machine, port: u16) -> anyhow::Result<String> {
    let address = machine.published().iter().find(|(guest, _)| *guest == port);
    Ok(address.context("the port is not published")?.1.clone())
}

/// Evidence of the container behind an address.
fn proof(address: &str, data: &str) -> anyhow::Result<Vec<u8>> {
    let start = Instant::now();
    loop {
        match ask(address, data) {
            Ok(body) => return Ok(body),
            Err(error) if start.elapsed() > PATIENCE => {
                return Err(error.context(format!("{address} gives no proof")));
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn ask(address: &str, data: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /v1/evidence?data={data} HTTP/1.1\r\nHost: container\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no head")?;
    Ok(answer.split_off(end + 4))
}

/// The ids of the containers in a document's log, all of which are confined.
fn containers(document: &[u8]) -> anyhow::Result<Vec<String>> {
    let document: Value = serde_json::from_slice(document)?;
    let log = STANDARD.decode(document["runtime-log"].as_str().context("no runtime log")?)?;
    let log = RuntimeLog::parse(&log).map_err(anyhow::Error::msg)?;
    log.records()
        .filter_map(|(event, _)| match event {
            RuntimeEvent::ContainerStart(start) => Some(start),
            _ => None,
        })
        .map(|start| {
            ensure!(start.isolation == Isolation::Confined && start.manifest.is_some(), "{start:?}");
            Ok(hex(&start.container))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A registry with one image, over plain HTTP.
struct Registry {
    /// As machines see it.
    address: String,
    /// The manifest's digest.
    manifest: String,
}

impl Registry {
    /// One with an image whose program is `guest`. It lives as long as this process.
    fn start(guest: &Path) -> anyhow::Result<Self> {
        let program = fs::read(guest).with_context(|| format!("cannot read {}", guest.display()))?;
        let layer = Layer::new().file("proof", 0o755, &program);
        let image = Image::new(serde_json::json!({ "Cmd": ["/proof"] })).layer(layer, Compression::Gzip);
        let folder = tempfile::tempdir()?;
        image.layout()?.write_folder(folder.path())?;
        let blobs = folder.path().join("blobs/sha256");
        let index: Value = serde_json::from_slice(&fs::read(folder.path().join("index.json"))?)?;
        let digest = index["manifests"][0]["digest"].as_str().context("no manifest")?;
        let manifest = digest.to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = format!("10.0.2.2:{}", listener.local_addr()?.port());
        let blobs = Arc::new((folder, blobs));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let blobs = Arc::clone(&blobs);
                // A machine that goes away is no fault of the registry's.
                thread::spawn(move || drop(serve(client, &blobs.1)));
            }
        });
        Ok(Self { address, manifest })
    }
}

/// One connection: requests for `/v2/`, manifests and blobs by digest.
fn serve(mut client: TcpStream, blobs: &Path) -> anyhow::Result<()> {
    let (mut head, mut piece) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match client.read(&mut piece)? {
            0 => return Ok(()),
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let digits = target.rsplit_once("sha256:").map(|(_, digits)| digits).unwrap_or_default();
    let body = match digits {
        "" => b"{}".to_vec(),
        digits => fs::read(blobs.join(digits)).unwrap_or_default(),
    };
    let kind = match target.contains("/manifests/") {
        true => "application/vnd.oci.image.manifest.v1+json",
        false => "application/octet-stream",
    };
    let digest = hex(&Sha256::digest(&body));
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nDocker-Content-Digest: sha256:{digest}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        client.write_all(&body)?;
    }
    Ok(())
}
