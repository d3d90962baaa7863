//! Locks under contention, and attempts that fail.

use alloc::sync::Arc;

use ostd::sync::{Mutex, RwLock, SpinLock};
use ostd::task;

use crate::crew::Crew;
use crate::policy::Place;
use crate::{Outcome, ensure};

crate::cases!("locks":
    mutexes_exclude,
    writers_exclude_and_readers_share,
    spin_locks_exclude,
    failed_attempts_unlock_nothing,
);

const ROUNDS: u64 = 3000;

fn mutexes_exclude() -> Outcome {
    let value = Arc::new(Mutex::new((0_u64, 0_u64)));
    let crew = Crew::default();
    for number in 0..4 {
        let value = value.clone();
        crew.start(Place::On(number), move |_| {
            for round in 0..ROUNDS {
                let mut pair = value.lock();
                pair.0 += 1;
                if round % 128 == 0 {
                    // The others find it held.
                    task::yield_now();
                }
                pair.1 += 1;
                ensure!(pair.0 == pair.1, "somebody came in between");
            }
            Ok(())
        })?;
    }
    crew.join()?;
    ensure!(*value.lock() == (4 * ROUNDS, 4 * ROUNDS), "increments are lost");
    Ok(())
}

fn writers_exclude_and_readers_share() -> Outcome {
    let value = Arc::new(RwLock::new([0_u64; 4]));
    let crew = Crew::default();
    for number in 0..6 {
        let value = value.clone();
        crew.start(Place::On(number), move |_| {
            for round in 0..ROUNDS / 3 {
                if number < 2 {
                    let mut values = value.write();
                    for slot in values.iter_mut() {
                        *slot += 1;
                        if round % 64 == 0 {
                            task::yield_now();
                        }
                    }
                } else {
                    let values = value.read();
                    ensure!(values.iter().all(|slot| *slot == values[0]), "a reader saw half of a write");
                    let _ = value.try_write().is_some_and(|_| unreachable!("a reader is inside"));
                }
            }
            Ok(())
        })?;
    }
    crew.join()?;
    ensure!(value.read()[3] == 2 * (ROUNDS / 3), "writes are lost");
    Ok(())
}

fn spin_locks_exclude() -> Outcome {
    let value = Arc::new(SpinLock::new(0_u64));
    let crew = Crew::default();
    for number in 0..4_usize {
        let value = value.clone();
        crew.start(Place::On(number), move |_| {
            for round in 0..4 * ROUNDS {
                match round % 3 {
                    0 => *value.lock_irq() += 1,
                    1 => *value.lock() += 1,
                    _ => loop {
                        if let Some(mut value) = value.try_lock() {
                            *value += 1;
                            break;
                        }
                    },
                }
            }
            Ok(())
        })?;
    }
    crew.join()?;
    ensure!(*value.lock() == 16 * ROUNDS, "increments are lost");
    Ok(())
}

fn failed_attempts_unlock_nothing() -> Outcome {
    let (mutex, lock) = (Mutex::new(()), RwLock::new(()));
    let (held, reader) = (mutex.lock(), lock.read());
    for _ in 0..2 {
        ensure!(mutex.try_lock().is_none() && lock.try_write().is_none(), "an attempt unlocked");
    }
    drop((held, reader));
    ensure!(mutex.try_lock().is_some() && lock.try_write().is_some(), "they are free again");
    Ok(())
}
