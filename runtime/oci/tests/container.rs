//! Containers created for real on the Linux that the test runs on. Needs root and a static busybox; says so when they are
//! missing. Has its own `main`, because a container is cloned from a process with one thread.
#![expect(clippy::unwrap_used, reason = "all of this is tests, which clippy cannot tell without a harness")]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::{PosixRlimitBuilder, PosixRlimitType, Spec};
use runtime_oci::root::Root;
use runtime_oci::spec::{self, Place, Window, Wishes};
use runtime_oci::terminal::Terminal;
use runtime_oci::{Bundle, Container, Error, Stdio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, WaitOptions, WaitStatus, getrlimit, waitpid};

const BUSYBOX: &str = "/usr/bin/busybox";

fn main() {
    if !rustix::process::geteuid().is_root() || !Path::new(BUSYBOX).exists() {
        println!("skipped: needs root and {BUSYBOX} (Debian package busybox-static)");
        return;
    }
    let tests: [(&str, fn()); 12] = [
        (
            "a_program_runs_as_pid_1_with_nothing_but_its_streams",
            a_program_runs_as_pid_1_with_nothing_but_its_streams,
        ),
        ("the_file_systems_are_as_configured", the_file_systems_are_as_configured),
        ("privileges_are_dropped", privileges_are_dropped),
        ("calls_are_filtered", calls_are_filtered),
        ("exit_codes_of_what_cannot_run_are_dockers", exit_codes_of_what_cannot_run_are_dockers),
        ("a_read_only_root_stays_as_it_is", a_read_only_root_stays_as_it_is),
        ("links_in_the_image_do_not_lead_mounts_outside", links_in_the_image_do_not_lead_mounts_outside),
        (
            "binds_take_their_flags_to_all_that_is_mounted_in_them",
            binds_take_their_flags_to_all_that_is_mounted_in_them,
        ),
        ("the_whole_machine_can_be_bound", the_whole_machine_can_be_bound),
        ("a_terminal_is_the_controlling_one", a_terminal_is_the_controlling_one),
        ("signals_reach_the_first_process", signals_reach_the_first_process),
        ("nothing_runs_before_start", nothing_runs_before_start),
    ];
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before, "a mount was left behind");
}

/// A root file system of busybox alone.
fn image() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["bin", "etc", "home"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::copy(BUSYBOX, folder.path().join("bin/busybox")).unwrap();
    for applet in [
        "sh", "cat", "ls", "id", "stat", "sleep", "touch", "tty", "stty", "ps", "hostname", "grep",
        "unshare", "true",
    ] {
        symlink("busybox", folder.path().join("bin").join(applet)).unwrap();
    }
    fs::write(folder.path().join("etc/passwd"), "root:x:0:0::/root:\nweb:x:33:34::/home:\n").unwrap();
    fs::write(folder.path().join("etc/group"), "web:x:34:\nextra:x:50:web\n").unwrap();
    folder
}

fn wishes(args: &[&str]) -> Wishes {
    Wishes { args: Some(args.iter().map(ToString::to_string).collect()), ..Wishes::default() }
}

fn shell(script: &str) -> Wishes {
    wishes(&["sh", "-c", script])
}

fn configuration() -> ImageConfiguration {
    let json = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    serde_json::from_str(json).unwrap()
}

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn pipe() -> (File, std::os::fd::OwnedFd) {
    let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    (read_end.into(), write_end)
}

/// Builds the specification; its limits may be more than a test in a sandbox is allowed to set.
fn build(wishes: &Wishes, place: Place<'_>) -> Result<Spec, Error> {
    let mut spec = spec::build(&configuration(), wishes, place)?;
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limit = PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile).soft(100_u64).hard(hard);
    let mut process = spec.process().clone().unwrap();
    process.set_rlimits(Some(vec![limit.build().unwrap()]));
    spec.set_process(Some(process));
    Ok(spec)
}

/// Creates a container with pipes for output; standard input is empty.
fn create(image: &Path, wishes: &Wishes) -> Result<(Container, File), Error> {
    let root = Root::new(image);
    let spec = build(wishes, Place { id: ID, root: &root, pty_folder: None })?;
    let (output, stdout) = pipe();
    let stderr = stdout.try_clone().unwrap();
    let stdin = File::open("/dev/null").unwrap().into();
    let container =
        Container::create(Bundle { spec: &spec, stdio: Stdio::Streams { stdin, stdout, stderr } })?;
    Ok((container, output))
}

/// Runs to the end; gives output and exit status.
fn run(image: &Path, wishes: &Wishes) -> Result<(String, WaitStatus), Error> {
    let (mut container, mut output) = create(image, wishes)?;
    container.start()?;
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let (_, status) = waitpid(Some(container.pid()), WaitOptions::empty()).unwrap().unwrap();
    Ok((text, status))
}

