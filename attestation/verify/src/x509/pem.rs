//! Certificates in PEM (RFC 7468), in the strict form that Intel's service writes: nothing before, between or after them but line
//! ends, and the NUL with which the quoting library ends its string. What is lax here could be changed unnoticed.

use pem_rfc7468::decode_vec;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// All certificates, in DER.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut rest = pem.strip_suffix(b"\0").unwrap_or(pem);
    let mut certificates = Vec::new();
    while !rest.is_empty() {
        if !rest.starts_with(BEGIN) {
            return Err("there is something other than certificates in PEM".to_owned());
        }
        let length = rest
            .windows(END.len())
            .position(|window| window == END)
            .ok_or("a certificate in PEM is cut short")?;
        let (document, after) = rest.split_at(length + END.len());
        let (label, der) =
            decode_vec(document).map_err(|error| format!("a certificate's PEM is broken: {error}"))?;
        if label != "CERTIFICATE" {
            return Err("there is something other than certificates in PEM".to_owned());
        }
        certificates.push(der);
        rest = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")).unwrap_or(after);
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::certificates;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAECAw==\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_chain_is_read() {
        assert_eq!(certificates(ONE.as_bytes()), Ok(vec![vec![0, 1, 2, 3]]));
        assert_eq!(certificates(format!("{ONE}{ONE}\0").as_bytes()).map(|all| all.len()), Ok(2));
        assert_eq!(certificates(b""), Ok(Vec::new()));
    }

    #[test]
    fn anything_else_is_refused() {
        for (from, to) in [
            ("-----BEGIN", "x-----BEGIN"),
            ("BEGIN CERT", "BEGIN CERT "),
            ("AAECAw", "AAECA!"),
            ("AAECAw==", "AAECAx=="),
            ("AAECAw==", "AAECAw="),
            ("-----END", "-----EMD"),
            ("TE-----\n", "TE----- \n"),
            ("CERTIFICATE", "X509 CRL"),
        ] {
            let text = if to.contains("X509") { ONE.replace(from, to) } else { ONE.replacen(from, to, 1) };
            assert!(certificates(text.as_bytes()).is_err(), "{text}");
        }
        assert!(certificates(format!("{ONE}\0\0").as_bytes()).is_err());
    }
}
