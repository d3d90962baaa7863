//! From an image's configuration and the user's wishes to an OCI runtime [`Spec`].
//!
//! The rules are docker's. The result is complete: numeric ids, absolute paths, every default written out, so that it can be stored,
//! measured or handed to another runtime.

mod defaults;

use std::path::Path;

use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::{
    Box as ConsoleSize, BoxBuilder, LinuxBuilder, LinuxCapabilities, LinuxCapabilitiesBuilder,
    LinuxNamespaceBuilder, LinuxNamespaceType, ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use crate::Error;
use crate::root::Root;
use crate::user::{self, Identity};

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// What the user asks for beside the image. Everything absent comes from the image or from docker's defaults.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// In place of the image's cmd.
    pub args: Option<Vec<String>>,
    /// In place of the image's entrypoint; the image's cmd is then not used either.
    pub entrypoint: Option<Vec<String>>,
    /// `K=V` sets, `K` alone removes.
    pub env: Vec<String>,
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    pub working_directory: Option<String>,
    pub hostname: Option<String>,
    pub terminal: Option<Window>,
    pub is_read_only: bool,
    pub no_new_privileges: bool,
}

/// Where a container is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// 64 hex digits; the first 12 are the default host name.
    pub id: &'a str,
    /// The container's root file system, mounted and complete.
    pub root: &'a Root,
    /// The folder with the devpts of the container's terminal.
    pub pty_folder: Option<&'a Path>,
}

/// Makes the runtime configuration.
///
/// # Errors
///
/// What is wrong with the image's configuration or the wishes; nothing has happened then.
pub fn build(config: &ImageConfiguration, wishes: &Wishes, place: Place<'_>) -> Result<Spec, Error> {
    let config = config.config().as_ref();
    let args = command(config, wishes)?;
    let user =
        wishes.user.as_deref().or(config.and_then(|config| config.user().as_deref())).unwrap_or_default();
    let identity = user::resolve(user, place.root)?;
    let hostname = host_name(wishes, place.id)?;
    let image_env = config.and_then(|config| config.env().as_deref()).unwrap_or_default();
    let env = environment(image_env, wishes, &hostname, &identity);
    let directory = working_directory(config.and_then(|config| config.working_dir().as_deref()), wishes)?;
    if args.iter().chain(&env).any(|text| text.contains('\0')) {
        return Err(Error::Nul { what: "command or environment" });
    }

    let incomplete = |_| Error::Incomplete("process");
    let mut process = ProcessBuilder::default()
        .terminal(wishes.terminal.is_some())
        .user(
            UserBuilder::default()
                .uid(identity.uid)
                .gid(identity.gid)
                .umask(0o022_u32)
                .additional_gids(identity.additional_gids)
                .build()
                .map_err(incomplete)?,
        )
        .args(args)
        .env(env)
        .cwd(directory)
        .capabilities(capabilities(identity.uid)?)
        .rlimits(defaults::limits()?)
        .no_new_privileges(wishes.no_new_privileges);
    if let Some(window) = wishes.terminal {
        process = process.console_size(console_size(window)?);
    }

    let root = RootBuilder::default().path(place.root.path()).readonly(wishes.is_read_only).build();
    SpecBuilder::default()
        .version("1.2.0")
        .root(root.map_err(|_| Error::Incomplete("root"))?)
        .mounts(defaults::mounts(place.pty_folder)?)
        .process(process.build().map_err(incomplete)?)
        .hostname(hostname)
        .linux(linux()?)
        .build()
        .map_err(|_| Error::Incomplete("spec"))
}

fn linux() -> Result<oci_spec::runtime::Linux, Error> {
    let kinds = [
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Ipc,
    ];
    let namespaces = kinds.into_iter().map(|kind| LinuxNamespaceBuilder::default().typ(kind).build());
    LinuxBuilder::default()
        .namespaces(
            namespaces.collect::<Result<Vec<_>, _>>().map_err(|_| Error::Incomplete("linux.namespaces"))?,
        )
        .masked_paths(defaults::MASKED.map(String::from))
        .readonly_paths(defaults::READ_ONLY.map(String::from))
        .build()
        .map_err(|_| Error::Incomplete("linux"))
}

fn console_size(window: Window) -> Result<ConsoleSize, Error> {
    let size = BoxBuilder::default().height(window.rows).width(window.columns).build();
    size.map_err(|_| Error::Incomplete("process.consoleSize"))
}

/// Entrypoint and cmd in a row.
fn command(config: Option<&oci_spec::image::Config>, wishes: &Wishes) -> Result<Vec<String>, Error> {
    let image_entrypoint = config.and_then(|config| config.entrypoint().clone());
    let image_cmd = config.and_then(|config| config.cmd().clone());
    let (entrypoint, cmd) = match &wishes.entrypoint {
        Some(entrypoint) => (Some(entrypoint.clone()), wishes.args.clone()),
        None => (image_entrypoint, wishes.args.clone().or(image_cmd)),
    };
    let command: Vec<String> = [entrypoint, cmd].into_iter().flatten().flatten().collect();
    if command.is_empty() { Err(Error::NoCommand) } else { Ok(command) }
}

fn host_name(wishes: &Wishes, id: &str) -> Result<String, Error> {
    let name = wishes.hostname.clone().unwrap_or_else(|| id.chars().take(12).collect());
    // 64 bytes is Linux's __NEW_UTS_LEN.
    let is_valid = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if is_valid { Ok(name) } else { Err(Error::HostName(name.escape_debug().take(100).collect())) }
}

/// PATH, HOSTNAME, TERM and HOME of docker, overridden by the image, overridden by the user.
fn environment(image: &[String], wishes: &Wishes, hostname: &str, identity: &Identity) -> Vec<String> {
    let mut env = vec![defaults::PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if wishes.terminal.is_some() {
        env.push("TERM=xterm".to_owned());
    }
    for wish in image.iter().chain(&wishes.env) {
        let key = key_of(wish);
        let place = env.iter().position(|have| key_of(have) == key);
        match (wish.contains('='), place) {
            (true, Some(place)) => env[place].clone_from(wish),
            (true, None) => env.push(wish.clone()),
            (false, Some(place)) => drop(env.remove(place)),
            (false, None) => {}
        }
    }
    if !env.iter().any(|have| key_of(have) == "HOME") {
        env.push(format!("HOME={}", identity.home));
    }
    env
}

fn key_of(variable: &str) -> &str {
    variable.split('=').next().unwrap_or_default()
}

fn working_directory(image: Option<&str>, wishes: &Wishes) -> Result<String, Error> {
    let directory =
        wishes.working_directory.as_deref().or(image).filter(|path| !path.is_empty()).unwrap_or("/");
    if directory.starts_with('/') && !directory.contains('\0') {
        Ok(directory.to_owned())
    } else {
        Err(Error::WorkingDirectory(directory.escape_debug().take(100).collect()))
    }
}

/// Root gets docker's set; everybody else gets none, but may still gain them through set-id files.
fn capabilities(uid: u32) -> Result<LinuxCapabilities, Error> {
    let builder = LinuxCapabilitiesBuilder::default().bounding(defaults::capabilities());
    // The builder's defaults are not empty, so each set is named.
    let (effective, permitted) =
        if uid == 0 { (defaults::capabilities(), defaults::capabilities()) } else { Default::default() };
    builder
        .effective(effective)
        .permitted(permitted)
        .inheritable(oci_spec::runtime::Capabilities::new())
        .ambient(oci_spec::runtime::Capabilities::new())
        .build()
        .map_err(|_| Error::Incomplete("process.capabilities"))
}

#[cfg(test)]
mod tests;
