//! [`Bundle`]: collateral in parts, each as text; [`Statement`] is what it says.

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::authority::{Holder, Key, Pki, PkiError, pem_chain};
use crate::platform::PlatformFields;
use crate::quote::QE_SIGNER;

/// What collateral says. The documents are JSON, to be changed as a test wants.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Which versions of platforms and modules are current.
    pub tcb_info: Value,
    /// What the quoting enclave is.
    pub qe_identity: Value,
    /// When the revocation lists were made, and until when they hold.
    pub lists: (OffsetDateTime, OffsetDateTime),
    /// Numbers of certificates that the root revoked.
    pub revoked_by_root: Vec<Vec<u8>>,
    /// Numbers of platforms' certificates that are revoked.
    pub revoked_platforms: Vec<u64>,
}

impl Statement {
    /// Everything that [`PlatformFields`], `TdFields` and `EnclaveFields` default to is up to date, a day before `now` and 29 after.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        let platform = PlatformFields::default();
        let dates = (now - Duration::days(1), now + Duration::days(29));
        let (issued, next) = (date(dates.0), date(dates.1));
        let level = |svn: u64, status: &str| json!({ "tcb": { "isvsvn": svn }, "tcbDate": "2024-11-13T00:00:00Z", "tcbStatus": status });
        let module = json!({
            "mrsigner": "00".repeat(48), "attributes": "00".repeat(8), "attributesMask": "FF".repeat(8),
        });
        let mut module_1 = module.clone();
        module_1["id"] = json!("TDX_01");
        module_1["tcbLevels"] = json!([level(6, "UpToDate"), level(2, "OutOfDate")]);
        let tdx = [5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let tcb_info = json!({
            "id": "TDX", "version": 3, "issueDate": issued, "nextUpdate": next,
            "fmspc": hex::encode_upper(platform.fmspc), "pceId": hex::encode_upper(platform.pce_id),
            "tcbType": 0, "tcbEvaluationDataNumber": 18,
            "tdxModule": module, "tdxModuleIdentities": [module_1],
            "tcbLevels": [
                level_of(&platform.cpu_svn, platform.pce_svn, &tdx, "UpToDate"),
                level_of(&[2; 5], 5, &[5, 0, 2], "OutOfDate"),
            ],
        });
        let qe_identity = json!({
            "id": "TD_QE", "version": 2, "issueDate": issued, "nextUpdate": next,
            "tcbEvaluationDataNumber": 18, "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": hex::encode_upper(QE_SIGNER), "isvprodid": 2,
            "tcbLevels": [level(4, "UpToDate"), level(1, "OutOfDate")],
        });
        Self {
            tcb_info,
            qe_identity,
            lists: dates,
            revoked_by_root: Vec::new(),
            revoked_platforms: Vec::new(),
        }
    }
}

/// A TCB level of a platform; components that are not given are 0.
fn level_of(sgx: &[u8], pce_svn: u16, tdx: &[u8], status: &str) -> Value {
    let components = |versions: &[u8]| -> Vec<Value> {
        (0..16).map(|index| json!({ "svn": versions.get(index).copied().unwrap_or(0) })).collect()
    };
    json!({
        "tcb": { "sgxtcbcomponents": components(sgx), "pcesvn": pce_svn, "tdxtcbcomponents": components(tdx) },
        "tcbDate": "2024-11-13T00:00:00Z", "tcbStatus": status,
    })
}

fn date(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// Collateral in parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bundle {
    /// In PEM.
    pub pck_crl_issuer_chain: String,
    /// DER in hexadecimal.
    pub root_ca_crl: String,
    /// DER in hexadecimal.
    pub pck_crl: String,
    /// In PEM.
    pub tcb_info_issuer_chain: String,
    /// JSON.
    pub tcb_info: String,
    /// In hexadecimal.
    pub tcb_info_signature: String,
    /// In PEM.
    pub qe_identity_issuer_chain: String,
    /// JSON.
    pub qe_identity: String,
    /// In hexadecimal.
    pub qe_identity_signature: String,
}

impl Pki {
    /// Signs a statement.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn bundle(&self, statement: &Statement) -> Result<Bundle, PkiError> {
        let signers = pem_chain([&self.tcb_signer.certificate, &self.root.certificate]);
        let platforms = statement.revoked_platforms.iter().copied().map(SerialNumber::from);
        let by_root = statement.revoked_by_root.iter().map(|serial| SerialNumber::from_slice(serial));
        let mut bundle = Bundle {
            pck_crl_issuer_chain: pem_chain([&self.platform_authority.certificate, &self.root.certificate]),
            root_ca_crl: list(&self.root, statement.lists, by_root)?,
            pck_crl: list(&self.platform_authority, statement.lists, platforms)?,
            tcb_info_issuer_chain: signers.clone(),
            tcb_info: statement.tcb_info.to_string(),
            tcb_info_signature: String::new(),
            qe_identity_issuer_chain: signers,
            qe_identity: statement.qe_identity.to_string(),
            qe_identity_signature: String::new(),
        };
        bundle.sign(self.tcb_key())?;
        Ok(bundle)
    }
}

impl Bundle {
    /// Signs both documents again.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn sign(&mut self, key: &Key) -> Result<(), PkiError> {
        self.tcb_info_signature = hex::encode(key.sign(self.tcb_info.as_bytes())?);
        self.qe_identity_signature = hex::encode(key.sign(self.qe_identity.as_bytes())?);
        Ok(())
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn list(
    issuer: &Holder,
    (this_update, next_update): (OffsetDateTime, OffsetDateTime),
    revoked: impl Iterator<Item = SerialNumber>,
) -> Result<String, PkiError> {
    let revoked_certs = revoked
        .map(|serial_number| RevokedCertParams {
            serial_number,
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        })
        .collect();
    let parameters = CertificateRevocationListParams {
        this_update,
        next_update,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(hex::encode(parameters.signed_by(&issuer.issuer())?.der()))
}
