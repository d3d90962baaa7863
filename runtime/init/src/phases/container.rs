//! Container: create, start, forward, wait, remove; as often as the host asked for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use runtime_control::{Event, Run};
use runtime_image::{Image, Snapshot};
use runtime_oci::root::Root;
use runtime_oci::spec::{self, Place, Wishes};
use runtime_oci::terminal::Terminal;
use runtime_oci::{Bundle, Container};
use runtime_sys::signal::SignalPipe;
use rustix::rand::GetRandomFlags;

use super::layers::FOLDER;
use crate::control::{Control, Outcome};
use crate::error::Error;
use crate::forward::{Forwarder, HostStreams};

/// Runs the container; returns how it, or the last one, ended.
pub fn run(
    request: &Run,
    image: &Image,
    layers: &[PathBuf],
    control: &mut Control,
    signals: &SignalPipe,
) -> Result<Outcome, Error> {
    let host = HostStreams::open()?;
    let containers = Path::new(FOLDER).join("containers");
    fs::create_dir_all(&containers).map_err(Error::system("create the folder of the containers"))?;
    let rounds = request.repeat.unwrap_or(1).max(1);
    let mut code = 0;
    for round in 1..=rounds {
        let id = random_id()?;
        let snapshot = Snapshot::mount(&containers.join(&id), layers)?;
        let ended = run_one(&id, &snapshot, request, image, &host, control, signals);
        let removed = snapshot.remove();
        code = ended?;
        removed?;
        if rounds > 1 {
            control.send(&Event::Round { n: round, code })?;
        }
    }
    Ok(Outcome { code, stdout: host.sent_stdout.get(), stderr: host.sent_stderr.get() })
}

/// One container from creation to exit code.
fn run_one(
    id: &str,
    snapshot: &Snapshot,
    request: &Run,
    image: &Image,
    host: &HostStreams,
    control: &mut Control,
    signals: &SignalPipe,
) -> Result<u8, Error> {
    let wishes = wishes(request);
    let mut terminal = match wishes.terminal {
        Some(window) => {
            let terminal = Terminal::open(&snapshot.folder().join("pts"))?;
            terminal.resize(window)?;
            Some(terminal)
        }
        None => None,
    };
    let root = Root::new(snapshot.root());
    let pty_folder = terminal.as_ref().map(Terminal::folder);
    let spec = spec::build(&image.config, &wishes, Place { id, root: &root, pty_folder })?;

    let (mut forwarder, stdio) = Forwarder::connect(host, terminal.as_ref())?;
    let mut container = Container::create(Bundle { spec: &spec, stdio })?;
    if let Some(terminal) = &mut terminal {
        terminal.detach()?;
    }
    container.start()?;
    control.send(&Event::Started { pid: container.pid().as_raw_nonzero().get() })?;
    let code = forwarder.run(&container, terminal.as_ref(), control, signals)?;
    forwarder.count(host);
    Ok(code)
}

fn wishes(request: &Run) -> Wishes {
    Wishes {
        args: request.args.clone(),
        entrypoint: request.entrypoint.clone(),
        env: request.env.clone(),
        user: request.user.clone(),
        working_directory: request.workdir.clone(),
        hostname: request.hostname.clone(),
        terminal: request.tty.map(|size| spec::Window { rows: size.rows, columns: size.cols }),
        is_read_only: request.read_only,
        no_new_privileges: request.no_new_privileges,
        ..Wishes::default()
    }
}

/// 64 hex digits that no other container has.
fn random_id() -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    match rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(count) if count == bytes.len() => {}
        // Early in the life of a machine the call may be cut short; the device never is.
        _ => {
            use std::io::Read;
            let mut device = File::open("/dev/urandom").map_err(Error::system("open `/dev/urandom`"))?;
            device.read_exact(&mut bytes).map_err(Error::system("read `/dev/urandom`"))?;
        }
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
