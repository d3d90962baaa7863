//! What is printed: a moving line while something is waited for, and the result for people or as JSON.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

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
            println!("{}", serde_json::to_string_pretty(value)?);
        } else if !text.is_empty() {
            println!("{text}");
        }
        Ok(())
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

/// Ends the program, rather than have it panic, where nobody reads what it prints: without a word if the reader went, as in `coffer ls | head -1`,
/// and with one if it could not be written. std's print macros know no other way than to panic then.
pub fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let words = panic.payload_as_str().unwrap_or_default();
        match words.strip_prefix("failed printing to stdout: ") {
            Some(why) if why.starts_with("Broken pipe") => std::process::exit(0),
            Some(why) => {
                eprintln!("coffer: cannot print: {why}");
                std::process::exit(1)
            }
            None => usual(panic),
        }
    }));
}
