//! Containers for real, on the Linux that the tests run on. They need root and a static busybox, and say so when that is missing.

#![expect(clippy::tests_outside_test_module, reason = "an integration test is a module of tests")]

mod support;

use std::time::Duration;

use coffer_engine::container::{Change, Condition, ListOptions, LogsOptions, RemoveOptions};
use coffer_engine::{Error, Filters};
use runtime_measure::{Client, RuntimeEvent};
use rustix::net::{RecvFlags, SendFlags, recv, send as answer};
use sha2::{Digest as _, Sha384};
use support::{Machine, can_run, drain, send, shell, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

macro_rules! machine {
    () => {{
        if !can_run() {
            return;
        }
        Machine::new().await
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_and_its_logs_and_exit_code_stay() {
    let machine = machine!();
    let (text, code) = machine.run("echo out; echo err >&2; exit 7", "{}").await;
    assert_eq!(code, 7);
    assert!(text.contains("out\n") && text.contains("err\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attach_before_start_loses_nothing_and_ends_with_the_output() {
    let machine = machine!();
    let body = r#"{"Image":"busybox","Cmd":["cat"],"OpenStdin":true,"StdinOnce":true,"AttachStdin":true,"HostConfig":{"NetworkMode":"none"}}"#;
    let id = machine.create(body).await.unwrap();
    let mut attachment = machine.attach(&id).await;
    let wait = machine.engine.container_wait(&id, Condition::NextExit).await.unwrap();
    machine.engine.container_start(&id).await.unwrap();
    let text = "x".repeat(300_000) + "\n";
    let (mut read, mut write) = attachment.stream.split();
    let mut bytes = Vec::new();
    let sent = text.clone();
    within(async {
        tokio::join!(
            async {
                write.write_all(sent.as_bytes()).await.unwrap();
                write.shutdown().await.unwrap();
            },
            async { read.read_to_end(&mut bytes).await.unwrap() }
        )
    })
    .await;
    assert_eq!(support::unframe(&bytes), text);
    assert_eq!(within(wait.done()).await.status_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_raw_and_has_a_size_and_detach_keys() {
    let machine = machine!();
    let body = r#"{"Image":"busybox","Cmd":["sh"],"OpenStdin":true,"Tty":true,"HostConfig":{"ConsoleSize":[33,99],"NetworkMode":"none"}}"#;
    let id = machine.create(body).await.unwrap();
    let mut attachment = machine.attach(&id).await;
    machine.engine.container_start(&id).await.unwrap();
    send(&mut attachment, "stty size; tty; exit 3\r").await;
    assert_eq!(machine.wait(&id).await, 3);
    let text = drain(attachment).await;
    assert!(text.contains("33 99\r\n") && text.contains("/dev/pts/0\r\n"), "{text}");

    let id = machine.create(body).await.unwrap();
    let mut attachment = machine.attach(&id).await;
    machine.engine.container_start(&id).await.unwrap();
    send(&mut attachment, "\x10\x11").await;
    drain(attachment).await;
    assert!(machine.engine.is_running(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn start_errors_have_dockers_words_and_codes() {
    let machine = machine!();
    for (program, code, words) in [
        ("none", 127, "executable file not found"),
        ("/bin/none", 127, "no such file or directory"),
        ("/etc/passwd", 126, "permission denied"),
        ("/bin", 126, "is a directory"),
    ] {
        let id = machine
            .create(&format!(
                r#"{{"Image":"busybox","Cmd":["{program}"],"HostConfig":{{"NetworkMode":"none"}}}}"#
            ))
            .await
            .unwrap();
        let error = machine.engine.container_start(&id).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!((error.status(), error.exit_code()), (400, code));
        let state = machine.engine.container_inspect(&id, false).await.unwrap().state.unwrap();
        assert_eq!(state.exit_code, Some(i64::from(code)));
    }
    let error = machine.create(r#"{"Image":"none"}"#).await.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (404, "No such image: none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_sends_the_signal_then_kills() {
    let machine = machine!();
    let id = machine.start("trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done", "{}").await;
    wait_for_log(&machine, &id, "up").await;
    assert_eq!(machine.engine.container_start(&id).await.unwrap(), Change::AlreadySo);
    let stopped = machine.engine.container_stop(&id, Some("SIGUSR1"), Some(5)).await.unwrap();
    assert_eq!((stopped, machine.wait(&id).await), (Change::Done, 9));
    assert_eq!(machine.engine.container_stop(&id, None, None).await.unwrap(), Change::AlreadySo);
    let id = machine.start("trap '' TERM; while :; do sleep 0.05; done", "{}").await;
    machine.engine.container_stop(&id, None, Some(0)).await.unwrap();
    assert_eq!(machine.wait(&id).await, 137);
    let error = machine.engine.container_kill(&id, None).await.unwrap_err();
    assert_eq!(error.status(), 409);
    machine.engine.container_restart(&id, None, None).await.unwrap();
    assert!(machine.engine.is_running(&id));
    machine.engine.container_kill(&id, Some("KILL")).await.unwrap();
}

async fn wait_for_log(machine: &Machine, id: &str, text: &str) {
    for _ in 0..400 {
        if machine.logs(id).await.contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("`{text}` is not logged: {}", machine.logs(id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_unique_and_containers_are_found_by_them() {
    let machine = machine!();
    let body = || serde_json::from_str(r#"{"Image":"busybox","Labels":{"a":"b"}}"#).unwrap();
    let id = machine.engine.container_create(Some("web"), body()).await.unwrap().id;
    let error = machine.engine.container_create(Some("/web"), body()).await.unwrap_err();
    assert_eq!(error.status(), 409);
    assert!(
        error
            .to_string()
            .starts_with(r#"Conflict. The container name "/web" is already in use by container"#)
    );
    for reference in ["web", "/web", &id, &id[..12]] {
        assert_eq!(
            machine.engine.container_inspect(reference, true).await.unwrap().id.as_deref(),
            Some(id.as_str())
        );
    }
    machine.engine.container_rename("web", "site").await.unwrap();
    assert!(matches!(machine.engine.container_inspect("web", false).await, Err(Error::NoSuchContainer(_))));
    let filters =
        Filters::parse(Some(r#"{"label":["a=b","of=image"],"name":["sit"],"ancestor":["busybox"]}"#))
            .unwrap();
    let listed = machine
        .engine
        .container_list(ListOptions { all: true, filters, ..ListOptions::default() })
        .await
        .unwrap();
    assert_eq!(listed[0].names.as_deref(), Some(&["/site".to_owned()][..]));
    assert!(machine.engine.container_list(ListOptions::default()).await.unwrap().is_empty());
    machine.engine.container_remove("site", RemoveOptions::default()).await.unwrap();
    assert!(
        machine
            .engine
            .container_list(ListOptions { all: true, ..ListOptions::default() })
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_comes_after_the_container_is_gone() {
    let machine = machine!();
    let id = machine.create(&shell("exit 4", r#"{"AutoRemove":true}"#)).await.unwrap();
    let wait = machine.engine.container_wait(&id, Condition::Removed).await.unwrap();
    machine.engine.container_start(&id).await.unwrap();
    assert_eq!(within(wait.done()).await.status_code, 4);
    assert!(matches!(machine.engine.container_inspect(&id, false).await, Err(Error::NoSuchContainer(_))));
    assert!(!machine.folder.path().join("containers").join(&id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_container_is_removed_by_force_only() {
    let machine = machine!();
    let id = machine.start("sleep 100", "{}").await;
    let error = machine.engine.container_remove(&id, RemoveOptions::default()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("container is running: stop the container before removing or force remove")
    );
    machine
        .engine
        .container_remove(&id, RemoveOptions { force: true, ..RemoveOptions::default() })
        .await
        .unwrap();
    assert!(matches!(machine.engine.container_inspect(&id, false).await, Err(Error::NoSuchContainer(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_joins_the_container() {
    let machine = machine!();
    let id = machine.start("sleep 100", r#"{"NetworkMode":"none"}"#).await;
    let (text, code) = machine
        .exec(&id, r#"{"Cmd":["sh","-c","id -u; echo $HOME $A; hostname; cat; ls /proc | grep -c '^[0-9]'; exit 5"],"User":"web",
            "Env":["A=1"],"AttachStdout":true,"AttachStderr":true}"#)
        .await;
    assert_eq!((text.as_str(), code), (format!("33\n/home 1\n{}\n4\n", &id[..12]).as_str(), 5));
    let (text, code) = machine
        .exec(&id, r#"{"Cmd":["sh","-c","tty; exit 6"],"Tty":true,"AttachStdout":true,"AttachStdin":true}"#)
        .await;
    assert_eq!((text.as_str(), code), ("/dev/pts/0\r\n", 6));
    let exec = machine
        .engine
        .exec_create(&id, serde_json::from_str(r#"{"Cmd":["none"]}"#).unwrap())
        .await
        .unwrap()
        .id;
    let error = machine.engine.exec_start(&exec, Default::default()).await.unwrap_err();
    assert_eq!((error.exit_code(), error.status()), (127, 400));
    machine.engine.container_kill(&id, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_engine_goes_on_where_the_old_one_was_killed() {
    let machine = machine!();
    let id = machine.start("echo one; sleep 1; echo two; exit 8", "{}").await;
    let ended = machine.start("exit 3", "{}").await;
    machine.wait(&ended).await;
    let engine = machine.again().await;
    assert!(engine.is_running(&id));
    let state = engine.container_inspect(&ended, false).await.unwrap().state.unwrap();
    assert_eq!((state.exit_code, state.running), (Some(3), Some(false)));
    let wait = engine.container_wait(&id, Condition::NotRunning).await.unwrap();
    assert_eq!(within(wait.done()).await.status_code, 8);
    assert_eq!(machine.logs(&id).await, "one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_policies_restart_until_they_are_told_not_to() {
    let machine = machine!();
    let id = machine
        .start("echo again; exit 1", r#"{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":2}}"#)
        .await;
    for _ in 0..500 {
        let inspected = machine.engine.container_inspect(&id, false).await.unwrap();
        if inspected.state.unwrap().status.unwrap().to_string() == "exited" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(machine.logs(&id).await, "again\n".repeat(3));
    assert_eq!(machine.engine.container_inspect(&id, false).await.unwrap().restart_count, Some(2));
    let id = machine.start("echo up; sleep 100", r#"{"RestartPolicy":{"Name":"always"}}"#).await;
    machine.engine.container_stop(&id, None, Some(0)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!machine.engine.is_running(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_begin_with_the_images_files_and_outlive_containers() {
    let machine = machine!();
    let (text, _) = machine.run("cat /data/seed; echo more > /data/more", r#"{"Binds":["vol:/data"]}"#).await;
    assert_eq!(text, "seed\n");
    let (text, _) = machine.run("cat /d/more; echo x > /d/x", r#"{"Binds":["vol:/d:ro"]}"#).await;
    assert!(text.starts_with("more\n") && text.contains("Read-only file system"), "{text}");
    let error = machine.engine.volume_remove("vol", false).await.unwrap_err();
    assert_eq!(error.status(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_reach_the_container() {
    let machine = machine!();
    let host = r#"{"ReadonlyRootfs":true,"Tmpfs":{"/t":"size=1m,mode=1777"},"CapAdd":["NET_ADMIN"],"CapDrop":["CHOWN"],"ExtraHosts":["db:10.1.2.3"],
        "Dns":["10.0.0.1"],"Ulimits":[{"Name":"nofile","Soft":99,"Hard":199}],"GroupAdd":["extra"],"ShmSize":1048576,"NetworkMode":"none",
        "SecurityOpt":["no-new-privileges"]}"#;
    let script = "touch /x; touch /t/x && grep -E 'CapEff|NoNewPrivs' /proc/self/status; cat /etc/hosts /etc/resolv.conf; ulimit -n; id -G; \
                  df -k /dev/shm | tail -1; ip link | grep -c mtu";
    let (text, _) = machine.run(script, host).await;
    for wanted in [
        "Read-only file system",
        "NoNewPrivs:\t1",
        "00000000a80435fa",
        "10.1.2.3\tdb",
        "nameserver 10.0.0.1",
        "\n99\n",
        "0 50",
        " 1024 ",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is not in\n{text}");
    }
    let error = machine.create(&shell("true", r#"{"BlkioWeight":300}"#)).await.unwrap_err();
    assert_eq!(
        (error.status(), error.to_string().as_str()),
        (501, "a limit of block I/O (--blkio-weight) is not supported by Coffer yet")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_chosen_followed_and_rotated() {
    let machine = machine!();
    let id = machine.start("for i in 1 2 3 4 5; do echo line $i; done; sleep 0.3; echo last", "{}").await;
    let all = LogsOptions { stdout: true, follow: true, ..LogsOptions::default() };
    assert_eq!(machine.logs_with(&id, all.clone()).await, "line 1\nline 2\nline 3\nline 4\nline 5\nlast\n");
    let tail = LogsOptions { tail: Some("2".to_owned()), follow: false, ..all.clone() };
    assert_eq!(machine.logs_with(&id, tail.clone()).await, "line 5\nlast\n");
    let stamped = machine.logs_with(&id, LogsOptions { timestamps: true, ..tail.clone() }).await;
    let time = stamped.lines().last().unwrap().split(' ').next().unwrap().to_owned();
    let since = LogsOptions { since: Some(time), tail: None, ..tail };
    assert_eq!(machine.logs_with(&id, since).await, "last\n");
    let host = r#"{"LogConfig":{"Type":"json-file","Config":{"max-size":"1k","max-file":"3"}}}"#;
    let (text, _) = machine.run("for i in $(seq 100); do echo line $i; done", host).await;
    assert!(text.ends_with("line 99\nline 100\n") && !text.contains("line 50\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shim_takes_its_container_along() {
    let machine = machine!();
    let id = machine.start("sleep 100", "{}").await;
    let pid = machine.engine.container_inspect(&id, false).await.unwrap().state.unwrap().pid.unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let shim = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    let shim = rustix::process::Pid::from_raw(shim).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    assert_eq!(machine.wait(&id).await, 137);
    for _ in 0..100 {
        if !std::path::Path::new(&format!("/proc/{pid}/root")).exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    machine.engine.container_start(&id).await.unwrap();
    machine.engine.container_kill(&id, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_copied_as_the_container_sees_them() {
    let machine = machine!();
    let host = r#"{"Binds":["vol:/vol"]}"#;
    let id = machine
        .start("echo in > /vol/file; ln -s /etc /tmp/link; ln -s / /tmp/root; echo up; sleep 100", host)
        .await;
    wait_for_log(&machine, &id, "up").await;
    let stat = machine.engine.archive_stat(&id, "/tmp/link").await.unwrap();
    assert_eq!((stat.name.as_str(), stat.link_target.as_str(), stat.mode >> 27), ("link", "/etc", 1));
    assert_eq!(machine.engine.archive_stat(&id, "/none").await.unwrap_err().status(), 404);
    for is_running in [true, false] {
        if !is_running {
            machine.engine.container_kill(&id, None).await.unwrap();
        }
        let (_, mut tar) = machine.engine.archive_get(&id, "/vol/file").await.unwrap();
        let mut bytes = Vec::new();
        within(tar.read_to_end(&mut bytes)).await.unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        assert_eq!((entry.path().unwrap().display().to_string().as_str(), text.as_str()), ("file", "in\n"));
        // A link to what is outside leads to the container's own files.
        let name = format!("put-{is_running}");
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o640);
        header.set_uid(33);
        header.set_gid(34);
        header.set_mtime(1);
        tar.append_data(&mut header, &name, &b"text"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        machine.engine.archive_put(&id, "/tmp/root/home", Default::default(), &tar[..]).await.unwrap();
        assert!(!std::path::Path::new("/home").join(&name).exists());
        assert_eq!(machine.engine.archive_stat(&id, &format!("/home/{name}")).await.unwrap().size, 4);
        let error =
            machine.engine.archive_put(&id, "/etc/passwd", Default::default(), &tar[..]).await.unwrap_err();
        assert_eq!(error.status(), 400);
    }
    let changes = machine.engine.container_changes(&id).await.unwrap();
    let has = |path: &str, kind: i64| changes.iter().any(|it| it.path == path && it.kind as i64 == kind);
    assert!(has("/home", 0) && has("/home/put-true", 1) && has("/tmp/link", 1), "{changes:?}");
}

/// Nothing gets into a container before PID 1 has measured that it does, and nothing at all if it does not measure it.
#[tokio::test(flavor = "multi_thread")]
async fn files_get_into_a_container_after_they_were_measured() {
    if !can_run() {
        return;
    }
    let (server, end) = runtime_measure::pair().unwrap();
    let machine = Machine::measured(Client::new(end)).await;
    let id = machine.create(r#"{"Image":"busybox","HostConfig":{"NetworkMode":"none"}}"#).await.unwrap();
    // PID 1: it refuses the first, and measures the second.
    let asked = std::thread::spawn(move || {
        [&b"\x01no"[..], b"\0"].map(|said| {
            let mut record = [0; 512];
            let (length, _) = recv(&server, &mut record[..], RecvFlags::empty()).unwrap();
            answer(&server, said, SendFlags::empty()).unwrap();
            RuntimeEvent::from_record(&record[..length], 0).unwrap()
        })
    });
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    tar.append_data(&mut header, "new", &b"text"[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let put = || machine.engine.archive_put(&id, "/home", Default::default(), &tar[..]);
    assert!(matches!(put().await, Err(Error::Start { .. })));
    assert_eq!(machine.engine.archive_stat(&id, "/home/new").await.unwrap_err().status(), 404);
    put().await.unwrap();
    assert_eq!(machine.engine.archive_stat(&id, "/home/new").await.unwrap().size, 4);
    for event in asked.join().unwrap() {
        let RuntimeEvent::ContentsChange { container, path } = event else { panic!("{event:?}") };
        let digits: String = container.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((digits, path), (id.clone(), Sha384::digest("/home").into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn top_and_pause_know_the_processes() {
    let machine = machine!();
    let id = machine.start("sleep 100 & while :; do echo tick; sleep 0.05; done", "{}").await;
    wait_for_log(&machine, &id, "tick").await;
    let top = machine.engine.container_top(&id, None).await.unwrap();
    assert_eq!(top.titles.unwrap().last().unwrap(), "CMD");
    assert!(top.processes.unwrap().iter().any(|row| row.last().unwrap() == "sleep 100"));
    match machine.engine.container_pause(&id).await {
        Ok(()) => {
            let before = machine.logs(&id).await.len();
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(machine.logs(&id).await.len() <= before + 5);
            assert_eq!(machine.engine.container_pause(&id).await.unwrap_err().status(), 409);
            machine.engine.container_unpause(&id).await.unwrap();
            machine.engine.container_pause(&id).await.unwrap();
        }
        Err(error) => println!("skipped: {error}"),
    }
    machine.engine.container_stop(&id, None, Some(0)).await.unwrap();
    assert_eq!(machine.wait(&id).await, 137);
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_a_network_find_each_other_by_name() {
    let machine = machine!();
    let request = r#"{"Name":"net1","IPAM":{"Config":[{"Subnet":"172.29.231.0/24"}]}}"#;
    if let Err(error) = machine.engine.network_create(serde_json::from_str(request).unwrap()).await {
        println!("skipped: {error}");
        return;
    }
    let body: serde_json::Value =
        serde_json::from_str(&shell("sleep 100", r#"{"NetworkMode":"net1"}"#)).unwrap();
    let first = machine
        .engine
        .container_create(Some("first"), serde_json::from_value(body).unwrap())
        .await
        .unwrap()
        .id;
    machine.engine.container_start(&first).await.unwrap();
    let (text, code) = machine.run("ping -c 1 -W 5 first; ip route", r#"{"NetworkMode":"net1"}"#).await;
    let inspected = machine.engine.network_inspect("net1").await.unwrap();
    let busy = machine.engine.network_remove("net1").await.unwrap_err().status();
    machine
        .engine
        .container_remove(&first, RemoveOptions { force: true, ..RemoveOptions::default() })
        .await
        .unwrap();
    machine.engine.network_remove("net1").await.unwrap();
    assert!(
        code == 0 && text.contains("from 172.29.231.2") && text.contains("default via 172.29.231.1"),
        "{text}"
    );
    assert_eq!((inspected.containers.unwrap().len(), busy), (1, 403));
}
