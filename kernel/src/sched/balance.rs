//! Taking work from others: what an idle CPU does before it rests.

use super::{Queues, entity, may_run};
use alloc::sync::Arc;
use ostd::cpu::CpuId;
use ostd::task::Task;

impl Queues {
    /// A task for the idle `cpu` from the longest queue that has one.
    pub(super) fn steal(&self, cpu: CpuId) -> Option<Arc<Task>> {
        let others = (0..ostd::cpu::count()).filter_map(CpuId::new).filter(|&other| other != cpu);
        let busiest = others.max_by_key(|&other| self.queues.on(other).len())?;
        let from = self.queues.on(busiest);
        if from.len() == 0 {
            return None;
        }
        let task = from.give(|task| may_run(task, cpu))?;
        if let Some(entity) = entity::of(&task) {
            let lead = entity.virtual_ns().saturating_sub(from.floor());
            entity.set_virtual_ns(self.queues.on(cpu).floor().saturating_add(lead));
        }
        Some(task)
    }
}
