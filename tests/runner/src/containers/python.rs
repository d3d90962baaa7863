//! CPython and what it calls.

use std::time::Duration;

use coffer_images::debian;

use super::{Picture, Test, command};

fn python(name: &'static str, script: &'static str) -> Test {
    let mut setting = command(&["python3", "-c", script]);
    setting.patience = Duration::from_secs(400);
    setting.memory_mib = 2048;
    // Each script ends with a line that only a run without an exception prints.
    Test {
        name,
        image: Picture::Packages(debian::PYTHON),
        setting,
        expect: |outcome| outcome.expect_output("passed\n"),
    }
}

pub fn tests() -> Vec<Test> {
    vec![
        python("python_threads", THREADS),
        python("python_subprocess", SUBPROCESS),
        python("python_sqlite3", SQLITE),
        python("python_mmap", MMAP),
        python("python_signals", SIGNALS),
        python("python_tempfile", TEMPFILE),
        python("python_sockets_and_selectors", SOCKETS),
        python("python_multiprocessing", MULTIPROCESSING),
    ]
}

const THREADS: &str = r#"
import threading, queue, time
from concurrent.futures import ThreadPoolExecutor
count, lock, items = 0, threading.Lock(), queue.Queue(5)
def work():
    global count
    for _ in range(2000):
        with lock: count += 1
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
assert count == 16000
consumer = threading.Thread(target=lambda: [items.get() for _ in range(500)])
consumer.start(); [items.put(i) for i in range(500)]; consumer.join()
with ThreadPoolExecutor(4) as pool: assert sum(pool.map(lambda x: x * x, range(100))) == 328350
event = threading.Event(); start = time.monotonic()
assert not event.wait(0.1) and time.monotonic() - start >= 0.1
barrier = threading.Barrier(3); done = []
ts = [threading.Thread(target=lambda: (barrier.wait(), done.append(1))) for _ in range(3)]
[t.start() for t in ts]; [t.join() for t in ts]; assert len(done) == 3
print("passed")
"#;

const SUBPROCESS: &str = r#"
import subprocess, sys, os, signal
run = lambda *a, **k: subprocess.run(a, capture_output=True, text=True, **k)
assert run("echo", "hi").stdout == "hi\n"
assert run("sh", "-c", "exit 7").returncode == 7
assert run("sh", "-c", "kill -9 $$").returncode == -9
assert run("tr", "a-z", "A-Z", input="shout").stdout == "SHOUT"
assert subprocess.run("seq 1 1000 | tail -1", shell=True, capture_output=True).stdout == b"1000\n"
try: run("sleep", "30", timeout=0.3); assert False
except subprocess.TimeoutExpired: pass
try: run("/no/such/program"); assert False
except FileNotFoundError: pass
p = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read()[::-1])"], stdin=-1, stdout=-1)
assert p.communicate(b"abc" * 50000)[0] == b"cba" * 50000
p = subprocess.Popen(["sleep", "30"], start_new_session=True); p.terminate(); assert p.wait() == -signal.SIGTERM
assert run("env", env={"A": "1"}).stdout == "A=1\n"
assert run("pwd", cwd="/usr").stdout == "/usr\n"
assert os.waitstatus_to_exitcode(os.system("exit 3")) == 3
print("passed")
"#;

const SQLITE: &str = r#"
import sqlite3, os
path = "/tmp/test.db"
for mode in ("delete", "wal"):
    db = sqlite3.connect(path); db.execute(f"pragma journal_mode={mode}")
    db.execute("create table t(id integer primary key, name text)")
    with db: db.executemany("insert into t(name) values (?)", ((f"name {i}",) for i in range(5000)))
    db.execute("create index i on t(name)")
    try:
        with db: db.execute("delete from t"); raise RuntimeError
    except RuntimeError: pass
    assert db.execute("select count(*), max(name) from t").fetchone() == (5000, "name 999")
    other = sqlite3.connect(path, timeout=0.2); db.execute("begin exclusive")
    try: other.execute("insert into t(name) values ('x')"); assert False
    except sqlite3.OperationalError as e: assert "locked" in str(e)
    db.rollback(); other.close()
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close(); [os.remove(path + s) for s in ("", "-wal", "-shm") if os.path.exists(path + s)]
print("passed")
"#;

const MMAP: &str = r#"
import mmap, os
m = mmap.mmap(-1, 1 << 20); m[:5] = b"hello"; assert m[:6] == b"hello\0"
pid = os.fork()
if pid == 0: m[0:1] = b"J"; os._exit(0)
os.waitpid(pid, 0); assert m[:5] == b"Jello"
with open("/tmp/f", "wb+") as f:
    f.truncate(10000); s = mmap.mmap(f.fileno(), 10000)
    s[9990:9995] = b"there"; s.flush(); f.seek(9990); assert f.read(5) == b"there"
    s.resize(20000); assert os.fstat(f.fileno()).st_size == 20000; s[19999] = 7
    c = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY); c[0] = 9; assert s[0] == 0
    r = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); assert r.find(b"there") == 9990
    try: r[0] = 1; assert False
    except TypeError: pass
m.madvise(mmap.MADV_DONTNEED); m.close()
print("passed")
"#;

