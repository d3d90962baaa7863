//! From an image's configuration and the user's wishes to an OCI runtime [`Spec`].
//!
//! The rules are docker's. The result is complete: numeric ids, absolute paths, every default written out, so that it can be stored,
//! measured or handed to another runtime.

pub mod defaults;
mod devices;
pub mod profile;
mod seccomp;

use std::path::{Path, PathBuf};

use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::{
    Box as ConsoleSize, BoxBuilder, Capabilities, LinuxBuilder, LinuxCapabilities, LinuxCapabilitiesBuilder,
    LinuxNamespaceBuilder, LinuxNamespaceType, Mount, PosixRlimit, Process, ProcessBuilder, RootBuilder,
    Spec, SpecBuilder, UserBuilder,
};

use crate::Error;
use crate::root::Root;
use crate::user::{self, Identity};

pub use self::profile::Profile;

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
    pub domainname: Option<String>,
    /// Names with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    /// Groups of the process beside those of its user, names or numbers.
    pub group_add: Vec<String>,
    /// Further mounts, after the default ones; one at the place of a default one replaces it.
    pub mounts: Vec<Mount>,
    /// Limits beside and in place of the default ones.
    pub limits: Vec<PosixRlimit>,
    pub filter: Filter,
    pub network: Network,
    pub pids: Sharing,
    pub ipc: Sharing,
    /// The folder of its control group, which is there; and whose view of all groups it has.
    pub cgroup: Option<PathBuf>,
    pub cgroups: Sharing,
    /// Every capability, device and system call, and nothing hidden.
    pub is_privileged: bool,
    /// The size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// In place of docker's lists.
    pub masked_paths: Option<Vec<String>>,
    pub readonly_paths: Option<Vec<String>>,
    pub oom_score_adj: Option<i32>,
    /// A static program, here, that becomes pid 1 and runs the command as its child (`docker run --init`).
    pub init: Option<PathBuf>,
}

/// Whose namespace of a kind a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    #[default]
    Own,
    /// The machine's.
    Host,
    /// The one that this path names.
    Of(PathBuf),
}

/// Which system calls a container may make.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Filter {
    /// Those that docker allows.
    #[default]
    Usual,
    /// All of them.
    None,
    Profile(Profile),
}

/// Which network a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The machine's own.
    #[default]
    Host,
    /// One of its own, with a loopback link that is down.
    Own,
    /// The one that this path names.
    Of(PathBuf),
}

/// What a process that joins a container is to be.
#[derive(Clone, Debug, Default)]
pub struct ExecWishes {
    pub args: Vec<String>,
    /// The container's own environment, without what docker adds.
    pub base_env: Vec<String>,
    pub env: Vec<String>,
    pub user: String,
    pub group_add: Vec<String>,
    pub working_directory: Option<String>,
    pub terminal: Option<Window>,
    /// Every capability.
    pub is_privileged: bool,
}

/// Where the init program is in a container that has one.
pub(crate) const INIT: &str = "/sbin/docker-init";

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
    let mut args = command(config, wishes)?;
    if wishes.init.is_some() {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let user =
        wishes.user.as_deref().or(config.and_then(|config| config.user().as_deref())).unwrap_or_default();
    let mut identity = user::resolve(user, place.root)?;
    identity.additional_gids.extend(user::resolve_groups(&wishes.group_add, place.root)?);
    let hostname = host_name(wishes, place.id)?;
    let image_env = config.and_then(|config| config.env().as_deref()).unwrap_or_default();
    let env = environment(image_env, &wishes.env, wishes.terminal.is_some(), &hostname, &identity);
    let directory = working_directory(config.and_then(|config| config.working_dir().as_deref()), wishes)?;
    if args.iter().chain(&env).any(|text| text.contains('\0')) {
        return Err(Error::Nul { what: "command or environment" });
    }

    let incomplete = |_| Error::Incomplete("process");
    let mut process = ProcessBuilder::default()
        .terminal(wishes.terminal.is_some())
        .user(user_of(&identity)?)
        .args(args)
        .env(env)
        .cwd(directory)
        .capabilities(capabilities(identity.uid, wishes)?)
        .rlimits(limits(wishes)?)
        .no_new_privileges(wishes.no_new_privileges);
    if let Some(window) = wishes.terminal {
        process = process.console_size(console_size(window)?);
    }
    if let Some(adjustment) = wishes.oom_score_adj {
        process = process.oom_score_adj(adjustment);
    }

    let root = RootBuilder::default().path(place.root.path()).readonly(wishes.is_read_only).build();
    let mut spec = SpecBuilder::default()
        .version("1.2.0")
        .root(root.map_err(|_| Error::Incomplete("root"))?)
        .mounts(mounts(wishes, place.pty_folder)?)
        .process(process.build().map_err(incomplete)?)
        .hostname(hostname)
        .linux(linux(wishes)?);
    if let Some(domainname) = &wishes.domainname {
        spec = spec.domainname(domainname.clone());
    }
    spec.build().map_err(|_| Error::Incomplete("spec"))
}

