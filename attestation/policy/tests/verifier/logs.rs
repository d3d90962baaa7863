//! Event logs and the runtime's log: what explains the registers of a quote, and what does not.

use crate::scene::{Scene, accepted, has_outcome, refused};
use attestation_evidence::{
    ContainerStart, EventLog, ImageDigest, Isolation, Mode, RuntimeEvent, RuntimeLog, extend,
};
use attestation_policy::BoundTo;
use attestation_test_pki::{BodyKind, EventLogWriter, SHA384};
use attestation_verify::{CheckName, Outcome};
use sha2::{Digest as _, Sha384};

const SEPARATOR: u32 = 4;
const NO_ACTION: u32 = 3;
const EVENT_TAG: u32 = 6;
const APPLICATION: u32 = 0x8000_0003;

struct Event {
    register: u32,
    kind: u32,
    digest: [u8; 48],
    data: Vec<u8>,
}

fn event(register: u32, kind: u32, data: &[u8]) -> Event {
    Event { register, kind, digest: Sha384::digest(data).into(), data: data.to_vec() }
}

fn header(algorithms: &[(u16, u16)]) -> Vec<u8> {
    EventLogWriter::new(0, algorithms).finish()
}

fn log(events: &[Event]) -> Vec<u8> {
    let add = |log: EventLogWriter, event: &Event| {
        log.event(event.register, event.kind, &event.digest, &event.data)
    };
    let mut log = events.iter().fold(EventLogWriter::new(0, &[SHA384]), add).finish();
    log.extend([0xff; 64]);
    log
}

fn events() -> Vec<Event> {
    let mut application = event(2, APPLICATION, b"path of coffer.efi");
    application.digest = [0xef; 48];
    vec![
        event(1, SEPARATOR, &[0; 4]),
        event(0, NO_ACTION, b"for your information"),
        application,
        event(2, SEPARATOR, &[0; 4]),
        event(3, EVENT_TAG, b"command line"),
    ]
}

fn registers(events: &[Event]) -> [[u8; 48]; 4] {
    let mut registers = [[0; 48]; 4];
    for event in events.iter().filter(|event| event.kind != NO_ACTION) {
        let register = &mut registers[usize::try_from(event.register).unwrap() - 1];
        *register = extend(register, &event.digest);
    }
    registers
}

/// A scene whose registers are those of `events()`, with a log of what `change` makes of them.
fn with_log(scene: &mut Scene, change: impl FnOnce(&mut Vec<Event>)) {
    scene.td.rtmr = registers(&events());
    let mut events = events();
    change(&mut events);
    scene.event_log = Some(log(&events));
}

#[test]
fn a_log_that_explains_the_registers() {
    accepted(|scene| with_log(scene, |_| {}));
    accepted(|scene| {
        with_log(scene, |_| {});
        scene.policy("logs.event-log = true");
    });
}

#[test]
fn logs_that_were_changed() {
    refused(CheckName::Rtmr1, |scene| with_log(scene, |events| events.swap(2, 3)));
    refused(CheckName::Rtmr2, |scene| {
        with_log(scene, |events| {
            events.pop();
        });
    });
    refused(CheckName::Rtmr0, |scene| with_log(scene, |events| events.push(event(1, EVENT_TAG, b"more"))));
    refused(CheckName::Rtmr1, |scene| with_log(scene, |events| events[2].digest[0] ^= 1));
    refused(CheckName::Rtmr1, |scene| with_log(scene, |events| events[3].kind = NO_ACTION));
    refused(CheckName::Rtmr0, |scene| with_log(scene, |events| events[4].register = 1));
}

#[test]
fn a_register_without_history() {
    let mut scene = Scene::new(BodyKind::V4);
    with_log(&mut scene, |events| events.retain(|event| event.register != 3));
    let judgement = scene.judge();
    crate::scene::fails_first(&judgement, CheckName::Rtmr2);
    assert_eq!(
        crate::scene::check(&judgement, CheckName::Rtmr2).reason,
        "RTMR2 of the quote is not zero, and the log has no event for it"
    );
}

