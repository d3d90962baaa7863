//! What a machine has measured of itself, as a container sees it that is given the log: on a plain machine there is the log alone.

use anyhow::{Context as _, ensure};
use attestation_evidence::{ContainerStart, ImageDigest, Isolation, Mode, RuntimeEvent, RuntimeLog};
use attestation_verify::subject_public_key_info;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_images::small;
use sha2::{Digest as _, Sha384};

use crate::{Docker, Machine};

/// The log tells of configuration, mode, authority and key, in this order, and of the key that clients see.
///
/// # Errors
/// If it does not.
pub fn boot_phase(machine: &Machine, docker: &Docker) -> anyhow::Result<()> {
    let archive = docker.folder().join("measured.tar");
    small::busybox()?.docker_archive().write_tar(&archive)?;
    docker.ok(&["load", "--quiet", "--input", &archive.to_string_lossy()])?;
    docker.ok(&["run", "--rm", "--name", "first", "test:latest", "true"])?;
    let mount = ["run", "--rm", "--volume", "/run/coffer:/machine:ro", "test:latest"];
    let text = docker.ok(&[&mount[..], &["base64", "/machine/runtime.log"]].concat())?;
    let bytes = STANDARD.decode(text.split_whitespace().collect::<String>()).context("no base64")?;
    let log = RuntimeLog::parse(&bytes).context("the machine's log is none")?;
    ensure!(log.is_booted(), "the boot phase has not ended: {:?}", log.records().collect::<Vec<_>>());

    let events: Vec<RuntimeEvent> = log.records().map(|(event, _)| event).collect();
    let [configuration, mode, authority, key, end, first, second] = events.as_slice() else {
        anyhow::bail!("not as many events as there should be: {events:?}")
    };
    ensure!(matches!(configuration, RuntimeEvent::Configuration(_)), "{configuration:?}");
    ensure!(*mode == RuntimeEvent::Mode(Mode::Open), "{mode:?}");
    // `coffer launch` names one.
    ensure!(
        matches!(authority, RuntimeEvent::ClientAuthority(digest) if *digest != [0; 48]),
        "{authority:?}"
    );
    let certificate = std::fs::read(machine.certificates().join("ca.pem"))?;
    let certificate = pem::parse(certificate).context("the server's certificate is not PEM")?;
    let public_key = subject_public_key_info(certificate.contents()).map_err(anyhow::Error::msg)?;
    let expected = RuntimeEvent::TlsKey(Sha384::digest(public_key).into());
    ensure!(*key == expected, "the log has {key:?}, clients see {expected:?}");
    ensure!(*end == RuntimeEvent::BootEnd, "{end:?}");
    // Two containers of one image; the second sees its own start, which was measured before.
    let (
        RuntimeEvent::ContainerStart(ContainerStart {
            image, manifest, isolation, configuration: one, ..
        }),
        RuntimeEvent::ContainerStart(ContainerStart {
            image: same,
            isolation: given,
            configuration: other,
            ..
        }),
    ) = (first, second)
    else {
        anyhow::bail!("no starts: {first:?}, {second:?}")
    };
    let id = docker.ok(&["image", "inspect", "--format", "{{.Id}}", "test:latest"])?;
    let is_id = matches!(image, ImageDigest::Sha256(digest) if format!("sha256:{}", hex(digest)) == id);
    ensure!(is_id && image == same && one != other && manifest.is_none(), "{first:?}, {second:?}, of {id}");
    // The second was given a folder of the machine.
    ensure!((*isolation, *given) == (Isolation::Confined, Isolation::Exposed), "{first:?}, {second:?}");
    Ok(())
}

/// Nothing leaves the initial pid namespace but containers whose start was measured; inside of one, namespaces are its own affair.
///
/// # Errors
/// If something does, or a container cannot have its own.
pub fn leave_of_the_initial_namespace(docker: &Docker) -> anyhow::Result<()> {
    const TWICE: &str = "unshare -p -f true && unshare -p -f echo left";
    let unshare = ["--cap-add", "SYS_ADMIN", "test:latest", "sh", "-c", TWICE];
    let inside = docker.ok(&[&["run", "--rm"][..], &unshare].concat())?;
    ensure!(inside.trim() == "left", "{inside:?}");
    // There is leave for one: its own start, which was measured, and for which it did not have to leave.
    let outside = docker.run(&[&["run", "--rm", "--pid", "host"][..], &unshare].concat())?;
    ensure!(outside.code != Some(0) && outside.stderr.contains("not permitted"), "{outside:?}");
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