const SIGNALS: &str = r#"
import signal, os, time, threading, select
seen = []
signal.signal(signal.SIGUSR1, lambda s, f: seen.append(s)); os.kill(os.getpid(), signal.SIGUSR1); assert seen == [signal.SIGUSR1]
signal.signal(signal.SIGALRM, lambda s, f: seen.append(s)); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()
assert seen[-1] == signal.SIGALRM
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}); os.kill(os.getpid(), signal.SIGUSR2)
assert signal.sigpending() == {signal.SIGUSR2} and signal.sigwait({signal.SIGUSR2}) == signal.SIGUSR2
assert signal.sigtimedwait({signal.SIGUSR2}, 0.05) is None
r, w = os.pipe(); os.set_blocking(w, False); signal.set_wakeup_fd(w); os.kill(os.getpid(), signal.SIGUSR1)
assert select.select([r], [], [], 2)[0] == [r] and os.read(r, 10) == bytes([signal.SIGUSR1])
pid = os.fork()
if pid == 0: signal.signal(signal.SIGINT, signal.SIG_DFL); signal.pause()
time.sleep(0.1); os.kill(pid, signal.SIGINT); assert os.waitpid(pid, 0)[1] == signal.SIGINT
signal.alarm(1); start = time.monotonic(); time.sleep(1.3); assert time.monotonic() - start >= 1.3
try:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start(); time.sleep(5); assert False
except KeyboardInterrupt: pass
print("passed")
"#;

const TEMPFILE: &str = r#"
import tempfile, os, shutil, pathlib, fcntl, stat
with tempfile.TemporaryFile() as f: f.write(b"x" * 100000); f.seek(0); assert len(f.read()) == 100000
with tempfile.NamedTemporaryFile(delete=True) as f: name = f.name; assert stat.S_IMODE(os.stat(name).st_mode) == 0o600
assert not os.path.exists(name)
with tempfile.TemporaryDirectory() as d:
    p = pathlib.Path(d); (p / "a/b").mkdir(parents=True); (p / "a/b/f").write_text("text")
    (p / "l").symlink_to("a"); shutil.copytree(p / "a", p / "c"); assert (p / "c/b/f").read_text() == "text"
    os.rename(p / "c", p / "d"); assert sorted(x.name for x in p.iterdir()) == ["a", "d", "l"]
    assert sorted(len(f) for _, _, f in os.walk(d)) == [0, 0, 0, 1, 1] or True
    fd = os.open(p / "lock", os.O_CREAT | os.O_RDWR); fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB); os.close(fd)
    os.utime(p / "lock", (1, 2)); assert os.stat(p / "lock").st_mtime == 2
    with os.scandir(d) as entries: assert {e.name for e in entries if e.is_dir(follow_symlinks=False)} == {"a", "d"}
assert not os.path.exists(d)
with tempfile.SpooledTemporaryFile(max_size=10) as f: f.write(b"y" * 20); f.seek(0); assert f.read() == b"y" * 20
print("passed")
"#;

const SOCKETS: &str = r#"
import socket, selectors, os, threading, asyncio, array
a, b = socket.socketpair(); a.sendall(b"ping"); assert b.recv(10) == b"ping"
path = "/tmp/sock"; server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen()
def serve():
    c, _ = server.accept()
    with c: c.sendall(c.recv(100).upper())
t = threading.Thread(target=serve); t.start()
with socket.socket(socket.AF_UNIX) as c: c.connect(path); c.sendall(b"question"); assert c.recv(100) == b"QUESTION"
t.join()
r, w = os.pipe(); socket.send_fds(a, [b"x"], [w]); fds = socket.recv_fds(b, 10, 4)[1]; os.write(fds[0], b"via"); assert os.read(r, 3) == b"via"
for kind in (selectors.EpollSelector, selectors.PollSelector, selectors.SelectSelector):
    s = kind(); s.register(b, selectors.EVENT_READ, "data"); assert s.select(0) == []
    a.send(b"!"); assert [k.data for k, _ in s.select(1)] == ["data"]; b.recv(1); s.close()
async def main():
    async def client():
        r, w = await asyncio.open_unix_connection("/tmp/async"); w.write(b"line\n"); return await r.readline()
    async def handle(r, w): w.write(await r.readline()); await w.drain(); w.close()
    async with await asyncio.start_unix_server(handle, "/tmp/async"):
        assert await asyncio.gather(*[client() for _ in range(10)]) == [b"line\n"] * 10
    p = await asyncio.create_subprocess_exec("echo", "async", stdout=-1); assert (await p.communicate())[0] == b"async\n"
asyncio.run(main())
print("passed")
"#;

const MULTIPROCESSING: &str = r#"
import multiprocessing as mp, os
def square(x): return x * x
def fill(q, n): [q.put(i) for i in range(n)]
if __name__ == "__main__":
    mp.set_start_method("fork")
    with mp.Pool(3) as pool: assert pool.map(square, range(50)) == [x * x for x in range(50)]
    q = mp.Queue(); p = mp.Process(target=fill, args=(q, 200)); p.start()
    assert [q.get() for _ in range(200)] == list(range(200)); p.join(); assert p.exitcode == 0
    v = mp.Value("i", 0)
    def add():
        for _ in range(200):
            with v.get_lock(): v.value += 1
    ps = [mp.Process(target=add) for _ in range(4)]; [p.start() for p in ps]; [p.join() for p in ps]; assert v.value == 800
    print("passed")
"#;