/// Makes the configuration of a process that joins the container of `spec`.
///
/// # Errors
///
/// What is wrong with the wishes.
pub fn exec(spec: &Spec, wishes: &ExecWishes, root: &Root) -> Result<Process, Error> {
    let first = spec.process().as_ref().ok_or(Error::Incomplete("process"))?;
    let mut identity = user::resolve(&wishes.user, root)?;
    identity.additional_gids.extend(user::resolve_groups(&wishes.group_add, root)?);
    let hostname = spec.hostname().clone().unwrap_or_default();
    let env = environment(&wishes.base_env, &wishes.env, wishes.terminal.is_some(), &hostname, &identity);
    if wishes.args.first().is_none_or(String::is_empty) {
        return Err(Error::NoCommand);
    }
    if wishes.args.iter().chain(&env).any(|text| text.contains('\0')) {
        return Err(Error::Nul { what: "command or environment" });
    }
    let directory = match &wishes.working_directory {
        Some(directory) if !directory.is_empty() => absolute(directory)?,
        _ => first.cwd().display().to_string(),
    };
    // A process of root gets what the bounding set of the container has, whoever the container's own user is.
    let mut capabilities = first.capabilities().clone().unwrap_or_default();
    if wishes.is_privileged {
        capabilities.set_bounding(Some(defaults::all_capabilities()));
    }
    let bounding = capabilities.bounding().clone().unwrap_or_default();
    let held = if identity.uid == 0 { bounding } else { Capabilities::new() };
    capabilities.set_effective(Some(held.clone()));
    capabilities.set_permitted(Some(held));

    let mut process = first.clone();
    process.set_user(user_of(&identity)?);
    process.set_args(Some(wishes.args.clone()));
    process.set_env(Some(env));
    process.set_cwd(directory.into());
    process.set_capabilities(Some(capabilities));
    process.set_terminal(Some(wishes.terminal.is_some()));
    process.set_console_size(wishes.terminal.map(console_size).transpose()?);
    Ok(process)
}

fn user_of(identity: &Identity) -> Result<oci_spec::runtime::User, Error> {
    UserBuilder::default()
        .uid(identity.uid)
        .gid(identity.gid)
        .umask(0o022_u32)
        .additional_gids(identity.additional_gids.clone())
        .build()
        .map_err(|_| Error::Incomplete("process.user"))
}

fn linux(wishes: &Wishes) -> Result<oci_spec::runtime::Linux, Error> {
    let mut kinds = vec![(LinuxNamespaceType::Mount, None), (LinuxNamespaceType::Uts, None)];
    for (kind, sharing) in [(LinuxNamespaceType::Ipc, &wishes.ipc), (LinuxNamespaceType::Pid, &wishes.pids)] {
        match sharing {
            Sharing::Host => {}
            Sharing::Own => kinds.push((kind, None)),
            Sharing::Of(path) => kinds.push((kind, Some(path))),
        }
    }
    if wishes.cgroup.is_some() && wishes.cgroups == Sharing::Own {
        kinds.push((LinuxNamespaceType::Cgroup, None));
    }
    match &wishes.network {
        Network::Host => {}
        Network::Own => kinds.push((LinuxNamespaceType::Network, None)),
        Network::Of(path) => kinds.push((LinuxNamespaceType::Network, Some(path))),
    }
    let namespaces = kinds.into_iter().map(|(kind, path)| {
        let builder = LinuxNamespaceBuilder::default().typ(kind);
        match path {
            Some(path) => builder.path(path.clone()).build(),
            None => builder.build(),
        }
    });
    let list = |wished: &Option<Vec<String>>, default: &[&str]| {
        let default = if wishes.is_privileged { &[] } else { default };
        wished.clone().unwrap_or_else(|| default.iter().map(ToString::to_string).collect())
    };
    let mut linux = LinuxBuilder::default();
    let wanted = changed(defaults::capabilities(), wishes)?;
    match &wishes.filter {
        Filter::Usual if wishes.is_privileged => {}
        Filter::Usual => linux = linux.seccomp(seccomp::default_filter(&wanted)?),
        Filter::None => {}
        Filter::Profile(profile) => linux = linux.seccomp(profile.filter(&wanted)?),
    }
    if let Some(cgroup) = &wishes.cgroup {
        linux = linux.cgroups_path(cgroup.clone());
    }
    if wishes.is_privileged {
        linux = linux.devices(devices::of_machine()?).resources(devices::all_allowed()?);
    }
    linux
        .namespaces(
            namespaces.collect::<Result<Vec<_>, _>>().map_err(|_| Error::Incomplete("linux.namespaces"))?,
        )
        .masked_paths(list(&wishes.masked_paths, &defaults::MASKED))
        .readonly_paths(list(&wishes.readonly_paths, &defaults::READ_ONLY))
        .build()
        .map_err(|_| Error::Incomplete("linux"))
}

