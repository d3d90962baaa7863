//! What is being done: a moving line on a terminal, plain lines elsewhere. All of it goes to standard error, because standard
//! output is the container's.

use std::io::{IsTerminal as _, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What takes longer is announced where there is no terminal; what does not would only be in the way of what is said about it.
const LONG: Duration = Duration::from_secs(2);

/// One stretch of work.
#[derive(Debug, Clone)]
pub struct Step {
    bar: Option<ProgressBar>,
    /// Elsewhere than on a terminal: keeps the name from being printed once it is dropped or used.
    ended: Option<Sender<()>>,
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
        let ended = bar.is_none().then(|| announce_if_long(name));
        Self { bar, ended, name: name.to_owned(), start: Instant::now() }
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
        self.vanish_announcement();
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(name.to_owned());
                bar.set_message("");
            }
            None => self.ended = Some(announce_if_long(name)),
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
        self.vanish_announcement();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn vanish_announcement(&self) {
        if let Some(ended) = &self.ended {
            // Where it was printed, nobody listens any more.
            let _ = ended.send(());
        }
    }
}

/// Prints the name of what has not ended by then.
fn announce_if_long(name: &str) -> Sender<()> {
    let (ended, ending) = mpsc::channel();
    let name = name.to_owned();
    thread::spawn(move || {
        if ending.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} …");
        }
    });
    ended
}
