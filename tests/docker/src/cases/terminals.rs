//! -it: a terminal from end to end.

use anyhow::ensure;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("terminals/run_a_shell", shell),
    ("terminals/size_follows_the_window", size),
    ("terminals/interrupt_reaches_the_foreground", interrupt),
    ("terminals/detach_and_attach", detach),
    ("terminals/exec_a_shell", exec),
];

fn shell(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let mut terminal = docker.terminal(&["run", "--rm", "-it", IMAGE, "sh"])?;
    terminal.expect("/ # ")?;
    terminal.type_keys("echo $((6*7)); tty\r")?;
    terminal.expect("42")?;
    terminal.expect("/dev/pts/0")?;
    terminal.type_keys("exit 3\r")?;
    let code = terminal.exit_code()?;
    ensure!(code == 3, "exit code {code}; {:?}", terminal.shown());
    Ok(())
}

fn size(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let mut terminal = docker.terminal(&["run", "--rm", "-it", IMAGE, "sh"])?;
    terminal.expect("/ # ")?;
    terminal.type_keys("stty size\r")?;
    terminal.expect("40 100")?;
    terminal.resize(31, 97)?;
    docker.until("the new size", || {
        // The client tells the engine after the signal; ask until it has.
        std::thread::sleep(std::time::Duration::from_millis(200));
        Ok(terminal.type_keys("stty size\r").is_ok() && terminal.shown().contains("31 97"))
    })?;
    terminal.type_keys("\rexit\r")?;
    terminal.exit_code()?;
    Ok(())
}

fn interrupt(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let mut terminal = docker.terminal(&["run", "--rm", "-it", IMAGE, "sh"])?;
    terminal.expect("/ # ")?;
    // Shown once the command runs; what is typed has no 42.
    terminal.type_keys("sh -c 'echo started-$((6*7)); exec sleep 1000'\r")?;
    terminal.expect("started-42")?;
    terminal.type_keys("\u{3}")?;
    terminal.type_keys("echo status=$?\r")?;
    terminal.expect("status=130")?;
    terminal.type_keys("exit\r")?;
    terminal.exit_code()?;
    Ok(())
}

fn detach(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let mut terminal = docker.terminal(&["run", "-it", "--name", "detach", IMAGE, "sh"])?;
    terminal.expect("/ # ")?;
    terminal.type_keys("\u{10}\u{11}")?;
    terminal.exit_code()?;
    ensure!(docker.ok(&["inspect", "--format", "{{.State.Running}}", "detach"])? == "true", "it ended");
    let mut terminal = docker.terminal(&["attach", "detach"])?;
    terminal.type_keys("echo back-again-$((1+1))\r")?;
    terminal.expect("back-again-2")?;
    terminal.type_keys("exit 5\r")?;
    ensure!(terminal.exit_code()? == 5, "{:?}", terminal.shown());
    docker.ok(&["rm", "-f", "detach"])?;
    Ok(())
}

fn exec(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "exec-tty", IMAGE, "sleep", "1000"])?;
    let mut terminal = docker.terminal(&["exec", "-it", "exec-tty", "sh"])?;
    terminal.expect("/ # ")?;
    terminal.type_keys("stty size; exit 8\r")?;
    terminal.expect("40 100")?;
    ensure!(terminal.exit_code()? == 8, "{:?}", terminal.shown());
    docker.ok(&["rm", "-f", "exec-tty"])?;
    Ok(())
}
