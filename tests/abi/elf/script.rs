//! `#!` scripts: execve(2), "Interpreter scripts".

use std::process::Command;

use super::program;
use crate::case::{Outcome, cases, check_eq, check_fails};

cases!("elf":
    a_script_runs_its_interpreter,
    a_script_passes_one_argument,
    a_script_of_a_script_runs,
    scripts_nest_only_so_deep,
    a_script_without_an_interpreter_fails,
);

/// A copy of this program under a name without `@`, so that the script's line decides what it does.
fn interpreter() -> std::io::Result<String> {
    let path = std::env::current_dir()?.join("interpreter");
    std::fs::copy(crate::program::SELF, &path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(path.display().to_string())
}

fn a_script_runs_its_interpreter() -> Outcome {
    let interpreter = interpreter()?;
    program("script", format!("#! {interpreter}  @arguments \nignored\n").as_bytes())?;
    let output = Command::new("./script").args(["one", "two"]).output()?;
    check_eq!(String::from_utf8_lossy(&output.stdout), "./script\none\ntwo\n");
    Ok(())
}

fn a_script_passes_one_argument() -> Outcome {
    // Everything after the interpreter is one argument: here it names no program, so the filters select nothing.
    let interpreter = interpreter()?;
    program("script", format!("#!{interpreter} no such case\n").as_bytes())?;
    let output = Command::new("./script").output()?;
    check_eq!(String::from_utf8_lossy(&output.stdout), "total: 0 passed, 0 failed, 0 skipped\n");
    Ok(())
}

fn a_script_of_a_script_runs() -> Outcome {
    let interpreter = interpreter()?;
    let here = std::env::current_dir()?.display().to_string();
    program("inner", format!("#!{interpreter} @arguments\n").as_bytes())?;
    program("outer", format!("#!{here}/inner\n").as_bytes())?;
    let output = Command::new("./outer").arg("last").output()?;
    check_eq!(String::from_utf8_lossy(&output.stdout), format!("{here}/inner\n./outer\nlast\n"));
    Ok(())
}

fn scripts_nest_only_so_deep() -> Outcome {
    let here = std::env::current_dir()?.display().to_string();
    program("script0", format!("#!{here}/script0\n").as_bytes())?;
    check_fails!(Command::new("./script0").status(), ELOOP);
    Ok(())
}

fn a_script_without_an_interpreter_fails() -> Outcome {
    program("script", b"#!/no/such/interpreter\n")?;
    check_fails!(Command::new("./script").status(), ENOENT);
    program("script", b"#!\n")?;
    check_fails!(Command::new("./script").status(), ENOEXEC);
    Ok(())
}
