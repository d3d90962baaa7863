//! What people type into a minimal Debian.

use std::time::Duration;

use anyhow::ensure;

use coffer_images::debian;

use super::{Picture, Test, command, last_checksum};
use crate::machine::Outcome;

fn bash(name: &'static str, script: &'static str, expect: fn(&Outcome) -> anyhow::Result<()>) -> Test {
    let mut setting = command(&["bash", "-c", script]);
    setting.patience = Duration::from_secs(400);
    setting.memory_mib = 2048;
    Test { name, image: Picture::Packages(debian::DEBIAN), setting, expect }
}

pub fn tests() -> Vec<Test> {
    vec![
        bash(
            "debian_pipelines",
            "set -euo pipefail; seq 1 1000 | grep 7 | sort -rn | head -3 | tr '\\n' ' '; \
             cat <(echo one) <(echo two); for i in {1..20}; do echo $i; done | awk '{ s += $1 } END { print s }'; \
             x=$(printf %s hello | sed s/l/L/g | rev); echo $x; echo a b c | xargs -n1 | wc -l; (exit 3) || echo $?; \
             trap 'echo bye' EXIT; wait; [[ abc =~ b ]] && echo match",
            |outcome| outcome.expect_output("997 987 979 one\ntwo\n210\noLLeh\n3\n3\nmatch\nbye\n"),
        ),
        bash(
            "debian_checksums_agree_with_the_host",
            "find / -xdev -type f | xargs sha256sum | sort | tail -1",
            |outcome| outcome.expect_output(&format!("{}\n", last_checksum()?)),
        ),
        bash(
            "debian_tar_and_gzip",
            "set -e; cd /tmp; tar -C /usr -czf t.tgz share/base-files; mkdir out; tar -C out -xzf t.tgz; \
             diff -r /usr/share/base-files out/share/base-files && echo same; \
             head -c 3000000 /dev/zero | gzip -9 | gunzip | wc -c; gzip -t t.tgz && echo tested; \
             tar -cf - -C /etc . | tar -tf - | grep -c passwd",
            |outcome| {
                outcome.expect_exit(0)?;
                ensure!(outcome.stdout.starts_with("same\n3000000\ntested\n"), "{:?}", outcome.stdout);
                Ok(())
            },
        ),
        bash(
            "debian_perl",
            "perl -e 'my %h; $h{$_ % 7} += $_ for 1..10000; print join(\",\", map { $h{$_} } sort keys %h), \"\\n\"; \
             open(my $p, \"-|\", \"echo from a pipe\") or die; print <$p>; \
             my $pid = fork(); if (!$pid) { exit 5 } waitpid($pid, 0); print $? >> 8, \"\\n\"; \
             $SIG{ALRM} = sub { print \"alarm\\n\" }; alarm 1; sleep 3; print sprintf(\"%.3f\", sqrt(2)), \"\\n\"'",
            |outcome| {
                outcome.expect_exit(0)?;
                ensure!(outcome.stdout.ends_with("from a pipe\n5\nalarm\n1.414\n"), "{:?}", outcome.stdout);
                Ok(())
            },
        ),
        bash(
            "debian_dpkg",
            "dpkg -l | grep -c ^ii; dpkg -L bash | grep -x /bin/bash; dpkg -s bash | grep ^Status",
            |outcome| {
                outcome.expect_exit(0)?;
                let count: u32 = outcome.stdout.lines().next().unwrap_or_default().parse()?;
                let rest = "/bin/bash\nStatus: install ok installed\n";
                ensure!(count > 60 && outcome.stdout.ends_with(rest), "{:?}", outcome.stdout);
                Ok(())
            },
        ),
        bash(
            "debian_files",
            "set -e; cd /tmp; mkdir -p a/b; echo x > a/b/f; ln -s b a/l; ln a/b/f a/g; cp -a a c; mv c d; \
             chmod 600 d/g; stat -c '%a %h' d/g; readlink d/l; rm -rf a; ls -R d; du -s d > /dev/null; \
             dd if=/dev/zero of=z bs=64k count=16 2> /dev/null; stat -c %s z; truncate -s 10 z; cmp -n 10 z /dev/zero; \
             rm /usr/bin/perl; ls /usr/bin/perl 2> /dev/null || echo gone; mkdir /usr/bin/perl && rmdir /usr/bin/perl",
            |outcome| outcome.expect_output("600 2\nb\nd:\nb\ng\nl\n\nd/b:\nf\n1048576\ngone\n"),
        ),
        bash(
            "debian_job_control",
            "set -m; sleep 60 & kill -STOP %1; sleep 0.3; jobs %1 | grep -c Stopped; \
             kill -CONT %1; kill %1; for i in 1 2 3; do (exit $i) & done; wait; echo done; \
             timeout 1 sleep 20; echo $?; yes | head -1",
            |outcome| {
                outcome.expect_exit(0)?;
                ensure!(outcome.stdout.ends_with("done\n124\ny\n"), "{:?}", outcome.stdout);
                Ok(())
            },
        ),
    ]
}
