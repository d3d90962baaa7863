//! eventfd(2).

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{read, write};

use crate::case::{Outcome, cases, check_eq, check_fails};
use crate::child;

cases!("event":
    an_eventfd_adds_and_gives_its_count,
    a_semaphore_gives_one_at_a_time,
    an_empty_eventfd_blocks_or_fails,
    a_full_eventfd_blocks_or_fails,
    an_eventfd_demands_eight_bytes,
);

fn an_eventfd_adds_and_gives_its_count() -> Outcome {
    let event = EventFd::from_value_and_flags(5, EfdFlags::EFD_NONBLOCK)?;
    event.write(7)?;
    check_eq!(event.read()?, 12);
    check_fails!(event.read(), EAGAIN);
    Ok(())
}

fn a_semaphore_gives_one_at_a_time() -> Outcome {
    let event = EventFd::from_value_and_flags(2, EfdFlags::EFD_SEMAPHORE | EfdFlags::EFD_NONBLOCK)?;
    check_eq!((event.read()?, event.read()?), (1, 1));
    check_fails!(event.read(), EAGAIN);
    Ok(())
}

fn an_empty_eventfd_blocks_or_fails() -> Outcome {
    let event = EventFd::new()?;
    let child = child::fork(|| i32::try_from(event.read().unwrap_or(0)).unwrap_or(0))?;
    child.until_asleep()?;
    event.write(9)?;
    check_eq!(child.exit_code()?, 9);
    Ok(())
}

fn a_full_eventfd_blocks_or_fails() -> Outcome {
    let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK)?;
    event.write(u64::MAX - 1)?;
    check_fails!(event.write(1), EAGAIN);
    check_fails!(event.write(u64::MAX), EINVAL);
    check_eq!(event.read()?, u64::MAX - 1);
    event.write(1)?;
    Ok(())
}

fn an_eventfd_demands_eight_bytes() -> Outcome {
    let event = EventFd::from_value(1)?;
    check_fails!(read(&event, &mut [0; 7]), EINVAL);
    check_fails!(write(&event, &[0; 4]), EINVAL);
    check_eq!(read(&event, &mut [0; 20])?, 8);
    Ok(())
}
