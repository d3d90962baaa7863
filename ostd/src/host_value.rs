//! What the host says: in a trust domain the host is the adversary, and elsewhere its devices may be broken. A register, a port or a word of
//! configuration space is a claim until somebody checks it (house rule 13).

/// A claim of the host's. Only a check gives the plain value, or a caller that says that it takes it for no more than a claim.
#[derive(Clone, Copy, Debug)]
pub struct HostValue<T>(T);

impl<T> HostValue<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, if `is_fine` finds it so.
    pub fn checked(self, is_fine: impl FnOnce(&T) -> bool) -> Option<T> {
        Some(self.0).filter(is_fine)
    }

    /// Whether it is what it has to be.
    pub fn is(&self, expected: T) -> bool
    where
        T: PartialEq,
    {
        self.0 == expected
    }

    /// Whether one of these bits is set.
    pub fn has(&self, bits: T) -> bool
    where
        T: Copy + Default + PartialEq + core::ops::BitAnd<Output = T>,
    {
        self.0 & bits != T::default()
    }

    /// Another claim, made of this one.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> HostValue<U> {
        HostValue(change(self.0))
    }

    /// The value as it stands: whoever asks goes on to check it, or needs no more than that the host has said so.
    pub fn claim(self) -> T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::HostValue;

    #[test]
    fn only_what_passes_is_a_value() {
        let value = HostValue::new(6_u8);
        assert_eq!(value.checked(|value| *value < 7), Some(6));
        assert_eq!(value.checked(|value| *value > 7), None);
        assert!(value.is(6) && !value.is(7) && value.has(2) && !value.has(1));
        assert!(value.map(u32::from).is(6));
    }
}
