//! An engine in a folder of its own, with one image: busybox.
#![expect(
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell in a module of an integration test"
)]

use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coffer_engine::container::{AttachOptions, Attachment, Condition, LogsOptions};
use coffer_engine::images::{Image, Images};
use coffer_engine::models::{ContainerCreateBody, ExecConfig, ExecStartConfig};
use coffer_engine::{Engine, Error, Settings};
use runtime_measure::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BUSYBOX: &str = "/usr/bin/busybox";
pub const ID: &str = "sha256:b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5";

/// Says why when the machine cannot run containers.
pub fn can_run() -> bool {
    let can = rustix::process::geteuid().is_root() && Path::new(BUSYBOX).exists();
    if !can {
        eprintln!("skipped: needs root and {BUSYBOX} (Debian package busybox-static)");
    }
    can
}

/// One image of one layer.
#[derive(Debug)]
struct Busybox {
    layer: PathBuf,
    holders: Mutex<HashMap<String, String>>,
}

impl Busybox {
    fn new(layer: &Path) -> Self {
        for name in ["bin", "etc", "home", "tmp", "root", "data"] {
            std::fs::create_dir_all(layer.join(name)).unwrap();
        }
        std::fs::set_permissions(layer, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(layer.join("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let program = layer.join("bin/busybox");
        if !program.exists() {
            std::fs::copy(BUSYBOX, &program).unwrap();
            let list = std::process::Command::new(BUSYBOX).arg("--list").output().unwrap().stdout;
            for applet in String::from_utf8(list).unwrap().lines().filter(|applet| *applet != "busybox") {
                symlink("busybox", layer.join("bin").join(applet)).unwrap();
            }
            std::fs::write(
                layer.join("etc/passwd"),
                "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/home:/bin/sh\n",
            )
            .unwrap();
            std::fs::write(layer.join("etc/group"), "root:x:0:\nweb:x:34:\nextra:x:50:\n").unwrap();
            std::fs::write(layer.join("data/seed"), "seed\n").unwrap();
        }
        Self { layer: layer.to_owned(), holders: Mutex::default() }
    }
}

impl Images for Busybox {
    fn find(&self, name: &str) -> Result<Image, Error> {
        if !matches!(name, "busybox" | "busybox:latest" | ID) {
            return Err(Error::NoSuchImage(name.to_owned()));
        }
        let json = r#"{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Env":["PATH=/bin"],"Labels":{"of":"image"}},
            "rootfs":{"type":"layers","diff_ids":[]}}"#;
        Ok(Image {
            id: ID.to_owned(),
            manifest: None,
            config: serde_json::from_str(json).unwrap(),
            json: serde_json::from_str(json).unwrap(),
            size: 1000,
        })
    }

    fn hold(&self, container: &str, id: &str) -> Result<Vec<PathBuf>, Error> {
        self.holders.lock().unwrap().insert(container.to_owned(), id.to_owned());
        Ok(vec![self.layer.clone()])
    }

    fn held(&self, _: &str) -> Option<Vec<PathBuf>> {
        Some(vec![self.layer.clone()])
    }

    fn release(&self, container: &str) -> Result<(), Error> {
        self.holders.lock().unwrap().remove(container);
        Ok(())
    }

    fn count(&self) -> usize {
        1
    }
}

/// An engine, and the folder that it works in.
pub struct Machine {
    pub engine: Engine,
    pub folder: tempfile::TempDir,
}

impl Machine {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path(), None).await;
        Self { engine, folder }
    }

