//! Server software as Debian packages it, unmodified: each with its clients in one container, over the loopback interface.
//!
//! What is run is in a file beside this one; each ends by printing that it passed.

use std::time::Duration;

use coffer_harness::Accelerator;
use coffer_harness::images::Recipe;
use coffer_images::debian;

use super::{Picture, Test, command};
use crate::machine::Setting;

fn server(name: &'static str, recipe: Recipe, mut setting: Setting) -> Test {
    setting.patience = Duration::from_secs(400);
    setting.memory_mib = 2048;
    Test {
        name,
        image: Picture::Packages(recipe),
        setting,
        expect: |outcome| outcome.expect_output("passed\n"),
    }
}

fn shell(script: &str) -> Setting {
    command(&["sh", "-c", script])
}

pub fn tests() -> Vec<Test> {
    vec![
        server("nginx", debian::NGINX, shell(include_str!("nginx.sh"))),
        server("redis", debian::REDIS, shell(include_str!("redis.sh"))),
        server("postgres", debian::POSTGRES, as_user("postgres", shell(include_str!("postgres.sh")))),
        server("sqlite", debian::TOOLS, shell(include_str!("sqlite.sh"))),
        server("nodejs", debian::NODE, command(&["node", "-e", include_str!("server.js")])),
        server("openjdk", debian::JAVA, java(include_str!("Main.java"))),
    ]
}

fn as_user(user: &str, mut setting: Setting) -> Setting {
    setting.run.user = Some(user.to_owned());
    setting
}

/// The program's text comes by standard input; the Java runtime lacks a compiler, so that is Eclipse's. Emulated, it gets one CPU:
/// QEMU's several keep stale translations of code that one of them rewrites (`tests/abi/thread/processors.rs`), on any kernel, and
/// OpenJDK rewrites its own.
fn java(program: &str) -> Setting {
    let mut setting =
        shell("cd /tmp && cat >Main.java && ecj -17 -proc:none Main.java && exec java -Xmx256m Main");
    setting.stdin = program.as_bytes().to_vec();
    if Accelerator::detect() == Accelerator::Tcg {
        setting.cpus = 1;
    }
    setting
}
