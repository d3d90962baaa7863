//! Collateral from a service, and from the cache.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use attestation_fetch::{Cache, FetchError, Origin, Service};
use attestation_test_pki::{BodyKind, Bundle, CollateralService, Pki, PlatformFields, Statement, TdFields};
use attestation_verify::{Collateral, Evidence, OffsetDateTime, Subject, TrustRoot, verify};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Scene {
    now: OffsetDateTime,
    pki: Pki,
    quote: Vec<u8>,
    served: CollateralService,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let pki = Pki::new(now).unwrap();
        let platform = pki.platform(&PlatformFields::default()).unwrap();
        let quote = platform.quote(BodyKind::V4, &TdFields::default()).unwrap().to_bytes();
        let served = CollateralService::start(bundle(&pki, now)).unwrap();
        Self { now, pki, quote, served, folder: TempDir::new().unwrap() }
    }

    fn service(&self) -> Service {
        Service::caching(&self.served.url())
    }

    fn obtain(&self, at: OffsetDateTime) -> Result<(Collateral, Origin), FetchError> {
        let subject = Subject::of_quote(&self.quote).unwrap();
        Cache::new(self.folder.path().join("collateral")).obtain(&self.service(), &subject, at)
    }

    fn is_genuine(&self, collateral: &Collateral, at: OffsetDateTime) -> bool {
        let root = TrustRoot::from_pem(self.pki.root_pem().as_bytes()).unwrap();
        let evidence = Evidence { quote: &self.quote, event_log: None, runtime_log: None, report_data: None };
        verify(&evidence, collateral, &root, at).first_failure().is_none()
    }

    /// Makes what is kept older than it is.
    fn age(&self, by: Duration) {
        for entry in fs::read_dir(self.folder.path().join("collateral")).unwrap() {
            let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
            file.set_modified(SystemTime::now() - by).unwrap();
        }
    }
}

fn bundle(pki: &Pki, now: OffsetDateTime) -> Bundle {
    pki.bundle(&Statement::new(now)).unwrap()
}

#[test]
fn what_a_service_gives_in_parts_is_the_bundle_that_was_signed() {
    let scene = Scene::new();
    let (collateral, origin) = scene.obtain(scene.now).unwrap();
    assert!(matches!(origin, Origin::Service), "{origin:?}");
    assert!(scene.is_genuine(&collateral, scene.now));
}

#[test]
fn a_kept_bundle_is_used_for_a_day_and_while_it_is_current() {
    let scene = Scene::new();
    scene.obtain(scene.now).unwrap();
    let requests = scene.served.requests();
    scene.age(DAY / 2);
    let (collateral, origin) = scene.obtain(scene.now).unwrap();
    assert!(matches!(origin, Origin::Cache(age) if age >= DAY / 2), "{origin:?}");
    assert!(scene.is_genuine(&collateral, scene.now));
    assert_eq!(scene.served.requests(), requests);

    // After its date, though it is not a day old; and a day old, though before its date.
    let later = scene.now + time::Duration::days(40);
    scene.served.replace(bundle(&scene.pki, later));
    let (collateral, origin) = scene.obtain(later).unwrap();
    assert!(matches!(origin, Origin::Service), "{origin:?}");
    assert!(collateral.next_update().unwrap() > later);
    scene.age(DAY * 2);
    assert!(matches!(scene.obtain(later).unwrap().1, Origin::Service));
}

#[test]
fn without_the_service_what_is_current_still_is() {
    let scene = Scene::new();
    scene.obtain(scene.now).unwrap();
    scene.age(DAY * 2);
    scene.served.break_down();
    let (collateral, origin) = scene.obtain(scene.now).unwrap();
    assert!(matches!(origin, Origin::StaleCache(age, _) if age >= DAY * 2), "{origin:?}");
    assert!(scene.is_genuine(&collateral, scene.now));
    // And what is not is not.
    let error = scene.obtain(scene.now + time::Duration::days(40)).unwrap_err().to_string();
    assert!(error.ends_with("does not give any"), "{error}");
}

#[test]
fn rubbish_is_neither_used_nor_kept() {
    let scene = Scene::new();
    let mut broken = bundle(&scene.pki, scene.now);
    broken.tcb_info_signature = "00".to_owned();
    scene.served.replace(broken);
    assert!(matches!(scene.obtain(scene.now), Err(FetchError::Collateral(_))));
    let mut broken = bundle(&scene.pki, scene.now);
    broken.tcb_info = "rubbish".to_owned();
    scene.served.replace(broken);
    assert!(matches!(scene.obtain(scene.now), Err(FetchError::Answer { .. })));
    assert!(!scene.folder.path().join("collateral").exists());
}

#[test]
fn a_damaged_cache_is_as_good_as_none() {
    let scene = Scene::new();
    scene.obtain(scene.now).unwrap();
    for entry in fs::read_dir(scene.folder.path().join("collateral")).unwrap() {
        fs::write(entry.unwrap().path(), b"{").unwrap();
    }
    assert!(matches!(scene.obtain(scene.now).unwrap().1, Origin::Service));
}
