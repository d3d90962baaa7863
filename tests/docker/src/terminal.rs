//! A client under a pseudo terminal, for `-it`.

use std::io::{Read as _, Write};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long to wait for words to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running client and its terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `command` on a terminal of 40 rows and 100 columns.
    pub(crate) fn start(command: &Command) -> anyhow::Result<Self> {
        let pair = native_pty_system().openpty(size(40, 100)).context("cannot open a pseudo terminal")?;
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                builder.env(key, value);
            }
        }
        let child = pair.slave.spawn_command(builder).context("cannot start the client")?;
        drop(pair.slave);
        let keyboard = pair.master.take_writer().context("no way to write to the terminal")?;
        let mut reader = pair.master.try_clone_reader().context("no way to read from the terminal")?;
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = screen.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // EIO is how a pseudo terminal says that the other side is gone.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                shown.extend(buffer.iter().take(count));
            }
        });
        Ok(Self { child, master: pair.master, keyboard, screen })
    }

    /// Types.
    ///
    /// # Errors
    /// If the client does not read any more.
    pub fn type_keys(&mut self, keys: &str) -> anyhow::Result<()> {
        self.keyboard.write_all(keys.as_bytes()).context("cannot type")?;
        self.keyboard.flush().context("cannot type")
    }

    /// Waits until the terminal has shown `words`.
    ///
    /// # Errors
    /// If they do not appear; with what did.
    pub fn expect(&self, words: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.shown().contains(words) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the terminal does not show {words:?} but {:?}", self.shown())
    }

    /// Changes the window's size.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) -> anyhow::Result<()> {
        self.master.resize(size(rows, columns)).context("cannot resize the terminal")
    }

    /// Waits for the client's end and gives its exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn exit_code(&mut self) -> anyhow::Result<u32> {
        self.exit_code_within(PATIENCE)
    }

    /// The same for what may take longer, or must not take as long.
    ///
    /// # Errors
    /// If it does not end.
    pub fn exit_code_within(&mut self, patience: Duration) -> anyhow::Result<u32> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.child.try_wait().context("cannot wait for the client")? {
                return Ok(status.exit_code());
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.child.kill().context("cannot end the client")?;
        bail!("the client does not end; the terminal shows {:?}", self.shown())
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&screen).into_owned()
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Terminal").field("shown", &self.shown()).finish_non_exhaustive()
    }
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}
