//! The `filters` query parameter: a JSON object of keys, each with the values that it accepts.
//!
//! Clients write `{"label":{"a=b":true}}`; old ones (before API 1.22) wrote `{"label":["a=b"]}`. Both are understood.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Error;

/// Keys and the values that each accepts. Different keys must all match; of the values of one key any does (of labels: all).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    wanted: BTreeMap<String, BTreeSet<String>>,
}

impl Filters {
    /// Reads the parameter. None and an empty text filter nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for anything but such an object.
    pub fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        let invalid = || Error::Invalid("invalid filter".to_owned());
        let Ok(Value::Object(keys)) = serde_json::from_str(text) else { return Err(invalid()) };
        let mut wanted = BTreeMap::new();
        for (key, values) in keys {
            let values: BTreeSet<String> = match values {
                Value::Object(values) => values
                    .into_iter()
                    .filter(|(_, on)| on.as_bool() == Some(true))
                    .map(|(key, _)| key)
                    .collect(),
                Value::Array(values) => values
                    .iter()
                    .map(|value| value.as_str().map(str::to_owned).ok_or_else(invalid))
                    .collect::<Result<_, _>>()?,
                Value::Null => continue,
                _ => return Err(invalid()),
            };
            wanted.insert(key, values);
        }
        Ok(Self { wanted })
    }

    /// Also wants this.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.wanted.entry(key.to_owned()).or_default().insert(value.to_owned());
        self
    }

    /// Fails when there is a key that the verb does not know.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with the key.
    pub fn allow(&self, known: &[&str]) -> Result<(), Error> {
        match self.wanted.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Error::Invalid(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// The values of a key; empty when the key is not there.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.wanted.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Whether the key is there at all.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.wanted.get(key).is_some_and(|values| !values.is_empty())
    }

    /// Whether the key is absent or one of its values matches.
    pub fn any(&self, key: &str, mut matches: impl FnMut(&str) -> bool) -> bool {
        !self.has(key) || self.values(key).any(&mut matches)
    }

    /// The single value of a key that is a yes or a no.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it is neither, or both.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        let mut values = self.values(key).map(|value| match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            other => Err(Error::Invalid(format!("invalid filter '{key}=[{other}]'"))),
        });
        match (values.next().transpose()?, values.next().transpose()?) {
            (Some(one), Some(other)) if one != other => {
                Err(Error::Invalid(format!("invalid filter '{key}=[0 1]'")))
            }
            (first, _) => Ok(first),
        }
    }

    /// Whether all `label` values match, and none of `label!`. A value is a key, or a key and its value.
    pub fn match_labels<'a>(&self, mut label: impl FnMut(&str) -> Option<&'a str>) -> bool {
        let mut has = |wanted: &str| match wanted.split_once('=') {
            Some((key, value)) => label(key) == Some(value),
            None => label(wanted).is_some(),
        };
        self.values("label").all(&mut has) && !self.values("label!").any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_understood() {
        let new = Filters::parse(Some(r#"{"label":{"a=b":true,"c":false}}"#)).unwrap();
        assert_eq!(new, Filters::parse(Some(r#"{"label":["a=b"]}"#)).unwrap());
        assert!(Filters::parse(Some("[]")).is_err());
        assert!(Filters::parse(Some(r#"{"a":[1]}"#)).is_err());
        assert!(new.allow(&["name"]).is_err());
    }

    #[test]
    fn labels_must_all_match() {
        let filters = Filters::parse(Some(r#"{"label":["a=b","c"],"label!":["d"]}"#)).unwrap();
        let labels = |text: &'static str| {
            filters.match_labels(move |key| {
                text.split(' ')
                    .filter_map(|label| label.split_once('='))
                    .find(|(k, _)| *k == key)
                    .map(|(_, v)| v)
            })
        };
        assert!(labels("a=b c=1"));
        assert!(!labels("a=b"));
        assert!(!labels("a=x c=1"));
        assert!(!labels("a=b c=1 d=2"));
    }

    #[test]
    fn flags_are_yes_or_no() {
        let flag = |text| Filters::parse(Some(text)).unwrap().flag("dangling");
        assert_eq!(flag("{}").unwrap(), None);
        assert_eq!(flag(r#"{"dangling":["true"]}"#).unwrap(), Some(true));
        assert!(flag(r#"{"dangling":["true","0"]}"#).is_err());
        assert!(flag(r#"{"dangling":["maybe"]}"#).is_err());
    }
}
