//! What the comparison comes to: a table, and the innermost part of the first output that differs.

use std::collections::BTreeMap;
use std::fmt;

use coffer_image_builder::diff::diff;
use coffer_image_builder::identity::sha256;

/// Published files of one build, by name.
pub type Outputs = BTreeMap<&'static str, Vec<u8>>;

/// Builds, compared.
#[derive(Debug)]
pub struct Verdict {
    places: Vec<&'static str>,
    /// Of each output: its name, its hash here, and for each place how it differs there.
    rows: Vec<(&'static str, String, Vec<Option<String>>)>,
}

impl Verdict {
    /// Compares what was built `here` with what was built in each of `others`.
    pub fn new(here: Outputs, others: Vec<(&'static str, Outputs)>) -> Self {
        let rows = here.into_iter().map(|(name, bytes)| {
            let differences = others.iter().map(|(_, outputs)| difference(&bytes, outputs.get(name)));
            (name, sha256(&bytes), differences.collect())
        });
        Self { rows: rows.collect(), places: others.iter().map(|(place, _)| *place).collect() }
    }

    /// Whether nothing differs.
    pub fn is_reproduced(&self) -> bool {
        self.first_difference().is_none()
    }

    fn first_difference(&self) -> Option<(&'static str, &'static str, &str)> {
        self.rows.iter().find_map(|(name, _, differences)| {
            let (place, difference) =
                self.places.iter().zip(differences).find_map(|(place, it)| Some((place, it.as_ref()?)))?;
            Some((*name, *place, difference.as_str()))
        })
    }
}

/// In words.
fn difference(here: &[u8], there: Option<&Vec<u8>>) -> Option<String> {
    let Some(there) = there else { return Some("it is missing".to_owned()) };
    if here == there {
        return None;
    }
    Some(match diff(here, there) {
        Ok(Some(difference)) => difference.to_string(),
        // The manifest, or something so broken that it is no image: the first line, or byte, says most.
        _ => {
            let at = here.iter().zip(there).position(|(a, b)| a != b).unwrap_or(here.len().min(there.len()));
            let line = here.get(..at).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1;
            format!("it differs from byte {at} on, which is in line {line}")
        }
    })
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{:20}{:18}", "OUTPUT", "SHA-256")?;
        for place in &self.places {
            write!(formatter, "{:12}", place.to_uppercase())?;
        }
        for (name, hash, differences) in &self.rows {
            write!(formatter, "\n{name:20}{:18}", hash.get(..16).unwrap_or(hash))?;
            for difference in differences {
                write!(formatter, "{:12}", if difference.is_some() { "DIFFERS" } else { "equal" })?;
            }
        }
        match self.first_difference() {
            None => {
                write!(formatter, "\nreproduced: every byte is the same in {} builds", self.places.len() + 1)
            }
            Some((name, place, difference)) => {
                write!(formatter, "\nNOT reproduced: {name} as built `{place}`: {difference}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

    use coffer_image_builder::format::Format;
    use coffer_image_builder::sample;

    use super::{Outputs, Verdict};

    const PATH: &[u8] = b"panicked at /coffer/runtime/init/src/main.rs";

    fn outputs(init: &[u8]) -> Outputs {
        let image = sample::image(init).unwrap();
        let disks = Format::ALL.map(|format| (format.file_name(), format.write(&image.disk).unwrap()));
        Outputs::from_iter(
            disks.into_iter().chain([("coffer.efi", image.uki), ("manifest.json", b"{\n}\n".to_vec())]),
        )
    }

    fn verdict_on(there: Outputs) -> (bool, String) {
        let verdict = Verdict::new(outputs(PATH), vec![("elsewhere", outputs(PATH)), ("nix", there)]);
        (verdict.is_reproduced(), verdict.to_string())
    }

    #[test]
    fn equal_builds_are_reproduced() {
        let (is_reproduced, text) = verdict_on(outputs(PATH));
        assert!(is_reproduced && text.contains("every byte is the same in 3 builds"), "{text}");
    }

    #[test]
    fn a_leaked_path_is_found_in_the_part_that_it_is_in() {
        let (is_reproduced, text) = verdict_on(outputs(b"panicked at /home/me/c/runtime/init/src/main.rs"));
        assert!(!is_reproduced);
        assert!(text.contains("as built `nix`: the part `initramfs/init` differs from byte 13 on"), "{text}");
    }

    #[test]
    fn a_random_guid_is_found_on_the_disk() {
        // The disk's GUID in the header of the table, and the partition's in its first entry.
        for offset in [512 + 56, 1024 + 16] {
            let mut there = outputs(PATH);
            let guid = &mut there.get_mut("coffer.raw").unwrap()[offset..offset + 16];
            // Each is random, and no two are alike.
            guid.copy_from_slice(&RandomState::new().hash_one(offset).to_le_bytes().repeat(2));
            let (is_reproduced, text) = verdict_on(there);
            assert!(!is_reproduced);
            assert!(text.contains("NOT reproduced: coffer.raw as built `nix`"), "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_no_image_differs() {
        let mut there = outputs(PATH);
        there.remove("coffer.vhd");
        assert!(verdict_on(there).1.contains("coffer.vhd as built `nix`: it is missing"));
        let mut there = outputs(PATH);
        there.insert("manifest.json", b"{\n1}\n".to_vec());
        assert!(
            verdict_on(there)
                .1
                .contains("manifest.json as built `nix`: it differs from byte 2 on, which is in line 2")
        );
    }
}
