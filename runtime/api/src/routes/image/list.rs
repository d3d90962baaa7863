//! `docker images`

use std::collections::{BTreeMap, HashMap};

use coffer_engine::Filters;
use runtime_image::Reference;
use runtime_image::store::StoredImage;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::blocking::blocking;
use crate::Api;
use crate::call::{Answer, Call, json};
use crate::failure::Failure;

/// The keys that `docker images --filter` may have.
const FILTERS: [&str; 7] = ["dangling", "label", "label!", "before", "since", "reference", "until"];

pub async fn list(call: Call) -> Answer {
    let filters = call.query.filters()?;
    filters.allow(&FILTERS)?;
    let api = call.api.clone();
    let mut images = all(&api).await?;
    let wanted = Wanted::new(&filters, &images)?;
    images.retain(|image| wanted.has(image));
    let with_shared = call.query.flag("shared-size");
    json(&shown(&api, &images, with_shared, false))
}

/// All images as `docker images` and `docker system df` show them.
pub async fn summaries(api: &Api, with_sizes: bool) -> Result<Vec<Value>, Failure> {
    let images = all(api).await?;
    Ok(shown(api, &images, with_sizes, with_sizes))
}

async fn all(api: &Api) -> Result<Vec<StoredImage>, Failure> {
    let store = api.images.clone();
    let mut images = blocking(move || store.list()).await?;
    images.sort_by_key(|image| std::cmp::Reverse(created(image)));
    Ok(images)
}

/// When an image was made, in seconds since 1970; 0 when it does not tell.
pub fn created(image: &StoredImage) -> i64 {
    let text = image.json["created"].as_str().unwrap_or_default();
    OffsetDateTime::parse(text, &Rfc3339).map_or(0, OffsetDateTime::unix_timestamp)
}

fn shown(api: &Api, images: &[StoredImage], with_shared: bool, with_containers: bool) -> Vec<Value> {
    let mut users = HashMap::<String, usize>::new();
    for layer in images.iter().flat_map(|image| &image.layers) {
        *users.entry(layer.chain_id.to_string()).or_default() += 1;
    }
    let shared = |image: &StoredImage| {
        let is_shared = |chain: &str| users.get(chain).is_some_and(|&users| users > 1);
        let layers = image.layers.iter().filter(|layer| is_shared(layer.chain_id.as_ref()));
        layers.fold(0_u64, |sum, layer| sum.saturating_add(layer.size))
    };
    let summary = |image: &StoredImage| {
        json!({
            "Id": image.id.to_string(),
            "ParentId": "",
            "RepoTags": image.tags.iter().map(Reference::familiar).collect::<Vec<_>>(),
            "RepoDigests": image.digests.iter().map(Reference::familiar).collect::<Vec<_>>(),
            "Created": created(image),
            "Size": image.size(),
            "VirtualSize": image.size(),
            "SharedSize": if with_shared { json!(shared(image)) } else { json!(-1) },
            "Labels": image.json["config"]["Labels"],
            "Containers": if with_containers {
                json!(api.engine.containers_of_image(image.id.as_ref()))
            } else {
                json!(-1)
            },
        })
    };
    images.iter().map(summary).collect()
}

/// What `--filter` wants.
pub struct Wanted<'a> {
    filters: &'a Filters,
    is_dangling: Option<bool>,
    before: Option<i64>,
    since: Option<i64>,
}

impl<'a> Wanted<'a> {
    /// Looks up the images that the filters name.
    pub fn new(filters: &'a Filters, images: &[StoredImage]) -> Result<Self, Failure> {
        let mut times = BTreeMap::new();
        for key in ["before", "since"] {
            for name in filters.values(key) {
                let image = images.iter().find(|image| is_called(image, name));
                let image = image.ok_or_else(|| Failure::not_found(format!("No such image: {name}")))?;
                times.insert(key, created(image));
            }
        }
        let mut before = times.remove("before");
        for until in filters.values("until") {
            before = Some(
                moment(until)
                    .ok_or_else(|| Failure::bad_request(format!("invalid filter 'until={until}'")))?,
            );
        }
        Ok(Self { filters, is_dangling: filters.flag("dangling")?, before, since: times.remove("since") })
    }

    /// The same, whatever the filter `dangling` says.
    #[must_use]
    pub fn without_dangling(self) -> Self {
        Self { is_dangling: None, ..self }
    }

    /// Whether an image is wanted.
    pub fn has(&self, image: &StoredImage) -> bool {
        let label = |key: &str| image.json["config"]["Labels"][key].as_str();
        self.is_dangling.is_none_or(|wanted| wanted == image.tags.is_empty())
            && self.before.is_none_or(|before| created(image) < before)
            && self.since.is_none_or(|since| created(image) > since)
            && self.filters.match_labels(label)
            && self.filters.any("reference", |pattern| {
                image.tags.iter().chain(&image.digests).any(|name| matches_pattern(name, pattern))
            })
    }
}

fn is_called(image: &StoredImage, name: &str) -> bool {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    let named = Reference::parse(name).map(Reference::or_latest);
    (hex.len() >= 4 && image.id.digest().starts_with(hex))
        || named.is_ok_and(|named| image.tags.contains(&named) || image.digests.contains(&named))
}

/// Seconds since 1970, an RFC 3339 time, or a duration before now (`24h`, `10m`).
fn moment(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(time.unix_timestamp());
    }
    let mut seconds = 0_i64;
    let mut number = String::new();
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                number.push(character);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    if number.is_empty() && !text.is_empty() {
        OffsetDateTime::now_utc().unix_timestamp().checked_sub(seconds)
    } else {
        None
    }
}

/// Whether a name, or its repository, matches a shell pattern of `*` and `?` that do not cross slashes.
fn matches_pattern(name: &Reference, pattern: &str) -> bool {
    [name.familiar(), name.repository().familiar(), name.to_string(), name.repository().to_string()]
        .iter()
        .any(|text| glob(pattern.as_bytes(), text.as_bytes()))
}

/// Matches without recursion: on a mismatch, the last star takes one more byte.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(position) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, position));
                at += 1;
                continue;
            }
            Some(&wanted) if wanted == byte || (wanted == b'?' && byte != b'/') => {
                (at, position) = (at + 1, position + 1);
                continue;
            }
            _ => {}
        }
        match star {
            Some((star_at, taken)) if text.get(taken) != Some(&b'/') => {
                star = Some((star_at, taken + 1));
                (at, position) = (star_at + 1, taken + 1);
            }
            _ => return false,
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::{glob, moment};

    #[test]
    fn stars_stay_within_a_component() {
        for (pattern, text, expected) in [
            ("deb*", "debian", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("a*c*e", "abcde", true),
            ("a?c", "abc", true),
            ("a", "ab", false),
            ("*:12", "debian:12", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn moments_are_times_or_durations() {
        assert_eq!(moment("1700000000"), Some(1_700_000_000));
        assert_eq!(moment("2023-11-14T22:13:20Z"), Some(1_700_000_000));
        assert!(moment("1h30m").is_some());
        assert_eq!(moment("soon"), None);
    }
}