#[test]
fn data_that_are_not_what_was_measured() {
    refused(CheckName::EventLog, |scene| with_log(scene, |events| events[0].data[0] = 1));
    // Nothing binds the data of other types: they are never interpreted.
    let mut scene = Scene::new(BodyKind::V4);
    with_log(&mut scene, |events| events[2].data[0] ^= 1);
    assert!(scene.judge().is_accepted());
    let bytes = scene.event_log.unwrap();
    let bound: Vec<bool> = EventLog::parse(&bytes).unwrap().events().map(|event| event.is_bound()).collect();
    assert_eq!(bound, [true, false, false, true, true]);
}

#[test]
fn logs_of_other_algorithms() {
    for algorithms in [&[(0x0b, 32)][..], &[(0x12, 32)], &[(0x0c, 48), (0x0b, 32)], &[(0x0c, 32)], &[]] {
        refused(CheckName::EventLog, |scene| scene.event_log = Some(header(algorithms)));
    }
}

#[test]
fn registers_that_events_cannot_have() {
    refused(CheckName::EventLog, |scene| with_log(scene, |events| events[2].register = 0));
    refused(CheckName::EventLog, |scene| with_log(scene, |events| events[2].register = 5));
}

#[test]
fn logs_that_go_on_after_their_end() {
    refused(CheckName::EventLog, |scene| {
        with_log(scene, |_| {});
        scene.event_log.as_mut().unwrap().push(0);
    });
    refused(CheckName::EventLog, |scene| {
        with_log(scene, |_| {});
        let log = scene.event_log.as_mut().unwrap();
        let at = log.len() - 10;
        log[at] = 0;
    });
}

#[test]
fn a_log_that_the_policy_asks_for() {
    refused(CheckName::PolicyLogs, |scene| scene.policy("logs.event-log = true"));
    refused(CheckName::PolicyLogs, |scene| scene.policy("logs.runtime-log = true"));
    // Without one, registers are values that a policy can still list.
    accepted(|scene| scene.td.rtmr[2] = [1; 48]);
    let mut scene = Scene::new(BodyKind::V4);
    scene.td.rtmr[2] = [1; 48];
    has_outcome(&scene.judge(), CheckName::Rtmr2, Outcome::NotApplicable);
}

/// A single changed bit is refused, or was in something that is bound to nothing and so means nothing: an event's type or data.
#[test]
fn no_bit_that_means_something_can_be_changed() {
    let bytes = log(&events());
    let original = EventLog::parse(&bytes).unwrap();
    let measured = |log: &EventLog<'_>| -> Vec<(u32, [u8; 48])> {
        log.events()
            .filter(|event| event.is_measured())
            .map(|event| (event.register, *event.digest))
            .collect()
    };
    let mut unnoticed = 0;
    for bit in 0..bytes.len() * 8 {
        let mut mutated = bytes.clone();
        mutated[bit / 8] ^= 1 << (bit % 8);
        let Ok(log) = EventLog::parse(&mutated) else { continue };
        if log.replay() != original.replay() {
            continue;
        }
        unnoticed += 1;
        assert_eq!(measured(&log), measured(&original));
        for (event, original) in log.events().zip(original.events()) {
            if event.is_bound() && original.is_bound() {
                assert_eq!(event.data, original.data, "bit {bit}");
            }
        }
    }
    assert!(unnoticed < bytes.len() * 8 / 3, "{unnoticed} of {} bits", bytes.len() * 8);
}

// The runtime's log.

fn boot(mode: Mode) -> Vec<RuntimeEvent> {
    let owner = match mode {
        Mode::Open => RuntimeEvent::ClientAuthority([3; 48]),
        Mode::Sealed => RuntimeEvent::Workload([4; 48]),
    };
    vec![
        RuntimeEvent::Configuration([1; 48]),
        RuntimeEvent::Mode(mode),
        owner,
        RuntimeEvent::TlsKey([5; 48]),
        RuntimeEvent::BootEnd,
    ]
}

