//! Boot order: one line per subsystem; ends by running /init.

/// Brings the kernel up. Runs in the first task.
pub fn start() {
    log::info!("coffer");
}
