//! What a container is given: namespaces, user, environment, terminal, masked paths.

use anyhow::ensure;
use coffer_harness::control::Size;

use super::{Test, busybox, usual};

pub fn tests() -> Vec<Test> {
    vec![
        busybox("pid_one_and_its_namespaces", "echo $$; hostname; ps | wc -l", usual, |outcome| {
            outcome.expect_exit(0)?;
            let lines: Vec<&str> = outcome.stdout.lines().collect();
            // The heading, the shell, ps and wc.
            ensure!(lines.first() == Some(&"1") && lines.last() == Some(&"4"), "{:?}", outcome.stdout);
            Ok(())
        }),
        busybox(
            "user_by_name",
            "id -u; id -g; id -G; pwd; echo $HOME",
            |setting| {
                setting.run.user = Some("worker".to_owned());
                setting.run.workdir = Some("/tmp".to_owned());
            },
            |outcome| outcome.expect_output("1000\n1001\n1001 1002\n/tmp\n/home/worker\n"),
        ),
        busybox(
            "environment_and_host_name",
            "echo $NAME; hostname",
            |setting| {
                setting.run.env = vec!["NAME=a value".to_owned()];
                setting.run.hostname = Some("chosen".to_owned());
            },
            |outcome| outcome.expect_output("a value\nchosen\n"),
        ),
        busybox(
            "read_only_root",
            "touch /file 2> /dev/null && echo written; echo x > /dev/null && echo fine",
            |setting| setting.run.read_only = true,
            |outcome| outcome.expect_output("fine\n"),
        ),
        busybox(
            "terminal",
            "tty; stty size; echo end",
            |setting| setting.run.tty = Some(Size { rows: 33, cols: 111 }),
            |outcome| {
                outcome.expect_exit(0)?;
                let text = outcome.stdout.replace('\r', "");
                ensure!(text.starts_with("/dev/") && text.ends_with("33 111\nend\n"), "{text:?}");
                Ok(())
            },
        ),
        busybox(
            "masked_and_read_only_paths",
            "cat /proc/interrupts 2>&1 | wc -c; (echo x > /proc/sys/kernel/hostname) 2> /dev/null || echo refused",
            usual,
            |outcome| outcome.expect_output("0\nrefused\n"),
        ),
        busybox(
            "other_devices_stay_closed",
            "mknod /dev/disk b 254 0 && mknod /zero c 1 5; head -c 1 /dev/disk 2> /dev/null | wc -c; \
             head -c 1 /zero 2> /dev/null | wc -c; head -c 1 /dev/zero | wc -c",
            usual,
            |outcome| outcome.expect_output("0\n0\n1\n"),
        ),
    ]
}