fn output(wishes: &Wishes) -> String {
    let image = image();
    let (text, status) = run(image.path(), wishes).unwrap();
    assert_eq!(status.exit_status(), Some(0), "{text}");
    text
}

fn a_program_runs_as_pid_1_with_nothing_but_its_streams() {
    let text = output(&shell("echo $$ $HOME $(hostname); pwd; ls /proc/self/fd; ulimit -n"));
    // The fourth descriptor is ls's own, of the directory.
    assert_eq!(text, "1 /root 0123456789ab\n/\n0\n1\n2\n3\n100\n");
    let image = image();
    let (_, status) = run(image.path(), &shell("exit 7")).unwrap();
    assert_eq!(status.exit_status(), Some(7));
}

fn the_file_systems_are_as_configured() {
    let text = output(&shell("cat /proc/mounts; ls -l /dev; umask"));
    for wanted in [
        "proc /proc proc rw,nosuid,nodev,noexec",
        "sysfs /sys sysfs ro,nosuid,nodev,noexec",
        " /dev/shm tmpfs rw,nosuid,nodev,noexec",
        "devpts /dev/pts devpts rw,nosuid,noexec",
        "proc /proc/sys proc ro,nosuid,nodev,noexec",
        "tmpfs /proc/interrupts tmpfs",
        "ptmx -> pts/ptmx",
        "1,   3",
        "0022",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is not in\n{text}");
    }
    // Nothing of the machine's own mounts: the first one is the container's root.
    assert!(text.lines().next().unwrap().contains(" / "), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(" / ")).count(), 1, "{text}");
}

fn privileges_are_dropped() {
    let root = output(&shell("grep Cap /proc/self/status"));
    assert_eq!(root.matches("00000000a80425fb").count(), 3, "{root}");
    let mut wishes = shell("id; grep -E 'Cap|NoNew' /proc/self/status; echo again > /dev/stdout");
    wishes.user = Some("web".to_owned());
    wishes.no_new_privileges = true;
    let web = output(&wishes);
    assert!(web.starts_with("uid=33(web) gid=34(web) groups=50(extra)"), "{web}");
    assert_eq!(web.matches("0000000000000000").count(), 4, "{web}");
    assert!(web.contains("CapBnd:\t00000000a80425fb") && web.contains("NoNewPrivs:\t1"), "{web}");
    assert!(web.ends_with("again\n"), "{web}");
}

fn calls_are_filtered() {
    let image = image();
    let script = "grep -E 'Seccomp:|NoNewPrivs' /proc/self/status; unshare -U true; unshare -m true; hostname other; echo end";
    let status = |wishes: &Wishes| run(image.path(), wishes).unwrap().0;
    // Two filters, and no_new_privs is nobody's wish.
    let usual = status(&shell(script));
    assert!(usual.contains("NoNewPrivs:\t0") && usual.contains("Seccomp:\t2"), "{usual}");
    assert_eq!(usual.matches("Operation not permitted").count(), 3, "{usual}");
    assert!(usual.ends_with("end\n"), "{usual}");
    // With the capability the calls are open, and without a filter anything is.
    let admin = Wishes { cap_add: vec!["SYS_ADMIN".to_owned()], ..shell(script) };
    let admin = status(&admin);
    assert!(admin.contains("Seccomp:\t2") && !admin.contains("not permitted"), "{admin}");
    let open = status(&Wishes { filter: spec::Filter::None, ..shell(script) });
    assert!(open.contains("Seccomp:\t0"), "{open}");
}

