//! Pumps between pipes.

use std::fs::File;
use std::io::{Read, Write};

use rustix::pipe::{PipeFlags, pipe_with};

use super::pump::Pump;

fn pipe() -> (File, File) {
    let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    (read_end.into(), write_end.into())
}

#[test]
fn bytes_arrive_in_order_and_the_end_is_passed_on() {
    let (from, mut source) = pipe();
    let (mut sink, to) = pipe();
    let mut pump = Pump::new(from, to).ending_with(4);
    let sent: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut written, mut received) = (0, Vec::new());
    while received.len() < sent.len() {
        written += source.write(&sent[written..]).unwrap_or_default();
        pump.step();
        let mut buffer = [0; 4096];
        let count = sink.read(&mut buffer).unwrap_or_default();
        received.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(received, sent);
    assert!(!pump.is_done());
    drop(source);
    pump.step();
    assert!(pump.is_done());
    let mut rest = Vec::new();
    sink.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [4]);
}

#[test]
fn a_writer_goes_on_when_nobody_takes_its_output() {
    let (from, mut source) = pipe();
    let (sink, to) = pipe();
    let mut pump = Pump::new(from, to);
    drop(sink);
    for _ in 0..10 {
        source.write_all(&[0; 60_000]).unwrap();
        pump.step();
    }
    drop(source);
    pump.step();
    assert!(pump.is_done());
}
