//! Nice values as weights: each step is worth a factor of 1.25 (sched(7)), so two tasks one step apart share a CPU about 55 to 45.

/// The weight of nice 0.
pub const NICE_0_WEIGHT: u64 = 1024;

/// The weight of SCHED_IDLE: less than nice 19.
pub const IDLE_WEIGHT: u64 = 3;

/// Weights of nice −20 to 19.
const WEIGHTS: [u64; 40] = {
    let mut weights = [0; 40];
    let mut nice = -20_i32;
    while nice < 20 {
        weights[(nice + 20) as usize] = power(nice);
        nice += 1;
    }
    weights
};

/// 1024 · 1.25^−nice, rounded, at least 1 and in 64.32 fixed point on the way.
const fn power(nice: i32) -> u64 {
    let mut weight = (NICE_0_WEIGHT as u128) << 32;
    let mut step = 0;
    while step < nice.abs() {
        weight = if nice < 0 { weight * 5 / 4 } else { weight * 4 / 5 };
        step += 1;
    }
    ((weight + (1 << 31)) >> 32) as u64
}

/// The weight of a nice value; values out of range count as the nearest in range.
pub fn weight(nice: i32) -> u64 {
    WEIGHTS[(nice.clamp(-20, 19) + 20) as usize]
}

/// `ran_ns` of a task of `weight` in virtual time.
pub fn virtual_ns(ran_ns: u64, weight: u64) -> u64 {
    if weight == NICE_0_WEIGHT {
        return ran_ns;
    }
    (u128::from(ran_ns) * u128::from(NICE_0_WEIGHT) / u128::from(weight.max(1))) as u64
}