    /// One that has all measured.
    pub async fn measured(measuring: Client) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path(), Some(Arc::new(measuring))).await;
        Self { engine, folder }
    }

    /// Another engine in the same folder, as after a crash. (The old one still runs here, but nobody asks it for anything.)
    pub async fn again(&self) -> Engine {
        open(self.folder.path(), None).await
    }

    pub async fn create(&self, json: &str) -> Result<String, Error> {
        let body: ContainerCreateBody = serde_json::from_str(json).unwrap();
        Ok(self.engine.container_create(None, body).await?.id)
    }

    /// Creates and starts a shell command.
    pub async fn start(&self, script: &str, host: &str) -> String {
        let id = self.create(&shell(script, host)).await.unwrap();
        self.engine.container_start(&id).await.unwrap();
        id
    }

    /// Runs a shell command to its end; gives its output and exit code.
    pub async fn run(&self, script: &str, host: &str) -> (String, i64) {
        let id = self.start(script, host).await;
        let code = self.wait(&id).await;
        (self.logs(&id).await, code)
    }

    pub async fn wait(&self, id: &str) -> i64 {
        let wait = self.engine.container_wait(id, Condition::NotRunning).await.unwrap();
        within(wait.done()).await.status_code
    }

    /// Both outputs, without frames.
    pub async fn logs(&self, id: &str) -> String {
        self.logs_with(id, LogsOptions { stdout: true, stderr: true, ..LogsOptions::default() }).await
    }

    pub async fn logs_with(&self, id: &str, options: LogsOptions) -> String {
        let mut logs = self.engine.container_logs(id, options).await.unwrap();
        let is_terminal = logs.is_terminal;
        let mut text = Vec::new();
        while let Some(frame) = within(logs.next()).await {
            text.extend_from_slice(if is_terminal { &frame } else { &frame[8..] });
        }
        String::from_utf8(text).unwrap()
    }

    pub async fn attach(&self, id: &str) -> Attachment {
        let options = AttachOptions {
            stdin: true,
            stdout: true,
            stderr: true,
            stream: true,
            ..AttachOptions::default()
        };
        self.engine.container_attach(id, options).await.unwrap()
    }

    /// Runs a command in a container; gives its output and exit code.
    pub async fn exec(&self, id: &str, config: &str) -> (String, i64) {
        let config: ExecConfig = serde_json::from_str(config).unwrap();
        let exec = self.engine.exec_create(id, config).await.unwrap().id;
        let attachment = self.engine.exec_start(&exec, ExecStartConfig::default()).await.unwrap().unwrap();
        let text = drain(attachment).await;
        for _ in 0..200 {
            if let Some(code) = self.engine.exec_inspect(&exec).await.unwrap().exit_code {
                return (text, code);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the exec did not end");
    }
}

async fn open(folder: &Path, measuring: Option<Arc<Client>>) -> Engine {
    let images = Arc::new(Busybox::new(&folder.join("layer")));
    let helper = vec![env!("CARGO_BIN_EXE_coffer-helper").to_owned()];
    let settings =
        Settings { folder: folder.to_owned(), helper, images, measuring, attending: None, is_sealed: false };
    Engine::open(settings).await.unwrap()
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What a failed test leaves running: the shims of this folder, found by their arguments.
        let folder = self.folder.path().display().to_string();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let pid =
                process.file_name().to_string_lossy().parse().ok().and_then(rustix::process::Pid::from_raw);
            if let (true, Some(pid)) = (String::from_utf8_lossy(&line).contains(&folder), pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&folder) {
                let _ = rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH);
            }
        }
    }
}

pub fn shell(script: &str, host: &str) -> String {
    let mut host: serde_json::Value = serde_json::from_str(host).unwrap();
    // Tests leave the machine's links alone unless they say otherwise.
    host.as_object_mut().unwrap().entry("NetworkMode").or_insert("none".into());
    serde_json::json!({"Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": host}).to_string()
}

/// Everything that comes, without frames.
pub async fn drain(mut attachment: Attachment) -> String {
    let mut bytes = Vec::new();
    within(attachment.stream.read_to_end(&mut bytes)).await.unwrap();
    if attachment.is_terminal { String::from_utf8(bytes).unwrap() } else { unframe(&bytes) }
}

pub fn unframe(mut bytes: &[u8]) -> String {
    let mut text = Vec::new();
    while let [_, 0, 0, 0, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        text.extend_from_slice(&rest[..length]);
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "half a frame");
    String::from_utf8(text).unwrap()
}

pub async fn send(attachment: &mut Attachment, text: &str) {
    attachment.stream.write_all(text.as_bytes()).await.unwrap();
}

/// Fails rather than hangs.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}
