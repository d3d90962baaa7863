//! execve(2): what the new program gets and what it does not.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child::until;
use crate::program::{SELF, command};

cases!("process":
    exec_passes_arguments_in_order,
    exec_passes_the_environment,
    exec_passes_long_arguments,
    exec_keeps_the_pid,
    exec_closes_only_cloexec_descriptors,
    exec_keeps_the_working_directory,
    exec_of_nothing_fails_with_enoent,
    exec_of_a_directory_fails_with_eacces,
    exec_without_permission_fails_with_eacces,
    exec_with_too_many_arguments_fails_with_e2big,
    exec_sets_the_command_name,
    exec_ends_the_other_threads,
    spawn_reads_what_the_child_writes,
    spawn_reports_a_missing_program,
    fexecve_runs_an_open_file,
    a_program_that_runs_cannot_be_written_to,
    a_file_that_is_open_for_writing_cannot_be_executed,
);

fn exec_passes_arguments_in_order() -> Outcome {
    let output = command("@arguments").args(["one", "", "three with spaces", "vier"]).output()?;
    check_eq!(String::from_utf8_lossy(&output.stdout), "one\n\nthree with spaces\nvier\n");
    Ok(())
}

fn exec_passes_the_environment() -> Outcome {
    let output = command("@environment").env_clear().env("A", "1").env("B", "two words").output()?;
    check_eq!(String::from_utf8_lossy(&output.stdout), "A=1\nB=two words\n");
    Ok(())
}

fn exec_passes_long_arguments() -> Outcome {
    let long = "x".repeat(100_000);
    let output = command("@arguments").args([&long, &long]).output()?;
    check_eq!(output.stdout.len(), 200_002);
    Ok(())
}

fn exec_keeps_the_pid() -> Outcome {
    let child = command("@pid").stdout(Stdio::piped()).spawn()?;
    let pid = child.id();
    check_eq!(String::from_utf8_lossy(&child.wait_with_output()?.stdout).trim(), pid.to_string());
    Ok(())
}

fn exec_closes_only_cloexec_descriptors() -> Outcome {
    let file = File::create("file")?;
    let is_open = |file: &File| command("@is-open").arg(file.as_raw_fd().to_string()).status();
    check_eq!(is_open(&file)?.code(), Some(1));
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    check_eq!(is_open(&file)?.code(), Some(0));
    Ok(())
}

fn exec_keeps_the_working_directory() -> Outcome {
    fs::create_dir("inner")?;
    let inner = fs::canonicalize("inner")?;
    let output = command("@directory").current_dir("inner").output()?;
    check_eq!(String::from_utf8_lossy(&output.stdout).trim(), inner.display().to_string());
    Ok(())
}

fn exec_of_nothing_fails_with_enoent() -> Outcome {
    check_fails!(nix::unistd::execv(c"/no/such/program", &[c"x"]), ENOENT);
    check_fails!(nix::unistd::execv(c"", &[c"x"]), ENOENT);
    Ok(())
}

fn exec_of_a_directory_fails_with_eacces() -> Outcome {
    check_fails!(nix::unistd::execv(c"/proc", &[c"x"]), EACCES);
    Ok(())
}

fn exec_without_permission_fails_with_eacces() -> Outcome {
    // Without any x bit not even root may execute.
    fs::copy(SELF, "copy")?;
    fs::set_permissions("copy", fs::Permissions::from_mode(0o644))?;
    check_fails!(nix::unistd::execv(c"./copy", &[c"x"]), EACCES);
    fs::set_permissions("copy", fs::Permissions::from_mode(0o755))?;
    check_eq!(Command::new("./copy").args(["@exit", "8"]).status()?.code(), Some(8));
    Ok(())
}

fn exec_with_too_many_arguments_fails_with_e2big() -> Outcome {
    // One string may have 32 pages, all of them a quarter of the stack limit.
    let error = command("@arguments").arg("x".repeat(200_000)).output();
    check_fails!(error, E2BIG);
    let error = command("@arguments").args(vec!["y".repeat(100_000); 100]).output();
    check_fails!(error, E2BIG);
    Ok(())
}

