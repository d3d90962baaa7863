//! From the first instruction to power-off: the phases by name, in order, and nothing else.
//!
//! There are two kinds of machine. The host's first line on the control port chooses; a machine without that port is the second.
//! The first kind runs the one container that the attached image describes. The second, an engine machine, is configured by its
//! disk and driven over its network.

use std::process::ExitCode;

use runtime_control::{Command, Run};
use runtime_sys::signal::SignalPipe;

use crate::control::{Control, Outcome};
use crate::error::Error;
use crate::phases::{
    configuration, container, host, image, layers, measurement, mounts, network, services, signals,
};
use crate::shutdown;

/// Runs all phases. Returns only when the machine cannot be powered off.
pub fn run() -> ExitCode {
    let result = mounts::mount_all().and_then(|()| signals::catch());
    let signals = match result {
        Ok(signals) => signals,
        Err(error) => return shutdown::after_error(&error),
    };
    let Some(mut control) = host::connect() else {
        return match serve(None, &signals) {
            Ok(()) => shutdown::power_off(),
            Err(error) => shutdown::after_error(&error),
        };
    };

    match host::first_command(&mut control, &signals) {
        Ok(Command::Run(request)) => {
            let result = run_container(&request, &mut control, &signals);
            control.finish(result);
        }
        Ok(Command::Engine(_)) => {
            if let Err(error) = serve(Some(&mut control), &signals) {
                control.finish(Err(error));
            }
        }
        Ok(_) => {
            control.finish(Err(Error::Request("the first line is neither `run` nor `engine`".to_owned())));
        }
        Err(error) => control.finish(Err(error)),
    }
    shutdown::power_off()
}

/// One container. The value is how it ended.
fn run_container(request: &Run, control: &mut Control, signals: &SignalPipe) -> Result<Outcome, Error> {
    control.phase("mounts")?;
    control.phase("request")?;

    control.phase("image")?;
    let image = image::open(request)?;

    control.phase("layers")?;
    let layers = layers::unpack(&image, control)?;

    control.phase("network")?;
    network::bring_up_loopback()?;

    control.phase("container")?;
    container::run(request, &image, &layers, control, signals)
}

/// An engine machine, until it is told to power off.
fn serve(mut control: Option<&mut Control>, signals: &SignalPipe) -> Result<(), Error> {
    host::tell(&mut control, "configuration");
    let mut log = measurement::begin()?;
    let (configuration, digest) = configuration::load(&mut log)?;
    measurement::settle(&mut log, &configuration)?;

    host::tell(&mut control, "network");
    let network = network::bring_up(&configuration)?;

    host::tell(&mut control, "services");
    services::run(&digest, network, log, &mut control, signals)?;

    host::tell(&mut control, "shutdown");
    shutdown::end_processes(signals);
    Ok(())
}
