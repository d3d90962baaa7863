//! Many threads at once: mutexes, condition variables, and faults on the same pages.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;

use crate::case::{Outcome, cases, check, check_eq};
use crate::child;
use crate::memory::Mapping;

cases!("thread":
    a_contended_mutex_counts_right,
    a_condition_variable_hands_a_turn_around,
    barriers_release_all_at_once,
    channels_carry_every_message,
    threads_fault_on_the_same_pages,
    mapping_in_threads_keeps_to_itself,
    threads_fork_and_wait_at_once,
);

fn a_contended_mutex_counts_right() -> Outcome {
    let count = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    if let Ok(mut count) = count.lock() {
                        *count += 1;
                    }
                }
            });
        }
    });
    check!(count.lock().is_ok_and(|count| *count == 16_000));
    Ok(())
}

fn a_condition_variable_hands_a_turn_around() -> Outcome {
    const THREADS: usize = 4;
    const ROUNDS: usize = 200;
    let state = Arc::new((Mutex::new(0_usize), Condvar::new()));
    let handles: Vec<_> = (0..THREADS)
        .map(|id| {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                let (turn, changed) = &*state;
                for round in 0..ROUNDS {
                    let mine = round * THREADS + id;
                    let Ok(guard) = turn.lock() else { return false };
                    let Ok(mut guard) = changed.wait_while(guard, |turn| *turn != mine) else { return false };
                    *guard += 1;
                    changed.notify_all();
                }
                true
            })
        })
        .collect();
    check!(handles.into_iter().all(|handle| handle.join().is_ok_and(|finished| finished)));
    check!(state.0.lock().is_ok_and(|turn| *turn == THREADS * ROUNDS));
    Ok(())
}

fn barriers_release_all_at_once() -> Outcome {
    let (barrier, inside) = (Barrier::new(6), AtomicUsize::new(0));
    let wrong = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for round in 1..=50 {
                    inside.fetch_add(1, Ordering::SeqCst);
                    barrier.wait();
                    if inside.load(Ordering::SeqCst) != round * 6 {
                        wrong.fetch_add(1, Ordering::SeqCst);
                    }
                    barrier.wait();
                }
            });
        }
    });
    check_eq!(wrong.load(Ordering::SeqCst), 0);
    Ok(())
}

fn channels_carry_every_message() -> Outcome {
    let (sender, receiver) = mpsc::sync_channel(3);
    thread::scope(|scope| {
        for id in 0..4_u64 {
            let sender = sender.clone();
            scope.spawn(move || (0..1000).try_for_each(|number| sender.send(id * 1000 + number)));
        }
        drop(sender);
        let sum: u64 = receiver.iter().sum();
        check_eq!(sum, (0..4000).sum::<u64>());
        Ok(())
    })
}

fn threads_fault_on_the_same_pages() -> Outcome {
    const PAGES: usize = 256;
    for _ in 0..4 {
        let memory = Mapping::anonymous(PAGES * 4096)?;
        let address = memory.address();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    for page in 0..PAGES {
                        let word = (address + page * 4096) as *const AtomicU32;
                        // SAFETY: the mapping outlives the scope, and all access to it is atomic.
                        unsafe { &*word }.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        check!((0..PAGES).all(|page| memory.byte(page * 4096) == 4), "an increment was lost in a page fault");
    }
    Ok(())
}

fn mapping_in_threads_keeps_to_itself() -> Outcome {
    let wrong = AtomicUsize::new(0);
    thread::scope(|scope| {
        for id in 1..=4_u8 {
            let wrong = &wrong;
            scope.spawn(move || {
                for _ in 0..200 {
                    let is_right = Mapping::anonymous(8 * 4096).is_ok_and(|memory| {
                        let is_fresh = (0..8).all(|page| memory.byte(page * 4096) == 0);
                        memory.touch(id);
                        is_fresh && (0..8).all(|page| memory.byte(page * 4096) == id)
                    });
                    if !is_right {
                        wrong.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    check_eq!(wrong.load(Ordering::SeqCst), 0);
    Ok(())
}

fn threads_fork_and_wait_at_once() -> Outcome {
    let wrong = AtomicUsize::new(0);
    thread::scope(|scope| {
        for id in 0..4 {
            let wrong = &wrong;
            scope.spawn(move || {
                for round in 0..10 {
                    let code = child::fork(|| id * 10 + round).map(|child| child.exit_code());
                    if !matches!(code, Ok(Ok(code)) if code == id * 10 + round) {
                        wrong.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    check_eq!(wrong.load(Ordering::SeqCst), 0);
    Ok(())
}
