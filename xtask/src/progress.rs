//! What is being done: a moving line on a terminal, plain lines elsewhere. All of it goes to standard error, because standard
//! output is the container's.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One stretch of work.
#[derive(Debug, Clone)]
pub struct Step {
    bar: Option<ProgressBar>,
    name: String,
    start: Instant,
}

impl Step {
    /// Begins `name`, such as "building the kernel".
    pub fn begin(name: &str) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>4} {wide_msg:.dim}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            eprintln!("{name} …");
        }
        Self { bar, name: name.to_owned(), start: Instant::now() }
    }

    /// Says more of what is happening; seen on a terminal only.
    pub fn detail(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Goes on to another stretch in the same line.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(name.to_owned());
                bar.set_message("");
            }
            None => eprintln!("{name} …"),
        }
    }

    /// Ends it with a line that stays.
    pub fn done(self) {
        let seconds = self.start.elapsed().as_secs_f32();
        self.vanish();
        eprintln!("{}: {seconds:.1} s", self.name);
    }

    /// Ends it without a trace; may be called more than once.
    pub fn vanish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