/// The default mounts, but for those that the user puts something else at, then the user's, parents before what is in them.
fn mounts(wishes: &Wishes, pty_folder: Option<&Path>) -> Result<Vec<Mount>, Error> {
    let mut mounts = defaults::mounts(pty_folder, wishes.shm_size)?;
    if wishes.cgroup.is_some() {
        mounts.push(defaults::cgroup()?);
    }
    if wishes.is_privileged {
        mounts.iter_mut().try_for_each(defaults::make_writable)?;
    }
    let mut wished = wishes.mounts.clone();
    if let Some(init) = &wishes.init {
        wished.push(defaults::mount(INIT, "bind", init, &["bind", "ro"])?);
    }
    mounts.retain(|mount| wished.iter().all(|other| other.destination() != mount.destination()));
    wished.sort_by_key(|mount| mount.destination().components().count());
    mounts.extend(wished);
    Ok(mounts)
}

fn limits(wishes: &Wishes) -> Result<Vec<PosixRlimit>, Error> {
    let mut limits = defaults::limits()?;
    limits.retain(|limit| wishes.limits.iter().all(|other| other.typ() != limit.typ()));
    limits.extend(wishes.limits.iter().copied());
    Ok(limits)
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
fn environment(
    image: &[String],
    wishes: &[String],
    has_terminal: bool,
    hostname: &str,
    identity: &Identity,
) -> Vec<String> {
    let mut env = vec![defaults::PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if has_terminal {
        env.push("TERM=xterm".to_owned());
    }
    for wish in image.iter().chain(wishes) {
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
    absolute(directory)
}

fn absolute(directory: &str) -> Result<String, Error> {
    if directory.starts_with('/') && !directory.contains('\0') {
        Ok(directory.to_owned())
    } else {
        Err(Error::WorkingDirectory(directory.escape_debug().take(100).collect()))
    }
}

/// Root gets docker's set as the user changed it; everybody else gets none, but may still gain them through set-id files.
fn capabilities(uid: u32, wishes: &Wishes) -> Result<LinuxCapabilities, Error> {
    let wanted = changed(defaults::capabilities(), wishes)?;
    let builder = LinuxCapabilitiesBuilder::default().bounding(wanted.clone());
    // The builder's defaults are not empty, so each set is named.
    let (effective, permitted) = if uid == 0 { (wanted.clone(), wanted) } else { Default::default() };
    builder
        .effective(effective)
        .permitted(permitted)
        .inheritable(Capabilities::new())
        .ambient(Capabilities::new())
        .build()
        .map_err(|_| Error::Incomplete("process.capabilities"))
}

/// Adds and drops, by docker's rules: with `ALL` added the others are dropped from all, with `ALL` dropped only what is added is left;
/// otherwise first the drops, then the additions.
fn changed(default: Capabilities, wishes: &Wishes) -> Result<Capabilities, Error> {
    let parse = |what: &'static str, names: &[String]| -> Result<(bool, Capabilities), Error> {
        let mut capabilities = Capabilities::new();
        let mut all = false;
        for name in names {
            let upper = name.to_ascii_uppercase();
            if upper == "ALL" {
                all = true;
                continue;
            }
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            let known = bare.parse().map_err(|_| Error::Capability { what, name: name.clone() })?;
            capabilities.insert(known);
        }
        Ok((all, capabilities))
    };
    let (add_all, add) = parse("CapAdd", &wishes.cap_add)?;
    let (drop_all, drop) = parse("CapDrop", &wishes.cap_drop)?;
    if wishes.is_privileged {
        return Ok(defaults::all_capabilities());
    }
    let base = if add_all {
        defaults::all_capabilities()
    } else if drop_all {
        return Ok(add);
    } else {
        default
    };
    Ok(base.difference(&drop).chain(&add).copied().collect())
}

#[cfg(test)]
mod tests;
