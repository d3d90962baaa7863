//! [`Subject`]: what collateral has to be about, to judge a quote. It is what the quote says of itself, before anything of it was verified:
//! good enough to ask by, and nothing else. That the answer is about the platform at hand is for the steps to find.

use attestation_evidence::Quote;

use crate::platform::Platform;
use crate::x509::{Certificate, certificates};

/// Which platforms are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Their family.
    pub fmspc: [u8; 6],
    /// Who certifies them.
    pub authority: PckAuthority,
}

/// Intel's two authorities of platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PckAuthority {
    /// For platforms with several packages, which are registered.
    Platform,
    /// For single packages.
    Processor,
}

impl PckAuthority {
    /// What the certification service calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Processor => "processor",
        }
    }
}

impl Subject {
    /// What a quote claims.
    ///
    /// # Errors
    ///
    /// When it is no quote, or its certificate not one of a platform's.
    pub fn of_quote(quote: &[u8]) -> Result<Self, String> {
        let quote = Quote::parse(quote).map_err(|error| format!("this is not a TDX quote: {error}"))?;
        let chain = certificates(quote.signature.certificates)?;
        let [leaf, authority, ..] = chain.as_slice() else {
            return Err("the quote has no chain of certificates".to_owned());
        };
        let leaf = Certificate::parse(leaf)?;
        let extension =
            leaf.sgx_extensions.ok_or("the platform's certificate does not say which platform it is")?;
        let authority = match Certificate::parse(authority)?.common_name() {
            Some("Intel SGX PCK Platform CA") => PckAuthority::Platform,
            Some("Intel SGX PCK Processor CA") => PckAuthority::Processor,
            name => return Err(format!("`{}` certifies no platforms", name.unwrap_or_default())),
        };
        Ok(Self { fmspc: Platform::parse(extension)?.fmspc, authority })
    }
}
