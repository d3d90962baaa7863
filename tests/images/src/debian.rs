//! Images assembled by mmdebstrap, and what the host says of their contents.
//!
//! They share the layer of [`DEBIAN`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::Context as _;
use coffer_harness::images::Recipe;
use sha2::{Digest as _, Sha256};

pub use coffer_harness::images::DEBIAN;

/// The whole standard library of Python.
pub const PYTHON: Recipe = Recipe::new("python3", &["python3"], &["python3"]);

/// nginx, and clients to ask it.
pub const NGINX: Recipe =
    Recipe::new("nginx", &["nginx-light", "curl", "wrk"], &["nginx", "-g", "daemon off;"]);

/// Redis with its client and benchmark.
pub const REDIS: Recipe = Recipe::new("redis", &["redis-server", "redis-tools"], &["redis-server"]);

/// PostgreSQL with its tools, without a database cluster.
pub const POSTGRES: Recipe = Recipe {
    before: Some(
        "mkdir -p \"$1/etc/postgresql-common\" && \
         echo create_main_cluster = false > \"$1/etc/postgresql-common/createcluster.conf\"",
    ),
    // A key made for this host.
    after: Some("rm -f \"$1/etc/ssl/private/ssl-cert-snakeoil.key\" \"$1\"/etc/ssl/certs/*"),
    ..Recipe::new("postgres", &["postgresql-15"], &["bash"])
};

/// node.
pub const NODE: Recipe = Recipe::new("nodejs", &["nodejs"], &["node"]);

/// The Java virtual machine; and a compiler that it can run (the JRE lacks javac).
pub const JAVA: Recipe = Recipe::new("openjdk17", &["openjdk-17-jre-headless", "ecj"], &["java", "-version"]);

/// Small tools that people run in containers: SQLite's shell, curl, ip, ss, ping.
pub const TOOLS: Recipe =
    Recipe::new("tools", &["sqlite3", "curl", "iproute2", "iputils-ping", "procps"], &["bash"]);

/// CPython's own tests.
pub const PYTHON_TESTS: Recipe =
    Recipe::new("python3-tests", &["python3", "libpython3.11-testsuite"], &["python3"]);

/// Container runtimes.
pub const RUNTIMES: Recipe = Recipe::new("runtimes", &["runc", "crun"], &["bash"]);

/// All of them.
pub const ALL: [Recipe; 10] =
    [DEBIAN, PYTHON, NGINX, REDIS, POSTGRES, NODE, JAVA, TOOLS, PYTHON_TESTS, RUNTIMES];

/// Assembles images, two at a time, and says so: much of the time is the download's. What is there already costs nothing.
///
/// # Errors
/// If one cannot be assembled; the others are.
pub fn assemble_all(recipes: &[Recipe], cache: &Path) -> anyhow::Result<()> {
    let missing: Vec<&Recipe> = recipes.iter().filter(|recipe| !recipe.is_assembled(cache)).collect();
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let work = || -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(recipe) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let result = assemble(recipe, cache);
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            let (total, seconds) = (missing.len(), start.elapsed().as_secs());
            match result {
                Ok(_) => eprintln!("image {count} of {total}: {} assembled in {seconds} s", recipe.name),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    };
    thread::scope(|scope| {
        let helper = scope.spawn(work);
        let own = work();
        helper.join().map_err(|_| anyhow::anyhow!("a thread that assembled images panicked"))?.and(own)
    })
}

/// The folder of an image. Who asks for one that another thread is just assembling waits for that.
fn assemble(recipe: &Recipe, cache: &Path) -> anyhow::Result<PathBuf> {
    static BUSY: Mutex<BTreeMap<&str, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    if *recipe != DEBIAN {
        // The others stand on it.
        assemble(&DEBIAN, cache)?;
    }
    let lock = BUSY.lock().unwrap_or_else(PoisonError::into_inner).entry(recipe.name).or_default().clone();
    let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(recipe.assemble(cache)?)
}

/// The tar of an image, which is what a machine is given; the image is assembled first if it is not there.
///
/// # Errors
/// If mmdebstrap is missing or fails, or a file cannot be written.
pub fn archive(recipe: &Recipe, cache: &Path) -> anyhow::Result<PathBuf> {
    let path = cache.join(format!("{}.tar", recipe.name));
    if path.exists() {
        return Ok(path);
    }
    let folder = assemble(recipe, cache)?;
    let draft = cache.join(format!("{}.tar.{:?}", recipe.name, thread::current().id()));
    let write = || -> std::io::Result<()> {
        let mut tar = tar::Builder::new(File::create(&draft)?);
        tar.mode(tar::HeaderMode::Deterministic);
        tar.append_dir_all(".", &folder)?;
        tar.into_inner()?.sync_all()?;
        fs::rename(&draft, &path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// What `find / -xdev -type f | xargs sha256sum | sort | tail -1` prints in a container of this image, by the host's own
/// reading of its one layer.
///
/// # Errors
/// If the image is not there or cannot be read.
pub fn last_checksum(recipe: &Recipe, cache: &Path) -> anyhow::Result<String> {
    assemble(recipe, cache)?;
    let layer = recipe.layer(cache)?;
    let mut checksums = BTreeMap::new();
    let mut archive = tar::Archive::new(File::open(&layer).context("cannot open the layer")?);
    for entry in archive.entries().context("cannot read the layer")? {
        let mut entry = entry.context("cannot read the layer")?;
        let path =
            format!("/{}", entry.path().context("an entry without a path")?.display()).replace("/./", "/");
        let kind = entry.header().entry_type();
        if kind.is_hard_link() {
            let target = entry.link_name().context("a link without a target")?.unwrap_or_default();
            let target = format!("/{}", target.display()).replace("/./", "/");
            let checksum =
                checksums.get(&target).cloned().with_context(|| format!("no {target} before {path}"))?;
            checksums.insert(path, checksum);
        } else if kind.is_file() {
            checksums.insert(path, checksum(&mut entry)?);
        }
    }
    let lines = checksums.iter().map(|(path, checksum)| format!("{checksum}  {path}"));
    lines.max().context("the layer has no files")
}

fn checksum(reader: &mut impl Read) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = reader.read(&mut buffer).context("cannot read the layer")?;
        if len == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..len]);
    }
}
