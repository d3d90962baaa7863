//! A PKI like Intel's for tests: it certifies platforms, signs quotes and says how platforms stand, all below a root of its own
//! ([`Pki::root_pem`]) that no verifier trusts unless it is told to.
//!
//! [`Pki`] has the authorities, [`Platform`] is a machine with a quoting enclave, [`Quote`] a quote in parts, [`Bundle`] the collateral
//! in parts, which [`CollateralService`] gives out, [`EventLogWriter`] a firmware's log. Parts can be changed before they are put together, and signed or not again: that is what tests of refusals do. It shares
//! no code with the verifier, so that a misunderstanding of a format shows.
//!
//! ```
//! use attestation_test_pki::{BodyKind, Pki, PlatformFields, Statement, TdFields};
//!
//! let now = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
//! let pki = Pki::new(now).unwrap();
//! let platform = pki.platform(&PlatformFields::default()).unwrap();
//! let quote = platform.quote(BodyKind::V4, &TdFields::default()).unwrap().to_bytes();
//! let bundle = pki.bundle(&Statement::new(now)).unwrap().to_json();
//! assert!(quote.len() > 3000 && bundle.len() > 3000);
//! ```
#![forbid(unsafe_code)]

mod authority;
mod bundle;
mod der;
mod event_log;
mod platform;
mod quote;
mod service;

pub use authority::{Key, Pki, PkiError, pem_chain};
pub use bundle::{Bundle, Statement};
pub use event_log::{EventLogWriter, SHA384};
pub use platform::{Platform, PlatformFields};
pub use quote::{BodyKind, EnclaveFields, Quote, TdFields};
pub use service::CollateralService;
