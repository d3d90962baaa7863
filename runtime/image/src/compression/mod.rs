//! The three encodings of a layer: plain tar, gzip, zstd.
//!
//! Decoders are pure Rust (no C enters the image's dependency graph): flate2 over miniz_oxide, and ruzstd.

mod zstd;

use std::io::{BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// How a layer's tar is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    /// What a descriptor's media type says, for OCI's and Docker's types, distributable or not.
    ///
    /// # Errors
    ///
    /// [`Error::MediaType`] for anything else, such as an encrypted layer.
    pub fn of_media_type(media_type: &str) -> Result<Self, Error> {
        match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Self::Plain),
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Ok(Self::Gzip),
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Self::Zstd),
            other => Err(Error::MediaType(other.to_owned())),
        }
    }

    /// What the first bytes say, for archives that declare no media type (docker-archive).
    #[must_use]
    pub fn of_magic(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// A reader of the plain tar inside `reader`.
    #[must_use]
    pub fn decode<'a>(self, reader: impl BufRead + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::Plain => Box::new(reader),
            Self::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Self::Zstd => Box::new(zstd::Decoder::new(reader)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gzip_members_are_concatenated() {
        let mut bytes = Vec::new();
        for part in ["one ", "two"] {
            let mut encoder = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        assert_eq!(Compression::of_magic(&bytes), Compression::Gzip);
        let mut text = String::new();
        Compression::Gzip.decode(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }

    #[test]
    fn encrypted_layers_are_refused() {
        let error = Compression::of_media_type("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
        assert!(matches!(error, Err(Error::MediaType(_))));
    }
}
