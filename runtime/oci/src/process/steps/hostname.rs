//! The host name, in the container's own uts namespace.

use oci_spec::runtime::Spec;

use crate::Error;

pub fn set(spec: &Spec) -> Result<(), Error> {
    let Some(name) = spec.hostname() else { return Ok(()) };
    rustix::system::sethostname(name.as_bytes()).map_err(Error::system("set the host name"))
}