fn container() -> RuntimeEvent {
    RuntimeEvent::ContainerStart(ContainerStart {
        container: [6; 32],
        image: ImageDigest::Sha256([8; 32]),
        manifest: None,
        isolation: Isolation::Confined,
        configuration: [7; 48],
    })
}

/// A machine that has measured `events`.
fn with_events(scene: &mut Scene, events: &[RuntimeEvent]) {
    let mut log = b"coffer-runtime/1".to_vec();
    for (sequence, event) in (0..).zip(events) {
        log.extend_from_slice(event.record(sequence).as_bytes());
    }
    scene.td.rtmr[3] = RuntimeLog::parse(&log).unwrap().replay();
    scene.runtime_log = Some(log);
}

fn running(mode: Mode) -> Vec<RuntimeEvent> {
    let mut events = boot(mode);
    events.push(container());
    events
}

#[test]
fn a_runtime_log_that_explains_rtmr3() {
    accepted(|scene| {
        with_events(scene, &running(Mode::Sealed));
        scene.policy("logs.runtime-log = true");
    });
}

#[test]
fn runtime_logs_that_were_changed() {
    // An entry removed from the end, one removed from the middle, two that changed places, one added.
    refused(CheckName::Rtmr3, |scene| {
        with_events(scene, &running(Mode::Open));
        let register = scene.td.rtmr[3];
        with_events(scene, &boot(Mode::Open));
        scene.td.rtmr[3] = register;
    });
    refused(CheckName::RuntimeLog, |scene| {
        with_events(scene, &running(Mode::Open));
        scene.runtime_log.as_mut().unwrap().drain(16..78);
    });
    refused(CheckName::Rtmr3, |scene| {
        let second = RuntimeEvent::Exec { container: [6; 32], process: [1; 48] };
        with_events(scene, &[running(Mode::Open), vec![second, container()]].concat());
        let register = scene.td.rtmr[3];
        with_events(scene, &[running(Mode::Open), vec![container(), second]].concat());
        scene.td.rtmr[3] = register;
    });
    refused(CheckName::Rtmr3, |scene| {
        with_events(scene, &running(Mode::Open));
        let register = scene.td.rtmr[3];
        with_events(scene, &[running(Mode::Open), vec![container()]].concat());
        scene.td.rtmr[3] = register;
    });
}

/// Whoever extends RTMR3 besides PID 1, a container for instance, leaves a register that no log explains.
#[test]
fn a_register_that_somebody_else_extended() {
    refused(CheckName::Rtmr3, |scene| {
        with_events(scene, &running(Mode::Open));
        scene.td.rtmr[3] = extend(&scene.td.rtmr[3], &[0x66; 48]);
    });
    refused(CheckName::Rtmr3, |scene| {
        scene.td.rtmr[3] = [1; 48];
        scene.runtime_log = Some(b"coffer-runtime/1".to_vec());
    });
}

#[test]
fn what_the_runtime_measured_is_held_against_the_policy() {
    let name = CheckName::PolicyRuntime;
    let wanted = format!(
        "[runtime]\nmodes = ['sealed']\nconfigurations = ['{}']\nworkloads = ['{}']\ncontainer-images = ['sha256:{}']",
        "01".repeat(48),
        "04".repeat(48),
        "08".repeat(32)
    );
    accepted(|scene| {
        scene.policy(&with_image(scene, &wanted));
        with_events(scene, &running(Mode::Sealed));
    });
    refused(name, |scene| scene.policy(&with_image(scene, &wanted)));
    refused(name, |scene| {
        scene.policy(&with_image(scene, &wanted));
        with_events(scene, &running(Mode::Open));
    });
    refused(name, |scene| {
        scene.policy(&with_image(scene, &wanted));
        with_events(scene, &boot(Mode::Sealed)[..4]);
    });
    for (from, to) in [("0101", "1101"), ("0404", "1404"), ("0808", "1808")] {
        refused(name, |scene| {
            scene.policy(&with_image(scene, &wanted.replacen(from, to, 1)));
            with_events(scene, &running(Mode::Sealed));
        });
    }
}

