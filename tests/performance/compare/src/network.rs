//! The way from this machine to a program in the guest: QEMU's user network, the network card, the guest's stack; in real time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use coffer_harness::{Boot, Machine, Network, Protocol};

use crate::initramfs;
use crate::instructions::Measurement;
use crate::kernels::Kernel;

/// Round trips whose median is taken, after some to warm up.
const TRIPS: usize = 400;
const WARM_UP: usize = 50;

/// How much is sent each way.
const VOLUME: usize = 64 << 20;
const BLOCK: usize = 64 << 10;

/// For anything that does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Boots the kernel as a server, and measures it as its client.
pub fn measure(kernel: &Kernel) -> anyhow::Result<Vec<Measurement>> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let path = folder.path().join("serve.cpio");
    let mut archive = initramfs::with_program()?;
    archive.modules(&kernel.network_modules)?;
    archive.write(&path)?;
    let mut machine = Machine::new(Boot::Direct {
        kernel: kernel.path.clone(),
        initramfs: Some(path),
        command_line: format!("{} serve", kernel.command_line),
    });
    let (network, ports) =
        Network::user(&[(Protocol::Tcp, 7), (Protocol::Tcp, 9), (Protocol::Tcp, 19), (Protocol::Udp, 7)])?;
    machine.network = Some(network);
    let (sender, serving) = mpsc::channel();
    let mut running = machine.start(move |line| {
        if line.contains("bench: serving") {
            let _received = sender.send(());
        }
    })?;
    let rows = match serving.recv_timeout(PATIENCE) {
        Ok(()) => rows(&ports),
        Err(_) => Err(anyhow::anyhow!(
            "{} does not serve:\n  {}",
            kernel.column,
            running.console.tail(20).join("\n  ")
        )),
    };
    running.stop();
    rows
}

fn rows(ports: &[u16]) -> anyhow::Result<Vec<Measurement>> {
    let [echo, discard, generate, datagrams] = ports else { anyhow::bail!("four ports are forwarded") };
    let row = |name: &str, value: f64, unit: &str| Measurement {
        name: name.to_owned(),
        value: Some(value),
        unit: unit.to_owned(),
    };
    Ok(vec![
        row("host_tcp_rtt", stream_trip(*echo).context("host_tcp_rtt")?, "µs"),
        row("host_udp_rtt", datagram_trip(*datagrams).context("host_udp_rtt")?, "µs"),
        row("host_tcp_in", inward(*discard).context("host_tcp_in")?, "MB/s"),
        row("host_tcp_out", outward(*generate).context("host_tcp_out")?, "MB/s"),
    ])
}

fn connect(port: u16) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A byte there and back, in microseconds.
fn stream_trip(port: u16) -> anyhow::Result<f64> {
    let mut stream = connect(port)?;
    median_trip(|| {
        stream.write_all(&[1])?;
        Ok(stream.read_exact(&mut [0])?)
    })
}

/// The same as a datagram.
fn datagram_trip(port: u16) -> anyhow::Result<f64> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    median_trip(|| {
        socket.send(&[1])?;
        socket.recv(&mut [0])?;
        Ok(())
    })
}

fn median_trip(mut trip: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    for _ in 0..WARM_UP {
        trip()?;
    }
    let mut times = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let start = Instant::now();
        trip()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[TRIPS / 2].as_secs_f64() * 1e6)
}

/// Into the guest, which says at the end how much has arrived; MB/s.
fn inward(port: u16) -> anyhow::Result<f64> {
    let mut stream = connect(port)?;
    let block = vec![5; BLOCK];
    let start = Instant::now();
    for _ in 0..VOLUME / BLOCK {
        stream.write_all(&block)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut total = [0; 8];
    stream.read_exact(&mut total)?;
    let took = start.elapsed();
    ensure!(u64::from_be_bytes(total) == VOLUME as u64, "not all bytes have arrived");
    Ok(rate(took))
}

/// Out of the guest; MB/s.
fn outward(port: u16) -> anyhow::Result<f64> {
    let mut stream = connect(port)?;
    let mut block = vec![0; BLOCK];
    let start = Instant::now();
    let mut left = VOLUME;
    while left > 0 {
        let room = left.min(BLOCK);
        let len = stream.read(&mut block[..room])?;
        ensure!(len > 0, "the guest has ended the connection");
        left -= len;
    }
    Ok(rate(start.elapsed()))
}

fn rate(took: Duration) -> f64 {
    VOLUME as f64 / f64::from(1 << 20) / took.as_secs_f64()
}
