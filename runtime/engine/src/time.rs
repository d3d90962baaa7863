//! Points in time as docker writes and reads them.

use std::time::SystemTime;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time(i128);

/// What docker writes for "never".
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// Now.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}

impl Time {
    /// From nanoseconds since the epoch.
    #[must_use]
    pub fn from_nanoseconds(nanoseconds: i128) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub fn nanoseconds(self) -> i128 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
    }

    /// Reads seconds with a fraction, or RFC 3339.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Invalid(format!("failed to parse value as time or duration: \"{text}\""));
        if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Self(time.unix_timestamp_nanos()));
        }
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = seconds.parse().map_err(|_| invalid())?;
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let nanoseconds: i128 = format!("{fraction:0<9}").parse().map_err(|_| invalid())?;
        Ok(Self(i128::from(seconds) * 1_000_000_000 + nanoseconds))
    }

    /// Reads an optional one; empty and "0" are none.
    ///
    /// # Errors
    ///
    /// As [`Time::parse`].
    pub fn parse_optional(text: Option<&str>) -> Result<Option<Self>, Error> {
        text.filter(|text| !text.is_empty() && *text != "0").map(Self::parse).transpose()
    }
}

/// RFC 3339 in UTC with all nine digits of the fraction, so that equal lengths sort.
impl std::fmt::Display for Time {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(self.0) else {
            return formatter.write_str(NEVER);
        };
        let (date, clock) = (time.date(), time.time());
        write!(
            formatter,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second(),
            clock.nanosecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_moment() {
        let time = Time::parse("1700000000.5").unwrap();
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.500000000Z");
        assert_eq!(Time::parse("2023-11-14T23:13:20.5+01:00").unwrap(), time);
        assert_eq!(Time::parse(&time.to_string()).unwrap(), time);
        assert!(Time::parse("soon").is_err());
        assert!(Time::parse("1.x").is_err());
    }
}