fn exec_sets_the_command_name() -> Outcome {
    let path = std::env::current_dir()?.join("a-name-of-more-than-fifteen");
    fs::copy(SELF, &path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let mut child = Command::new(&path).arg0("other").arg("@sleep").spawn()?;
    // Linux closes descriptors, which is what the spawn waits for, before it sets the name.
    let comm = format!("/proc/{}/comm", child.id());
    let named = until("the new name", || Ok(fs::read_to_string(&comm)? == "a-name-of-more-\n"));
    let link = fs::read_link(format!("/proc/{}/exe", child.id()))?;
    child.kill()?;
    child.wait()?;
    named?;
    check_eq!(link, path);
    Ok(())
}

fn exec_ends_the_other_threads() -> Outcome {
    let child = crate::child::fork(|| {
        for _ in 0..3 {
            std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(60)));
        }
        let _ = command("@exit").arg("11").exec();
        1
    })?;
    check_eq!(child.exit_code()?, 11);
    Ok(())
}

fn spawn_reads_what_the_child_writes() -> Outcome {
    let mut child = command("@cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or_else(|| crate::case::Failure::wrong("no stdin"))?;
    let text = "some text\n".repeat(10_000);
    let copy = text.clone();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, copy.as_bytes()));
    let output = child.wait_with_output()?;
    check!(writer.join().is_ok_and(|written| written.is_ok()));
    check!(output.stdout == text.as_bytes(), "{} bytes of {}", output.stdout.len(), text.len());
    Ok(())
}

fn spawn_reports_a_missing_program() -> Outcome {
    check_fails!(Command::new("/no/such/program").spawn(), ENOENT);
    Ok(())
}

fn fexecve_runs_an_open_file() -> Outcome {
    let file = File::open(SELF)?;
    let child = crate::child::fork(|| {
        let _ = nix::unistd::execveat(
            &file,
            c"",
            &[c"x", c"@exit", c"12"],
            &[c""; 0],
            nix::fcntl::AtFlags::AT_EMPTY_PATH,
        );
        1
    })?;
    check_eq!(child.exit_code()?, 12);
    Ok(())
}

fn a_program_that_runs_cannot_be_written_to() -> Outcome {
    fs::copy(SELF, "program")?;
    let mut child = Command::new("./program").arg("@announce").stdout(Stdio::piped()).spawn()?;
    let mut line = [0; 5];
    child.stdout.as_mut().ok_or(Errno::EBADF)?.read_exact(&mut line)?;
    check_fails!(OpenOptions::new().write(true).open("program"), ETXTBSY);
    check_fails!(OpenOptions::new().read(true).append(true).open("program"), ETXTBSY);
    check_fails!(File::create("program"), ETXTBSY);
    check_fails!(nix::unistd::truncate("program", 0), ETXTBSY);
    check!(fs::metadata("program")?.len() > 1000, "the program was cut short");
    // Reading it, other attributes, and another file under its name are fine.
    drop(File::open("program")?);
    fs::set_permissions("program", fs::Permissions::from_mode(0o700))?;
    fs::copy(SELF, "other")?;
    fs::rename("other", "program")?;
    drop(OpenOptions::new().write(true).open("program")?);

    child.kill()?;
    child.wait()?;
    // Once it has ended, and after one that only ran a moment, it can be.
    for _ in 0..20 {
        check_eq!(Command::new("./program").args(["@exit", "3"]).status()?.code(), Some(3));
        drop(OpenOptions::new().write(true).open("program")?);
    }
    Ok(())
}

fn a_file_that_is_open_for_writing_cannot_be_executed() -> Outcome {
    fs::copy(SELF, "program")?;
    let run = || Command::new("./program").args(["@exit", "0"]).status();
    let writer = OpenOptions::new().write(true).open("program")?;
    check_fails!(run(), ETXTBSY);
    // As long as any of its descriptors is open.
    let second = writer.try_clone()?;
    drop(writer);
    check_fails!(run(), ETXTBSY);
    drop(second);
    check_eq!(run()?.code(), Some(0));

    // Nor as the interpreter of a script, while the script itself only has to be read.
    fs::write("script", "#!./program @exit\n")?;
    fs::set_permissions("script", fs::Permissions::from_mode(0o755))?;
    let writer = OpenOptions::new().write(true).open("program")?;
    check_fails!(Command::new("./script").status(), ETXTBSY);
    drop(writer);
    let writer = OpenOptions::new().write(true).open("script")?;
    check_fails!(Command::new("./script").status(), ETXTBSY);
    drop(writer);
    check_eq!(Command::new("./script").status()?.code(), Some(0));
    Ok(())
}
