//! ostd's own tests (`tests/ostd`): a kernel that runs them all in one boot, with one CPU and with two; and one boot for each thing that must
//! end in a panic with the right words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use coffer_harness::{Boot, DEBUG_EXIT_PORT, Ended, Machine};

use crate::programs;
use crate::suite::{Suite, Verdict};

const PACKAGE: &str = "coffer-ostd-tests";

/// The files with cases, for their names: the program says what it ran, these say what it must have run.
const AREAS: [&str; 9] = [
    include_str!("../../ostd/src/tasks.rs"),
    include_str!("../../ostd/src/locks.rs"),
    include_str!("../../ostd/src/timers.rs"),
    include_str!("../../ostd/src/interrupts.rs"),
    include_str!("../../ostd/src/memory.rs"),
    include_str!("../../ostd/src/ring3.rs"),
    include_str!("../../ostd/src/vectors.rs"),
    include_str!("../../ostd/src/shootdown.rs"),
    include_str!("../../ostd/src/fork.rs"),
];

/// What must end in a panic, and what that says.
const DEATHS: [(&str, &str); 10] = [
    ("sleeping_in_a_handler", "tried to sleep"),
    ("sleeping_under_a_spin_lock", "tried to sleep"),
    ("changing_spaces_in_a_handler", "an address space changes only"),
    ("ring3_in_a_handler", "ring 3 runs with interrupts on"),
    ("ring3_with_interrupts_off", "ring 3 runs with interrupts on"),
    ("ring3_under_a_guard", "user code must be preemptible"),
    ("changing_spaces_under_a_cursor", "an address space changes only"),
    ("overflowing_a_stack", "double fault"),
    ("overflowing_an_idle_stack", "double fault"),
    ("running_out_of_heap", "memory allocation of"),
];

/// How long one boot may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// How `ostd::power` tells the host of an orderly end and of a panic.
const CLEAN: u8 = 0x10;
const PANIC: u8 = 0x20;

/// Adds every case.
pub fn add(suite: &mut Suite) -> anyhow::Result<()> {
    let names: Vec<String> = AREAS.iter().flat_map(|text| cases(text)).collect();
    ensure!(names.len() > 40, "tests/ostd names its cases in another way");
    let deaths = DEATHS.map(|(name, words)| (format!("ostd/dies/{name}"), words));
    let is_wanted = |cpus: u32, name: &String| suite.is_selected(&format!("ostd/{cpus}cpu/{name}"));
    let chosen = [1, 2]
        .map(|cpus| (cpus, names.iter().filter(|name| is_wanted(cpus, name)).cloned().collect::<Vec<_>>()));
    if chosen.iter().all(|(_, names)| names.is_empty())
        && !deaths.iter().any(|(name, _)| suite.is_selected(name))
    {
        return Ok(());
    }
    let kernel = programs::build_kernel(PACKAGE)?;
    for (cpus, names) in chosen {
        if names.is_empty() {
            continue;
        }
        let (kernel, is_all) =
            (kernel.clone(), names.len() == AREAS.iter().flat_map(|text| cases(text)).count());
        let full_names = names.iter().map(|name| format!("ostd/{cpus}cpu/{name}")).collect();
        suite.add_group(full_names, move |report| {
            let command_line = if is_all { String::new() } else { format!("case={}", names.join(",")) };
            match run(&kernel, cpus, &command_line) {
                Ok((ended, console)) => {
                    for (name, verdict) in console.iter().filter_map(|line| verdict(line)) {
                        report(&format!("ostd/{cpus}cpu/{name}"), verdict);
                    }
                    if ended != Ended::DebugExit(CLEAN) {
                        console.iter().for_each(|line| println!("  {line}"));
                        println!("  the machine ended by {ended:?}");
                    }
                }
                Err(error) => println!("  {error:#}"),
            }
        });
    }
    for (name, words) in deaths {
        let kernel = kernel.clone();
        let case = name.trim_start_matches("ostd/").to_owned();
        suite.add(&name, move || {
            let (ended, console) = run(&kernel, 2, &format!("case={case}"))?;
            ensure!(ended == Ended::DebugExit(PANIC), "it ended by {ended:?}: {console:?}");
            let message = console.iter().find(|line| line.contains("kernel panic")).context("no message")?;
            ensure!(message.contains(words), "it said {message:?}");
            Ok(())
        });
    }
    Ok(())
}

/// The names in a file's `cases!("area": one, two);`.
fn cases(text: &str) -> Vec<String> {
    let list = text.split_once("crate::cases!(").and_then(|(_, rest)| rest.split_once(");"));
    let Some((area, names)) = list.and_then(|(list, _)| list.split_once(':')) else { return Vec::new() };
    let area = area.trim_matches('"');
    names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| format!("{area}/{name}"))
        .collect()
}

/// Boots; gives how it ended and all that it printed.
fn run(kernel: &Path, cpus: u32, words: &str) -> anyhow::Result<(Ended, Vec<String>)> {
    let boot = Boot::Direct {
        kernel: PathBuf::from(kernel),
        initramfs: None,
        command_line: format!("coffer.debug_exit={DEBUG_EXIT_PORT:#x} {words}"),
    };
    let mut machine = Machine::new(boot);
    machine.cpus = cpus;
    machine.memory_mib = 512;
    let (sender, lines) = std::sync::mpsc::channel::<String>();
    let mut running = machine.start(move |line| {
        // Nobody listens any more once the machine has taken too long.
        let _ended = sender.send(line.trim_end().to_owned());
    })?;
    let ended = running.wait(Some(PATIENCE))?;
    Ok((ended, lines.try_iter().collect()))
}

/// Reads `ok NAME` or `FAIL NAME: reason`.
fn verdict(line: &str) -> Option<(&str, Verdict)> {
    let (word, rest) = line.split_once(' ')?;
    match word {
        "ok" => Some((rest, Verdict::Passed)),
        "FAIL" => rest.split_once(": ").map(|(name, why)| (name, Verdict::Failed(why.to_owned()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{AREAS, cases, verdict};
    use crate::suite::Verdict;

    #[test]
    fn cases_are_read_from_their_list() {
        assert_eq!(cases("x\ncrate::cases!(\"a\":\n    one,\n    two,\n);\nfn"), ["a/one", "a/two"]);
        assert!(AREAS.iter().all(|text| cases(text).len() > 2));
    }

    #[test]
    fn lines_are_verdicts_or_nothing() {
        assert_eq!(verdict("ok a/b"), Some(("a/b", Verdict::Passed)));
        assert_eq!(verdict("FAIL a/b: c: d"), Some(("a/b", Verdict::Failed("c: d".to_owned()))));
        assert_eq!(verdict("2 CPUs"), None);
    }
}