fn exit_codes_of_what_cannot_run_are_dockers() {
    let image = image();
    let at = |name: &str| image.path().join("bin").join(name);
    fs::write(at("data"), "x").unwrap();
    fs::write(at("script"), "#!/none\n").unwrap();
    fs::set_permissions(at("script"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(at("garbage"), "\x7fELF nonsense").unwrap();
    fs::set_permissions(at("garbage"), fs::Permissions::from_mode(0o755)).unwrap();
    for (program, code, text) in [
        ("none", 127, "exec `none`: executable file not found in $PATH"),
        ("/bin/none", 127, "exec `/bin/none`: no such file or directory"),
        ("/bin/script", 127, "exec `/bin/script`: no such file or directory"),
        ("/bin/data", 126, "exec `/bin/data`: permission denied"),
        ("/bin", 126, "exec `/bin`: is a directory"),
        ("garbage", 126, "exec `garbage`: exec format error"),
    ] {
        let error = run(image.path(), &wishes(&[program])).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (code, text));
    }
    let mut wishes = wishes(&["sh"]);
    wishes.working_directory = Some("/bin/data".to_owned());
    assert_eq!(run(image.path(), &wishes).unwrap_err().exit_code(), 125);
    assert!(waitpid(None, WaitOptions::NOHANG).is_err(), "a process was left behind");
}

fn a_read_only_root_stays_as_it_is() {
    let mut wishes = shell("touch /x || touch /dev/shm/x && pwd");
    wishes.is_read_only = true;
    wishes.working_directory = Some("/made/by/us".to_owned());
    let text = output(&wishes);
    assert!(text.contains("Read-only file system") && text.ends_with("/made/by/us\n"), "{text}");
}

fn links_in_the_image_do_not_lead_mounts_outside() {
    let image = image();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), image.path().join("dev")).unwrap();
    symlink("../../../../../../../etc", image.path().join("proc")).unwrap();
    // /dev then means a folder of that name inside; what matters is that nothing appears in the one outside.
    let result = run(image.path(), &shell("echo fine"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{result:?}");
    assert!(Path::new("/etc/hostname").exists() || !Path::new("/etc/self").exists());
}

fn bind(source: &Path, destination: &str) -> oci_spec::runtime::Mount {
    spec::defaults::mount(destination, "bind", source, &["rbind", "nodev", "ro"]).unwrap()
}

fn binds_take_their_flags_to_all_that_is_mounted_in_them() {
    let (image, source) = (image(), tempfile::tempdir().unwrap());
    let deep = source.path().join("deep er");
    fs::create_dir(&deep).unwrap();
    rustix::mount::mount("tmpfs", &deep, "tmpfs", rustix::mount::MountFlags::NOSUID, c"").unwrap();
    let script = "touch /data/x; touch '/data/deep er/x'; grep ' /data' /proc/self/mounts";
    let wishes = Wishes { mounts: vec![bind(source.path(), "/data")], ..shell(script) };
    let output = run(image.path(), &wishes);
    rustix::mount::unmount(&deep, rustix::mount::UnmountFlags::empty()).unwrap();
    let (output, _) = output.unwrap();
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    let mounts: Vec<&str> =
        output.lines().filter(|line| line.contains(" /data") && !line.starts_with("touch")).collect();
    assert!(mounts.len() == 2 && mounts.iter().all(|line| line.contains("ro,")), "{output}");
    assert!(mounts.iter().all(|line| line.contains("nodev")) && mounts[1].contains("nosuid"), "{output}");
}

fn the_whole_machine_can_be_bound() {
    let image = image();
    let marker = tempfile::NamedTempFile::new_in("/tmp").unwrap();
    let script = format!("ls /host{}; touch /host/etc/x", marker.path().display());
    let wishes = Wishes { mounts: vec![bind(Path::new("/"), "/host")], ..shell(&script) };
    let (output, _) = run(image.path(), &wishes).unwrap();
    assert!(output.contains(&format!("/host{}\n", marker.path().display())), "{output}");
    assert!(output.contains("Read-only file system"), "{output}");
}

fn a_terminal_is_the_controlling_one() {
    let image = image();
    let folder = tempfile::tempdir().unwrap();
    let pts: PathBuf = folder.path().join("pts");
    let mut terminal = Terminal::open(&pts).unwrap();
    terminal.resize(Window { rows: 33, columns: 99 }).unwrap();
    let mut wishes = shell("tty; stty size; echo $TERM; echo hi > /dev/tty; ls -1 /dev/pts /dev/console");
    wishes.terminal = Some(Window { rows: 33, columns: 99 });
    let root = Root::new(image.path());
    let place = Place { id: ID, root: &root, pty_folder: Some(&pts) };
    let spec = build(&wishes, place).unwrap();
    let mut container = Container::create(Bundle { spec: &spec, stdio: Stdio::Terminal(&terminal) }).unwrap();
    terminal.detach().unwrap();
    container.start().unwrap();
    let mut bytes = Vec::new();
    // The master ends with EIO when the last process has closed the terminal.
    let _ = terminal.clone_master().unwrap().read_to_end(&mut bytes);
    waitpid(Some(container.pid()), WaitOptions::empty()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text, "/dev/pts/0\r\n33 99\r\nxterm\r\nhi\r\n/dev/console\r\n\r\n/dev/pts:\r\n0\r\nptmx\r\n");
}

fn signals_reach_the_first_process() {
    let image = image();
    let (mut container, mut output) =
        create(image.path(), &shell("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")).unwrap();
    container.start().unwrap();
    output.read_exact(&mut [0; 6]).unwrap();
    container.kill(15).unwrap();
    let (_, status) = waitpid(Some(container.pid()), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(9));
    assert!(matches!(container.kill(99), Err(Error::Unsupported { .. })));
}

fn nothing_runs_before_start() {
    let image = image();
    let (container, mut output) = create(image.path(), &shell("echo started")).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        assert!(waitpid(Some(container.pid()), WaitOptions::NOHANG).unwrap().is_none());
    }
    let pid = container.pid();
    drop(container);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "");
    waitpid(Some(pid), WaitOptions::empty()).unwrap();
}
