//! What is printed: a moving line while something is waited for, and the result for people or as JSON.

use std::io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// For whom results are printed.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub is_json: bool,
}

impl Output {
    /// Prints one result: `text` for people, `value` for programs.
    pub fn print(self, text: &str, value: &impl Serialize) -> anyhow::Result<()> {
        if self.is_json {
            say(&format!("{}\n", serde_json::to_string_pretty(value)?))
        } else if text.is_empty() {
            Ok(())
        } else {
            say(&format!("{text}\n"))
        }
    }
}

/// What is being waited for, on standard error, where that is a terminal.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    pub fn begin(what: &str) -> Self {
        Self(stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>4} {wide_msg:.dim}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        }))
    }

    pub fn detail(&self, text: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(text.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Writes to standard output. Whoever reads that may go before the end, as in `coffer ls | head -1`: they have what they wanted, and the exit status still
/// says what came of it. std's print macros know no other way than to panic then.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot print"),
    }
}
