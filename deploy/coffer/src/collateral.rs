//! Where a verification has its collateral from: a file, or a service by way of the cache in `$XDG_CACHE_HOME/coffer/collateral`.

use std::env;
use std::path::PathBuf;

use anyhow::Context as _;
use attestation_fetch::{Cache, Origin, Service};
use attestation_verify::{Collateral, Subject};
use time::OffsetDateTime;

/// About the platform that a quote claims to be from, for a verification as of `at`. The service is Intel's unless `address` says
/// another.
pub fn fetch(quote: &[u8], address: Option<&str>, at: OffsetDateTime) -> anyhow::Result<Collateral> {
    let subject = Subject::of_quote(quote).map_err(anyhow::Error::msg)?;
    let service = address.map_or_else(Service::intel, Service::caching);
    let (collateral, origin) = Cache::new(folder()?).obtain(&service, &subject, at).with_context(|| {
        format!(
            "no collateral for platforms of FMSPC {} (--collateral takes a file)",
            hex::encode(subject.fmspc)
        )
    })?;
    if let Origin::StaleCache(age, error) = origin {
        let hours = age.as_secs() / 3600;
        eprintln!(
            "coffer: collateral of {hours} hours ago, which is current, but maybe not the latest: {error}"
        );
    }
    Ok(collateral)
}

fn folder() -> anyhow::Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = match cache {
        Some(cache) => cache,
        None => env::home_dir().context("neither XDG_CACHE_HOME nor HOME is set")?.join(".cache"),
    };
    Ok(cache.join("coffer/collateral"))
}
