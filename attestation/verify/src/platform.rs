//! [`Platform`]: which machine a platform's certificate is about, from Intel's extension to it (Intel SGX PCK Certificate and CRL
//! profile specification, section 1.3.5).

use der::asn1::{AnyRef, OctetStringRef};
use der::oid::ObjectIdentifier;
use der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};
use serde::{Serialize, Serializer};

/// A machine, as Intel certified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Platform {
    /// The processor package, for Intel's purposes ("PPID").
    #[serde(serialize_with = "hexadecimal")]
    pub ppid: [u8; 16],
    /// The platform as it was set up last, on platforms with several packages.
    #[serde(serialize_with = "optional_hexadecimal")]
    pub platform_instance: Option<[u8; 16]>,
    /// Which family of platforms.
    #[serde(serialize_with = "hexadecimal")]
    pub fmspc: [u8; 6],
    /// Which provisioning certification enclave.
    #[serde(serialize_with = "hexadecimal")]
    pub pce_id: [u8; 2],
    /// And which version.
    pub pce_svn: u16,
    /// Versions of the processor's parts.
    #[serde(serialize_with = "hexadecimal")]
    pub cpu_svn: [u8; 16],
}

/// Arcs below the extension's own identifier.
const PPID: u32 = 1;
const TCB: u32 = 2;
const PCE_ID: u32 = 3;
const FMSPC: u32 = 4;
const SGX_TYPE: u32 = 5;
const PLATFORM_INSTANCE: u32 = 6;
const CONFIGURATION: u32 = 7;
/// Arcs below [`TCB`].
const COMPONENTS: std::ops::RangeInclusive<u32> = 1..=16;
const PCE_SVN: u32 = 17;
const CPU_SVN: u32 = 18;

const EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
const TCB_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.2");

impl Platform {
    /// Reads the extension.
    pub(crate) fn parse(extension: &[u8]) -> Result<Self, String> {
        Self::read(extension)
            .map_err(|error| format!("the certificate's SGX extension cannot be read: {error}"))
    }

    fn read(extension: &[u8]) -> der::Result<Self> {
        let mut fields: [Option<AnyRef<'_>>; 8] = [None; 8];
        attributes(AnyRef::from_der(extension)?, EXTENSION, &mut fields)?;
        let field = |arc: u32| fields.get(index(arc)).copied().flatten();
        let required = |arc: u32| field(arc).ok_or_else(missing);

        let mut versions: [Option<AnyRef<'_>>; 19] = [None; 19];
        attributes(required(TCB)?, TCB_EXTENSION, &mut versions)?;
        let version = |arc: u32| versions.get(index(arc)).copied().flatten().ok_or_else(missing);
        let mut components = [0; 16];
        for (component, arc) in components.iter_mut().zip(COMPONENTS) {
            *component = version(arc)?.decode_as::<u8>()?;
        }
        // The raw form of the same; levels are compared with the components.
        octets::<16>(version(CPU_SVN)?)?;

        required(SGX_TYPE)?.tag().assert_eq(Tag::Enumerated)?;
        if let Some(configuration) = field(CONFIGURATION) {
            configuration.tag().assert_eq(Tag::Sequence)?;
        }
        Ok(Self {
            ppid: octets(required(PPID)?)?,
            platform_instance: field(PLATFORM_INSTANCE).map(octets).transpose()?,
            fmspc: octets(required(FMSPC)?)?,
            pce_id: octets(required(PCE_ID)?)?,
            pce_svn: version(PCE_SVN)?.decode_as()?,
            cpu_svn: components,
        })
    }
}

/// Sorts a sequence of pairs of identifier and value, all below `parent`, by their last arc.
fn attributes<'a>(
    sequence: AnyRef<'a>,
    parent: ObjectIdentifier,
    into: &mut [Option<AnyRef<'a>>],
) -> der::Result<()> {
    sequence.tag().assert_eq(Tag::Sequence)?;
    let mut reader = SliceReader::new(sequence.value())?;
    while !reader.is_finished() {
        let (id, value) =
            reader.sequence(|reader| Ok((ObjectIdentifier::decode(reader)?, AnyRef::decode(reader)?)))?;
        if id.parent() != Some(parent) {
            return Err(der::ErrorKind::OidUnknown { oid: id }.into());
        }
        let arc = id.arcs().last().unwrap_or_default();
        // Arcs that are not known are later additions of Intel's.
        if let Some(slot) = into.get_mut(index(arc))
            && slot.replace(value).is_some()
        {
            return Err(der::ErrorKind::Failed.into());
        }
    }
    Ok(())
}

fn index(arc: u32) -> usize {
    usize::try_from(arc).unwrap_or(usize::MAX)
}

fn octets<const N: usize>(value: AnyRef<'_>) -> der::Result<[u8; N]> {
    let octets = value.decode_as::<OctetStringRef<'_>>()?;
    octets.as_bytes().try_into().map_err(|_| Tag::OctetString.length_error())
}

fn missing() -> der::Error {
    Tag::Sequence.value_error()
}

fn hexadecimal<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn optional_hexadecimal<S: Serializer>(bytes: &Option<[u8; 16]>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.map(hex::encode).serialize(serializer)
}
