//! Services: keep the engine running, measure what it is about to do, keep the network configured, until somebody says that it is enough.

use std::time::{Duration, Instant};

use runtime_control::Command;
use runtime_measure::Log;
use runtime_sys::signal::SignalPipe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::system::RebootCommand;

use super::network::Network;
use super::signals::{SIGINT, SIGTERM};
use crate::control::Control;
use crate::error::Error;
use crate::supervise::Service;

/// How often a control port without a host is looked at: it polls as hung up, so that only time can tell.
const PORT_PAUSE: Duration = Duration::from_millis(500);

/// The longest sleep.
const TICK: Duration = Duration::from_secs(3600);

/// Runs until SIGTERM, ctrl-alt-del (which arrives as SIGINT) or the host's `power_off`. The engine takes the configuration with the digest that
/// was measured, and no other.
pub fn run(
    configuration: &[u8; 48],
    mut network: Network,
    mut log: Log,
    control: &mut Option<&mut Control>,
    signals: &SignalPipe,
) -> Result<(), Error> {
    // Without CAP_SYS_BOOT, in a test, the machine reacts to the keys itself.
    let _ = rustix::system::reboot(RebootCommand::CadOff);
    let mut engine = Service::new("engine", vec![hex::encode(configuration)]);
    loop {
        if signals.take().iter().any(|&signal| signal == SIGTERM || signal == SIGINT)
            || is_told_to_stop(control)
        {
            engine.stop();
            return Ok(());
        }
        // What goes wrong with the network now is no reason to take the containers down.
        if let Err(error) = network.tend() {
            eprintln!("coffer: {error}");
        }
        engine.tend(Instant::now());
        if let Some(questions) = engine.channel() {
            questions.answer(&mut log);
        }
        wait(&network, control.as_deref(), &engine, signals);
    }
}

/// Reads what the host says. A host that is gone may come back; one that makes no sense is not listened to any more.
fn is_told_to_stop(control: &mut Option<&mut Control>) -> bool {
    let Some(port) = control.as_mut() else { return false };
    port.reopen();
    loop {
        match port.next_command() {
            Ok(Some(Command::PowerOff(_))) => return true,
            // A host that connects again introduces itself again.
            Ok(Some(Command::Engine(_))) => {}
            Ok(Some(_)) => eprintln!("coffer: an engine machine knows `power_off` only"),
            Ok(None) => return false,
            Err(error) => {
                eprintln!("coffer: {error}");
                *control = None;
                return false;
            }
        }
    }
}

fn wait(network: &Network, control: Option<&Control>, engine: &Service, signals: &SignalPipe) {
    let now = Instant::now();
    let mut timeout = TICK;
    let mut until = |deadline: Instant| timeout = timeout.min(deadline.saturating_duration_since(now));
    let mut wanted = vec![PollFd::new(signals, PollFlags::IN)];
    if let Some((socket, deadline)) = network.wanted() {
        wanted.push(socket);
        until(deadline);
    }
    if let Some(questions) = engine.channel() {
        wanted.push(PollFd::new(questions, PollFlags::IN));
    }
    if let Some(deadline) = engine.deadline() {
        until(deadline);
    }
    match control.map(Control::to_poll) {
        Some(Some(port)) => wanted.push(PollFd::new(port, PollFlags::IN)),
        Some(None) => until(now + PORT_PAUSE),
        None => {}
    }
    // Ready, timed out or interrupted: the loop looks at everything.
    let _ = poll(&mut wanted, Timespec::try_from(timeout).ok().as_ref());
}
