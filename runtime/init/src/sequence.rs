//! From the first instruction to power-off: the phases by name, in order, and nothing else.

use std::process::ExitCode;

use crate::control::{Control, Outcome};
use crate::error::Error;
use crate::phases::{container, host, image, layers, mounts, signals};
use crate::shutdown;

/// Runs all phases. Returns only when the machine cannot be powered off.
pub fn run() -> ExitCode {
    let result = mounts::mount_all().and_then(|()| signals::catch());
    let signals = match result {
        Ok(signals) => signals,
        Err(error) => return shutdown::after_error(&error),
    };
    let Some(mut control) = host::connect() else {
        return shutdown::when_asked(&signals);
    };

    let result = serve(&mut control, &signals);
    control.finish(result);
    shutdown::power_off()
}

/// The phases that have a host to tell about them. The value is how the container ended.
fn serve(control: &mut Control, signals: &runtime_sys::signal::SignalPipe) -> Result<Outcome, Error> {
    control.phase("mounts")?;
    control.phase("request")?;
    let request = host::request(control, signals)?;

    control.phase("image")?;
    let image = image::open(&request)?;

    control.phase("layers")?;
    let layers = layers::unpack(&image, control)?;

    control.phase("container")?;
    container::run(&request, &image, &layers, control, signals)
}
