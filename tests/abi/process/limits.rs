//! getrlimit(2), setrlimit(2), prlimit(2): limits are kept, inherited and enforced.

use std::fs::File;
use std::io::Write;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::Uid;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw::harmless;

cases!("process":
    limits_read_back_and_are_inherited,
    a_soft_limit_above_the_hard_fails_with_einval,
    raising_a_hard_limit_needs_privilege,
    too_many_open_files_fail_with_emfile,
    a_file_past_its_limit_gives_sigxfsz,
    an_unknown_limit_fails_with_einval,
    mapping_past_the_address_space_limit_fails_with_enomem,
    io_priorities_read_back_and_are_inherited,
);

fn limits_read_back_and_are_inherited() -> Outcome {
    setrlimit(Resource::RLIMIT_NOFILE, 100, 200)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 4096)?;
    check_eq!(getrlimit(Resource::RLIMIT_NOFILE)?, (100, 200));
    child::passes(|| {
        check_eq!(getrlimit(Resource::RLIMIT_NOFILE)?, (100, 200));
        check_eq!(getrlimit(Resource::RLIMIT_CORE)?, (0, 4096));
        Ok(())
    })
}

fn a_soft_limit_above_the_hard_fails_with_einval() -> Outcome {
    check_fails!(setrlimit(Resource::RLIMIT_NOFILE, 300, 200), EINVAL);
    Ok(())
}

fn raising_a_hard_limit_needs_privilege() -> Outcome {
    setrlimit(Resource::RLIMIT_NOFILE, 50, 50)?;
    setrlimit(Resource::RLIMIT_NOFILE, 50, 60)?;
    nix::unistd::setuid(Uid::from_raw(1000))?;
    check_fails!(setrlimit(Resource::RLIMIT_NOFILE, 50, 70), EPERM);
    setrlimit(Resource::RLIMIT_NOFILE, 20, 40)?;
    Ok(())
}

fn too_many_open_files_fail_with_emfile() -> Outcome {
    setrlimit(Resource::RLIMIT_NOFILE, 16, 16)?;
    let mut files = Vec::new();
    let error = loop {
        match File::open("/proc/self/stat") {
            Ok(file) => files.push(file),
            Err(error) => break error,
        }
        check!(files.len() <= 16, "{} files are open", files.len());
    };
    check_fails!(Err::<(), _>(error), EMFILE);
    check_fails!(nix::unistd::dup(&files[0]), EMFILE);
    files.pop();
    check!(File::open("/proc/self/stat").is_ok());
    Ok(())
}

fn a_file_past_its_limit_gives_sigxfsz() -> Outcome {
    setrlimit(Resource::RLIMIT_FSIZE, 8192, 8192)?;
    let child = child::fork(|| {
        let written = File::create("big").and_then(|mut file| {
            file.write_all(&[0; 8192])?;
            file.write_all(&[0; 1])
        });
        i32::from(written.is_err())
    })?;
    check_eq!(child.end_signal()?, Signal::SIGXFSZ);
    check_eq!(std::fs::metadata("big")?.len(), 8192);
    Ok(())
}

fn an_unknown_limit_fails_with_einval() -> Outcome {
    check_fails!(harmless(libc::SYS_prlimit64, [0, 99, 0, 0]), EINVAL);
    Ok(())
}

fn mapping_past_the_address_space_limit_fails_with_enomem() -> Outcome {
    setrlimit(Resource::RLIMIT_AS, 64 << 20, 64 << 20)?;
    check_fails!(crate::memory::Mapping::anonymous(128 << 20), ENOMEM);
    crate::memory::Mapping::anonymous(1 << 20)?;
    Ok(())
}

fn io_priorities_read_back_and_are_inherited() -> Outcome {
    const PROCESS: usize = 1;
    const USER: usize = 3;
    let class = |class: usize, level: usize| class << 13 | level;
    let get = |which: usize, who: usize| harmless(libc::SYS_ioprio_get, [which, who]);
    let set = |value: usize| harmless(libc::SYS_ioprio_set, [PROCESS, 0, value]);
    let (real_time, best_effort, idle) = (1, 2, 3);
    set(class(best_effort, 6))?;
    check_eq!(get(PROCESS, 0)?, class(best_effort, 6));
    child::passes(|| {
        check_eq!(get(PROCESS, 0)?, class(best_effort, 6));
        set(class(idle, 0))?;
        check_eq!(get(PROCESS, 0)?, class(idle, 0));
        Ok(())
    })?;
    check_eq!(get(PROCESS, 0)?, class(best_effort, 6));
    set(class(real_time, 0))?;
    check_eq!(get(USER, 0)?, class(real_time, 0));
    check_fails!(set(class(best_effort, 8)), EINVAL);
    check_fails!(set(class(0, 1)), EINVAL);
    check_fails!(set(class(7, 0)), EINVAL);
    check_fails!(get(0, 0), EINVAL);
    check_fails!(get(PROCESS, 0x3fff_ffff), ESRCH);
    nix::unistd::setuid(Uid::from_raw(1000))?;
    check_fails!(set(class(real_time, 1)), EPERM);
    check_fails!(harmless(libc::SYS_ioprio_set, [PROCESS, 1, class(best_effort, 1)]), EPERM);
    Ok(())
}
