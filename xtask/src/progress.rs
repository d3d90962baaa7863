//! What is being done: a moving line on a terminal, plain lines elsewhere. All of it goes to standard error, because standard
//! output is the container's.

use std::io::{IsTerminal as _, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What takes longer is announced where there is no terminal; what does not would only be in the way of what is said about it.
const LONG: Duration = Duration::from_secs(2);

/// One stretch of work.
#[derive(Debug, Clone)]
pub struct Step {
    bar: Option<ProgressBar>,
    /// Elsewhere than on a terminal.
    announcement: Option<Announcement>,
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
        let announcement = bar.is_none().then(|| Announcement::begin(name));
        Self { bar, announcement, name: name.to_owned(), start: Instant::now() }
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
        self.end_announcement(true);
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(name.to_owned());
                bar.set_message("");
            }
            None => self.announcement = Some(Announcement::begin(name)),
        }
    }

    /// Ends it with a line that stays.
    pub fn done(self) {
        let seconds = self.start.elapsed().as_secs_f32();
        // The line below says how long it took.
        self.end_announcement(false);
        self.vanish();
        eprintln!("{}: {seconds:.1} s", self.name);
    }

    /// Ends it without a trace on a terminal; may be called more than once.
    pub fn vanish(&self) {
        self.end_announcement(true);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn end_announcement(&self, tells_time: bool) {
        if let Some(announcement) = &self.announcement {
            announcement.end(tells_time);
        }
    }
}

/// What is said of a stretch of work in plain lines: that it goes on, once it takes long, and then how long it took.
#[derive(Debug, Clone)]
struct Announcement {
    name: String,
    start: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Silent,
    Announced,
    Ended,
}

impl Announcement {
    fn begin(name: &str) -> Self {
        let state = Arc::new(Mutex::new(State::Silent));
        let announcement = Self { name: name.to_owned(), start: Instant::now(), state };
        let waiting = announcement.clone();
        thread::spawn(move || {
            thread::sleep(LONG);
            let mut state = waiting.state.lock().unwrap_or_else(PoisonError::into_inner);
            if *state == State::Silent {
                *state = State::Announced;
                eprintln!("{} …", waiting.name);
            }
        });
        announcement
    }

    fn end(&self, tells_time: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Announced && tells_time {
            eprintln!("{}: {:.1} s", self.name, self.start.elapsed().as_secs_f32());
        }
        *state = State::Ended;
    }
}
