//! Evidence, collateral and policy of one test, all of which hold until the test changes something.

use attestation_policy::{Circumstances, Judgement, Policy, judge};
use attestation_test_pki::{
    BodyKind, Bundle, EnclaveFields, Pki, Platform, PlatformFields, Quote, Statement, TdFields,
};
use attestation_verify::{Check, CheckName, Collateral, Evidence, Outcome, TrustRoot, Verification, verify};
use time::OffsetDateTime;

pub struct Scene {
    pub now: OffsetDateTime,
    pub pki: Pki,
    pub kind: BodyKind,
    pub platform: PlatformFields,
    pub td: TdFields,
    pub enclave: EnclaveFields,
    pub statement: Statement,
    pub policy: Policy,
    pub circumstances: Circumstances,
    pub event_log: Option<Vec<u8>>,
    pub runtime_log: Option<Vec<u8>>,
    pub report_data: Option<[u8; 64]>,
    /// A root that is trusted instead of the scene's.
    pub root: Option<String>,
}

impl Scene {
    pub fn new(kind: BodyKind) -> Self {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        Self {
            now,
            pki: Pki::new(now).unwrap(),
            kind,
            platform: PlatformFields::default(),
            td: TdFields::default(),
            enclave: EnclaveFields::default(),
            statement: Statement::new(now),
            policy: Policy::default(),
            circumstances: Circumstances::default(),
            event_log: None,
            runtime_log: None,
            report_data: None,
            root: None,
        }
    }

    pub fn policy(&mut self, text: &str) {
        self.policy = Policy::from_toml(text).unwrap();
    }

    pub fn platform(&self) -> Platform {
        self.pki.platform(&self.platform).unwrap()
    }

    pub fn judge(&self) -> Judgement {
        self.judge_with(|_, _| {}, |_| {})
    }

    /// Judges a quote and a bundle that were changed after they were made.
    pub fn judge_with(
        &self,
        change_quote: impl FnOnce(&Platform, &mut Quote),
        change_bundle: impl FnOnce(&mut Bundle),
    ) -> Judgement {
        let platform = self.platform();
        let mut quote = platform.quote_by(self.kind, &self.td, &self.enclave).unwrap();
        change_quote(&platform, &mut quote);
        let mut bundle = self.pki.bundle(&self.statement).unwrap();
        change_bundle(&mut bundle);
        judge(&self.verify(&quote.to_bytes(), &bundle), &self.policy, &self.circumstances)
    }

    pub fn verify(&self, quote: &[u8], bundle: &Bundle) -> Verification {
        let evidence = Evidence {
            quote,
            event_log: self.event_log.as_deref(),
            runtime_log: self.runtime_log.as_deref(),
            report_data: self.report_data.as_ref(),
        };
        let root = self.root.clone().unwrap_or_else(|| self.pki.root_pem());
        let collateral = Collateral::from_json(bundle.to_json().as_bytes()).unwrap();
        verify(&evidence, &collateral, &TrustRoot::from_pem(root.as_bytes()).unwrap(), self.now)
    }
}

/// Judges what holds until `change`, in every form of quote: `name` must be the first check that fails.
#[track_caller]
pub fn refused(name: CheckName, change: impl Fn(&mut Scene)) {
    for kind in BodyKind::ALL {
        let mut scene = Scene::new(kind);
        change(&mut scene);
        fails_first(&scene.judge(), name);
    }
}

#[track_caller]
pub fn accepted(change: impl Fn(&mut Scene)) {
    for kind in BodyKind::ALL {
        let mut scene = Scene::new(kind);
        change(&mut scene);
        let judgement = scene.judge();
        assert!(judgement.is_accepted(), "{}", judgement.verdict());
    }
}

#[track_caller]
pub fn fails_first(judgement: &Judgement, name: CheckName) {
    let failure = judgement.first_failure().map(|check| check.name);
    assert_eq!(failure, Some(name), "{}", judgement.verdict());
}

pub fn check(judgement: &Judgement, name: CheckName) -> &Check {
    judgement.checks.iter().find(|check| check.name == name).unwrap()
}

#[track_caller]
pub fn has_outcome(judgement: &Judgement, name: CheckName, outcome: Outcome) {
    let check = check(judgement, name);
    assert_eq!(check.outcome, outcome, "{check:?}");
}
