//! The host and domain names, in the container's own uts namespace.

use oci_spec::runtime::Spec;

use crate::Error;

pub fn set(spec: &Spec) -> Result<(), Error> {
    if let Some(name) = spec.hostname() {
        rustix::system::sethostname(name.as_bytes()).map_err(Error::system("set the host name"))?;
    }
    if let Some(name) = spec.domainname() {
        rustix::system::setdomainname(name.as_bytes()).map_err(Error::system("set the domain name"))?;
    }
    Ok(())
}