/// Each list alone against the mode that measures no such thing: what is not there is not what is wanted.
#[test]
fn a_list_wants_what_it_is_about() {
    let name = CheckName::PolicyRuntime;
    let workloads = format!("workloads = ['{}']", "04".repeat(48));
    let authorities = format!("client-authorities = ['{}']", "03".repeat(48));
    let with = |scene: &mut Scene, lists: &[&str], mode: Mode| {
        scene.policy(&with_image(scene, &format!("[runtime]\n{}", lists.join("\n"))));
        with_events(scene, &running(mode));
    };
    accepted(|scene| with(scene, &[&workloads], Mode::Sealed));
    refused(name, |scene| with(scene, &[&workloads], Mode::Open));
    accepted(|scene| with(scene, &[&authorities], Mode::Open));
    refused(name, |scene| with(scene, &[&authorities], Mode::Sealed));
    // A machine has one of the two only, so both lists take either, each by its own.
    for mode in [Mode::Open, Mode::Sealed] {
        accepted(|scene| with(scene, &[&workloads, &authorities], mode));
    }
    let others = workloads.replace("04", "03");
    refused(name, |scene| with(scene, &[&others, &authorities], Mode::Sealed));
    // Every mode has a configuration.
    for mode in [Mode::Open, Mode::Sealed] {
        let configurations = format!("configurations = ['{}']", "02".repeat(48));
        refused(name, |scene| with(scene, &[&configurations], mode));
    }
}

/// Files that were put into a container from outside are not its image's: it is not what its image's digest says.
#[test]
fn a_container_whose_contents_were_changed() {
    let with = |scene: &mut Scene, policy: &str, changed: u8, bound_to: u8| {
        let change = RuntimeEvent::ContentsChange { container: [changed; 32], path: [1; 48] };
        let start = |id: u8| {
            let RuntimeEvent::ContainerStart(start) = container() else { return container() };
            RuntimeEvent::ContainerStart(ContainerStart { container: [id; 32], ..start })
        };
        // Before the start of one, and while the other runs.
        with_events(scene, &[boot(Mode::Open), vec![start(6), change, start(7)]].concat());
        scene.policy(&with_image(scene, policy));
        scene.circumstances.bound_to = Some(BoundTo::Container([bound_to; 32]));
    };
    let images = format!("runtime.container-images = ['sha256:{}']", "08".repeat(32));
    for policy in ["", &images] {
        refused(CheckName::PolicyRuntime, |scene| with(scene, policy, 6, 7));
    }
    // Whoever can live with that still does not take such a container for its image.
    let lenient = "runtime.modified-containers = true";
    for (changed, other) in [(6, 7), (7, 6)] {
        accepted(|scene| with(scene, lenient, changed, other));
        refused(CheckName::PolicyBinding, |scene| with(scene, lenient, changed, changed));
    }
}

/// What runs in containers is no matter.
const INDIFFERENT: &str = "[runtime]\nexposed-containers = true\nmodified-containers = true\n";

