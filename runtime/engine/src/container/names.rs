//! Names of containers: which are allowed, and some to give to those without.

use crate::Error;
use crate::engine::{Table, random_id};

const LEFT: [&str; 32] = [
    "able", "amber", "brave", "bright", "calm", "candid", "clever", "coral", "crisp", "deft", "eager",
    "fair", "fleet", "gentle", "glad", "golden", "hardy", "honest", "ivory", "jolly", "keen", "lively",
    "lucid", "merry", "mild", "noble", "plain", "quiet", "rapid", "sturdy", "tidy", "witty",
];
const RIGHT: [&str; 32] = [
    "acorn", "anchor", "beacon", "birch", "brook", "canyon", "cedar", "clover", "comet", "crane", "delta",
    "ember", "falcon", "fern", "finch", "harbor", "heron", "island", "juniper", "lantern", "maple", "meadow",
    "otter", "pebble", "pine", "raven", "reef", "river", "sparrow", "summit", "thistle", "willow",
];

/// Checks a name, which may begin with a slash; gives it without.
pub fn check(name: &str) -> Result<String, Error> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let is_valid = bare.len() >= 2
        && bare.starts_with(|first: char| first.is_ascii_alphanumeric())
        && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if is_valid {
        Ok(bare.to_owned())
    } else {
        Err(Error::Invalid(format!(
            "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )))
    }
}

/// A name that nobody has.
pub fn generate(table: &Table) -> Result<String, Error> {
    loop {
        let random = random_id()?;
        let pick = |words: &'static [&'static str], at: usize| {
            let number = random.get(at..at + 4).and_then(|digits| usize::from_str_radix(digits, 16).ok());
            words.get(number.unwrap_or_default() % words.len()).copied().unwrap_or_default()
        };
        let mut name = format!("{}_{}", pick(&LEFT, 0), pick(&RIGHT, 4));
        if table.names.contains_key(&name) {
            name.push_str(random.get(8..12).unwrap_or_default());
        }
        if !table.names.contains_key(&name) {
            return Ok(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_three_signs() {
        assert_eq!(check("/web_1.a-b").unwrap(), "web_1.a-b");
        for name in ["", "a", "/", "-a", "a b", "a/b", "ä1"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
