//! The small programs that cases execute: this binary, called with `@name` as its first argument.

use std::io::{Read, Write};
use std::process::Command;

/// The path by which a case executes this binary.
pub const SELF: &str = "/proc/self/exe";

/// A command that runs one of the programs below.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(SELF);
    command.arg(name);
    command
}

/// Plays the program that the arguments name, if they name one, and returns its exit code.
pub fn play(arguments: &[String]) -> Option<i32> {
    let (name, rest) = arguments.split_first()?;
    let number = |index: usize| rest.get(index).and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
    match name.as_str() {
        "@exit" => Some(number(0)),
        "@arguments" => {
            println!("{}", rest.join("\n"));
            Some(0)
        }
        "@environment" => {
            std::env::vars().for_each(|(name, value)| println!("{name}={value}"));
            Some(0)
        }
        "@call" => {
            // A call that there is not, several times.
            let all_fail = (0..number(1))
                .all(|_| crate::raw::harmless(number(0).into(), []) == Err(nix::errno::Errno::ENOSYS));
            Some(i32::from(!all_fail))
        }
        "@contained" => {
            // Names, or an area with its slash.
            let matches = |case: &crate::case::Case, name: &String| {
                if name.ends_with('/') { case.name.starts_with(name) } else { name == case.name }
            };
            let total =
                crate::run::run(crate::all().filter(|case| rest.iter().any(|name| matches(case, name))));
            Some(i32::from(total.failed > 0))
        }
        "@view" => {
            print!("{}", crate::runtimes::view());
            Some(0)
        }
        "@cat-status" => {
            print!("{}", std::fs::read_to_string("/proc/self/status").unwrap_or_default());
            Some(0)
        }
        "@pid" => {
            println!("{}", std::process::id());
            Some(0)
        }
        "@cat" => {
            let mut bytes = Vec::new();
            let copied =
                std::io::stdin().read_to_end(&mut bytes).and_then(|_| std::io::stdout().write_all(&bytes));
            Some(i32::from(copied.is_err()))
        }
        "@is-open" => Some(i32::from(nix::sys::stat::fstat(borrowed(number(0))).is_err())),
        "@announce" => {
            println!("here");
            std::thread::sleep(std::time::Duration::from_secs(60));
            Some(0)
        }
        "@sleep" => {
            std::thread::sleep(std::time::Duration::from_secs(60));
            Some(0)
        }
        "@disposition" => Some(crate::signal::disposition_code(number(0))),
        "@blocked" => Some(crate::signal::blocked_code(number(0))),
        "@start" => {
            crate::elf::print_start();
            Some(0)
        }
        "@directory" => {
            println!(
                "{}",
                std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default()
            );
            Some(0)
        }
        _ => None,
    }
}

fn borrowed(number: i32) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: the number is only asked about; a closed one gives EBADF, which is the answer.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(number) }
}
