//! Create: the first process is born into its namespaces and sets everything up, then waits for start.

use std::os::fd::OwnedFd;

use runtime_sys::clone::Namespaces;
use rustix::pipe::PipeFlags;
use rustix::process::{Signal, WaitOptions};

use super::{Bundle, Container};
use crate::Error;
use crate::process::{child, namespaces, report};

impl Container {
    /// Creates a container. On return it is set up completely and waits for [`Container::start`].
    ///
    /// # Errors
    ///
    /// What went wrong here or in the first process; no process is left then.
    pub fn create(bundle: Bundle<'_>) -> Result<Self, Error> {
        let namespaces = namespaces::of(bundle.spec)?;
        namespaces::enter_listed_pid(bundle.spec)?;
        Self::born(namespaces, |start, report| child::run(&bundle, start, report))
    }

    /// Forks into `namespaces` and waits until `child` reports that it is ready. What `child` owns is closed here after that.
    pub(super) fn born(
        namespaces: Namespaces,
        child: impl FnOnce(&OwnedFd, report::Sender<'_>) -> u8,
    ) -> Result<Self, Error> {
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(Error::system("create a pipe"));
        let (start_read, start_write) = pipe()?;
        let (report_read, report_write) = pipe()?;

        // The child drops its copies of the parent's ends; it would never see an end of file on a pipe that it holds open.
        let mut parent_ends = Some((start_write, report_read));
        let ends = &mut parent_ends;
        let pid = runtime_sys::clone::fork_into(namespaces, || {
            *ends = None;
            child(&start_read, report::Sender::new(&report_write))
        })
        .map_err(Error::io("create the container's process"))?;
        drop((start_read, report_write));

        let (start, report) = parent_ends.ok_or(Error::Vanished)?;
        let mut container = Self { pid, start, report: report::Receiver::new(report) };
        match container.report.wait_ready() {
            Ok(()) => Ok(container),
            Err(error) => {
                container.abandon();
                Err(error)
            }
        }
    }

    /// Ends and reaps a first process that will not be of use.
    pub(super) fn abandon(&self) {
        // It may have ended by itself, which is as good.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitpid(Some(self.pid), WaitOptions::empty())
        {}
    }
}