/// That no container was exposed is a promise of every policy with an image, which only a log keeps; whoever holds the log back gets nowhere.
#[test]
fn a_runtime_log_that_was_kept_back() {
    let exposed = || {
        let RuntimeEvent::ContainerStart(start) = container() else { return container() };
        RuntimeEvent::ContainerStart(ContainerStart { isolation: Isolation::Exposed, ..start })
    };
    let with = |scene: &mut Scene, policy: &str| {
        with_events(scene, &[running(Mode::Open), vec![exposed()]].concat());
        scene.policy(&with_image(scene, policy));
    };
    refused(CheckName::PolicyRuntime, |scene| with(scene, ""));
    refused(CheckName::PolicyRuntime, |scene| {
        with(scene, "");
        scene.runtime_log = None;
    });
    refused(CheckName::PolicyRuntime, |scene| {
        with(scene, "runtime.exposed-containers = true");
        scene.runtime_log = None;
    });
    accepted(|scene| {
        with(scene, INDIFFERENT);
        scene.runtime_log = None;
    });
    // Nor is a log of nothing one: that of a machine which never was one of containers, or was not yet.
    refused(CheckName::PolicyRuntime, |scene| {
        with(scene, "");
        with_events(scene, &[]);
    });
    for length in 0..5 {
        refused(CheckName::PolicyLogs, |scene| {
            scene.policy("logs.runtime-log = true");
            with_events(scene, &boot(Mode::Open)[..length]);
        });
    }
    // A key that no runtime measured is not a listed image's.
    refused(CheckName::PolicyBinding, |scene| {
        scene.policy(&with_image(scene, INDIFFERENT));
        scene.circumstances.bound_to = Some(BoundTo::TlsKey(KEY));
    });
    accepted(|scene| scene.circumstances.bound_to = Some(BoundTo::TlsKey(KEY)));
}

/// A policy that wants the scene's image as well.
fn with_image(scene: &Scene, policy: &str) -> String {
    let (mrtd, rtmr1) = (hex::encode(scene.td.mr_td), hex::encode(scene.td.rtmr[1]));
    format!("{policy}\n[[image]]\nname = 'scene'\nmrtd = ['{mrtd}']\nrtmr1 = ['{rtmr1}']")
}

// What is bound to the machine by its runtime's log.

const KEY: [u8; 48] = [5; 48];

#[test]
fn a_key_that_the_runtime_did_not_measure() {
    let with_key = |scene: &mut Scene, key: [u8; 48]| {
        with_events(scene, &running(Mode::Open));
        scene.circumstances.bound_to = Some(BoundTo::TlsKey(key));
    };
    accepted(|scene| with_key(scene, KEY));
    refused(CheckName::PolicyBinding, |scene| with_key(scene, [6; 48]));
    // Nor may the log be kept back.
    refused(CheckName::PolicyBinding, |scene| {
        with_key(scene, KEY);
        scene.runtime_log = None;
    });
}

#[test]
fn a_container_that_was_never_started_or_may_be_another() {
    let exposed = |image: u8| {
        let RuntimeEvent::ContainerStart(start) = container() else { return container() };
        let image = ImageDigest::Sha256([image; 32]);
        RuntimeEvent::ContainerStart(ContainerStart { image, isolation: Isolation::Exposed, ..start })
    };
    let of = |scene: &mut Scene, id: [u8; 32], more: &[RuntimeEvent]| {
        with_events(scene, &[&running(Mode::Sealed), more].concat());
        scene.circumstances.bound_to = Some(BoundTo::Container(id));
        scene.policy("runtime.exposed-containers = true");
    };
    accepted(|scene| of(scene, [6; 32], &[]));
    refused(CheckName::PolicyBinding, |scene| of(scene, [7; 32], &[]));
    refused(CheckName::PolicyBinding, |scene| of(scene, [6; 32], &[exposed(9)]));
    // Without a word in the policy, none may be exposed.
    refused(CheckName::PolicyRuntime, |scene| {
        with_events(scene, &[running(Mode::Open), vec![exposed(9)]].concat());
    });
}

#[test]
fn an_image_is_listed_by_its_id_or_its_manifest() {
    let listed = |scene: &mut Scene, digit: &str| {
        let RuntimeEvent::ContainerStart(start) = container() else { return };
        let manifest = Some(ImageDigest::Sha256([0x99; 32]));
        let start = RuntimeEvent::ContainerStart(ContainerStart { manifest, ..start });
        with_events(scene, &[boot(Mode::Open), vec![start]].concat());
        let wanted = format!("[runtime]\ncontainer-images = ['sha256:{}']", digit.repeat(32));
        scene.policy(&with_image(scene, &wanted));
    };
    accepted(|scene| listed(scene, "08"));
    accepted(|scene| listed(scene, "99"));
    refused(CheckName::PolicyRuntime, |scene| listed(scene, "98"));
}
