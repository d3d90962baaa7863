//! [`Target`]: a machine as the user names it, by the name that it was launched here with or by its address.

use anyhow::Context as _;

use crate::evidence::Host;
use crate::state::Home;

/// The ports of a machine, unless its configuration says otherwise (docs/configuration.md).
pub const EVIDENCE_PORT: u16 = 2378;
pub const API_PORT: u16 = 2376;

/// A machine.
#[derive(Debug)]
pub struct Target {
    /// What a context for it is called after.
    pub name: String,
    pub evidence: Host,
    /// `host:port` of its API; none of a sealed machine.
    pub api: Option<String>,
    /// Its folder, if it was launched here.
    pub home: Option<Home>,
}

impl Target {
    /// Finds it. An address need not be one of a machine's.
    pub fn find(text: &str) -> anyhow::Result<Self> {
        let launched = Home::of(text).ok().and_then(|home| Some((home.record().ok()??, home)));
        if let Some((record, home)) = launched {
            let evidence = record
                .evidence
                .with_context(|| format!("the machine `{text}` was launched by an older coffer"))?;
            let api = record.api.map(|api| api.trim_start_matches("tcp://").to_owned());
            return Ok(Self {
                name: text.to_owned(),
                evidence: Host { address: evidence },
                api,
                home: Some(home),
            });
        }
        let (host, port) = split(text)?;
        let port = port.unwrap_or(EVIDENCE_PORT);
        let name = host.trim_matches(['[', ']']).to_ascii_lowercase().replace(['.', ':'], "-");
        Ok(Self {
            name,
            evidence: Host { address: format!("{host}:{port}") },
            api: Some(format!("{host}:{API_PORT}")),
            home: None,
        })
    }
}

/// Host and port of `host`, `host:port`, or `[address]:port`.
fn split(text: &str) -> anyhow::Result<(&str, Option<u16>)> {
    let malformed = || {
        format!(
            "`{text}` is no machine that was launched here, no file that is there, and neither HOST nor HOST:PORT"
        )
    };
    let end = if text.starts_with('[') {
        text.find(']').with_context(malformed)? + 1
    } else {
        text.rfind(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(end);
    anyhow::ensure!(!host.is_empty() && !host.contains(['/', '@', ' ']), malformed());
    if rest.is_empty() {
        return Ok((host, None));
    }
    let port = rest.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    Ok((host, Some(port.with_context(malformed)?)))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_address_may_have_a_port() {
        assert_eq!(split("example.org").unwrap(), ("example.org", None));
        assert_eq!(split("192.0.2.1:99").unwrap(), ("192.0.2.1", Some(99)));
        assert_eq!(split("[::1]:99").unwrap(), ("[::1]", Some(99)));
        assert_eq!(split("[::1]").unwrap(), ("[::1]", None));
        for text in ["", "a:b", "a:0", "https://a", "[::1", ":1"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
