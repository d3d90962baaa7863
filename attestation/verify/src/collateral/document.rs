//! [`TcbInfo`] and [`QeIdentity`]: the two documents that Intel signs (Intel PCS API version 4). Both are a [`Document`], which is for a
//! time.
//!
//! A key that comes twice is an error, as is a level with more or fewer components than there are, and a status that is not known.
//! Keys that are not known are left out: Intel adds some within a version.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::tcb::{ComponentStatus, TcbStatus};

/// What both documents have.
pub trait Document<'a>: Deserialize<'a> {
    /// What it is called in messages.
    const NAME: &'static str;
    /// Its id, and its version.
    const KIND: (&'static str, u32);

    /// Id and version that it has.
    fn kind(&self) -> (&str, u32);
    /// When it was made, and until when it holds.
    fn dates(&self) -> (OffsetDateTime, OffsetDateTime);

    /// Reads one, and checks that it is of its kind and current.
    fn read(text: &'a str, at: OffsetDateTime) -> Result<Self, String> {
        let document: Self = serde_json::from_str(text)
            .map_err(|error| format!("the {} cannot be read: {error}", Self::NAME))?;
        if document.kind() != Self::KIND {
            let ((id, version), (wanted, wanted_version)) = (document.kind(), Self::KIND);
            return Err(format!(
                "the {} is `{id}` version {version}, expected `{wanted}` version {wanted_version}",
                Self::NAME
            ));
        }
        let (issued, next) = document.dates();
        if at < issued {
            Err(format!("the {} is of the future: it was issued at {}", Self::NAME, Date(issued)))
        } else if at > next {
            Err(format!("the {} has expired at {}", Self::NAME, Date(next)))
        } else {
            Ok(document)
        }
    }
}

/// Which versions of a family of platforms, and of its TDX modules, are current.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcbInfo<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    version: u32,
    #[serde(deserialize_with = "date")]
    pub issue_date: OffsetDateTime,
    #[serde(deserialize_with = "date")]
    pub next_update: OffsetDateTime,
    pub fmspc: Hex<6>,
    pub pce_id: Hex<2>,
    /// How levels are compared; there is one way.
    pub tcb_type: u32,
    pub tcb_evaluation_data_number: u32,
    pub tdx_module: TdxModule,
    #[serde(default)]
    pub tdx_module_identities: Vec<TdxModuleIdentity<'a>>,
    pub tcb_levels: Vec<TcbInfoLevel<'a>>,
}

/// Who signs modules, and which attributes they have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TdxModule {
    pub mrsigner: Hex<48>,
    pub attributes: Hex<8>,
    pub attributes_mask: Hex<8>,
}

/// The same for one major version, and how its minor versions stand.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TdxModuleIdentity<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    pub mrsigner: Hex<48>,
    pub attributes: Hex<8>,
    pub attributes_mask: Hex<8>,
    pub tcb_levels: Vec<SvnLevel<'a>>,
}

/// How a version of something with one number stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SvnLevel<'a> {
    pub tcb: Svn,
    #[serde(deserialize_with = "date")]
    pub tcb_date: OffsetDateTime,
    pub tcb_status: ComponentStatus,
    #[serde(rename = "advisoryIDs", default, borrow)]
    pub advisories: Vec<Cow<'a, str>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Svn {
    pub isvsvn: u16,
}

/// How a set of versions of a platform stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcbInfoLevel<'a> {
    pub tcb: Versions,
    #[serde(deserialize_with = "date")]
    pub tcb_date: OffsetDateTime,
    pub tcb_status: TcbStatus,
    #[serde(rename = "advisoryIDs", default, borrow)]
    pub advisories: Vec<Cow<'a, str>>,
}

/// A platform's versions, from which a level counts. The order of the fields is that of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Versions {
    #[serde(rename = "sgxtcbcomponents")]
    pub sgx: [Component; 16],
    pub pcesvn: u16,
    #[serde(rename = "tdxtcbcomponents")]
    pub tdx: [Component; 16],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Component {
    pub svn: u8,
}

/// What the quoting enclave is, and how its versions stand.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QeIdentity<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    version: u32,
    #[serde(deserialize_with = "date")]
    pub issue_date: OffsetDateTime,
    #[serde(deserialize_with = "date")]
    pub next_update: OffsetDateTime,
    pub tcb_evaluation_data_number: u32,
    pub miscselect: Hex<4>,
    pub miscselect_mask: Hex<4>,
    pub attributes: Hex<16>,
    pub attributes_mask: Hex<16>,
    pub mrsigner: Hex<32>,
    pub isvprodid: u16,
    pub tcb_levels: Vec<SvnLevel<'a>>,
}

impl<'a> Document<'a> for TcbInfo<'a> {
    const NAME: &'static str = "TCB information";
    const KIND: (&'static str, u32) = ("TDX", 3);

    fn kind(&self) -> (&str, u32) {
        (&self.id, self.version)
    }

    fn dates(&self) -> (OffsetDateTime, OffsetDateTime) {
        (self.issue_date, self.next_update)
    }
}

impl<'a> Document<'a> for QeIdentity<'a> {
    const NAME: &'static str = "quoting enclave's identity";
    const KIND: (&'static str, u32) = ("TD_QE", 2);

    fn kind(&self) -> (&str, u32) {
        (&self.id, self.version)
    }

    fn dates(&self) -> (OffsetDateTime, OffsetDateTime) {
        (self.issue_date, self.next_update)
    }
}

/// As many bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> Hex<N> {
    /// Whether `value` is this where `mask` has ones.
    pub fn is_masked(&self, value: &[u8; N], mask: &Self) -> bool {
        self.0.iter().zip(value).zip(&mask.0).all(|((wanted, value), mask)| value & mask == wanted & mask)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<const N: usize>;

        impl<const N: usize> Visitor<'_> for Text<N> {
            type Value = Hex<N>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{N} bytes in hexadecimal")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let mut bytes = [0; N];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
                Ok(Hex(bytes))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    OffsetDateTime::parse(&text, &Rfc3339)
        .map_err(|_| D::Error::custom(format_args!("`{text}` is not a date")))
}

/// A date, as messages have it.
struct Date(OffsetDateTime);

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.format(&Rfc3339).unwrap_or_default())
    }
}
