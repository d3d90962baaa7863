//! fork(2): what the child shares with its parent and what it has of its own.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::{getpid, getppid};

use crate::case::{Outcome, cases, check, check_eq};
use crate::child;

cases!("process":
    fork_gives_the_child_its_own_pid,
    fork_copies_memory,
    fork_shares_file_offsets,
    fork_many_children_at_once,
    fork_of_a_fork_of_a_fork,
    fork_copies_a_large_heap,
);

fn fork_gives_the_child_its_own_pid() -> Outcome {
    let parent = getpid();
    let child = child::fork(|| i32::from(getpid() == parent || getppid() != parent))?;
    check!(child.pid != parent);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn fork_copies_memory() -> Outcome {
    static VALUE: AtomicU32 = AtomicU32::new(1);
    let mut on_stack = 10;
    let child = child::fork(|| {
        VALUE.store(2, Ordering::Relaxed);
        on_stack += 1;
        i32::from(VALUE.load(Ordering::Relaxed) != 2 || on_stack != 11)
    })?;
    check_eq!(child.exit_code()?, 0);
    check_eq!(VALUE.load(Ordering::Relaxed), 1);
    check_eq!(on_stack, 10);
    Ok(())
}

fn fork_shares_file_offsets() -> Outcome {
    let mut file = File::options().read(true).write(true).create_new(true).open("shared")?;
    file.write_all(b"abcdef")?;
    file.rewind()?;
    child::passes(|| {
        let mut three = [0; 3];
        (&file).read_exact(&mut three)?;
        Ok(())
    })?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    check_eq!(rest, "def");
    Ok(())
}

fn fork_many_children_at_once() -> Outcome {
    let children = (0..50).map(|code| child::fork(move || code)).collect::<Result<Vec<_>, _>>()?;
    for (code, child) in (0..50).zip(&children) {
        check_eq!(child.exit_code()?, code);
    }
    Ok(())
}

fn fork_of_a_fork_of_a_fork() -> Outcome {
    fn nest(depth: i32) -> Outcome {
        if depth == 0 { Ok(()) } else { child::passes(|| nest(depth - 1)) }
    }
    nest(10)
}

fn fork_copies_a_large_heap() -> Outcome {
    let mut bytes = vec![7_u8; 8 << 20];
    let child = child::fork(|| {
        bytes.iter_mut().step_by(4096).for_each(|byte| *byte = 9);
        i32::from(bytes.iter().step_by(4096).any(|byte| *byte != 9))
    })?;
    check_eq!(child.exit_code()?, 0);
    check!(bytes.iter().all(|byte| *byte == 7), "the child's writes reached the parent");
    Ok(())
}
