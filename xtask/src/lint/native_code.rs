//! No C code has a say in the image (D5): it would make its hash a function of the C compiler. The Nix sandbox has none; this check says so
//! long before a build does.

use std::collections::BTreeSet;

use anyhow::ensure;
use coffer_image_builder::sbom::Crate;

use crate::recipe;

/// What build scripts use to compile or find native code.
const BUILDERS: [&str; 6] = ["cc", "cmake", "bindgen", "nasm-rs", "pkg-config", "vcpkg"];

/// By convention, a crate of native code is called so. These are not: declarations in Rust, and ours.
const SUFFIX: &str = "-sys";
const EXEMPT: [&str; 2] = ["linux-raw-sys", "runtime-sys"];

/// Fails with every crate that brings native code into the image.
pub fn check() -> anyhow::Result<()> {
    check_crates(&recipe::building_crates()?)
}

fn check_crates(crates: &BTreeSet<Crate>) -> anyhow::Result<()> {
    let native: Vec<&str> = crates.iter().filter(|it| is_native(it)).map(|it| it.name.as_str()).collect();
    ensure!(native.is_empty(), "native code would get into the image by {}", native.join(", "));
    Ok(())
}

fn is_native(Crate { name, .. }: &Crate) -> bool {
    let name = name.as_str();
    BUILDERS.contains(&name) || name.ends_with(SUFFIX) && !EXEMPT.contains(&name)
}

#[cfg(test)]
mod tests {
    use coffer_image_builder::sbom::Crate;

    use super::{check, check_crates, is_native};
    use crate::recipe;

    #[test]
    fn the_image_has_no_c_code_and_a_program_that_has_some_is_told_apart() {
        check().unwrap();
        // The host CLI's cryptography is ring, which builds C and assembly code.
        let crates = recipe::building_crates_of_host("coffer").unwrap();
        let error = check_crates(&crates).unwrap_err().to_string();
        assert_eq!(error, "native code would get into the image by cc");
    }

    #[test]
    fn crates_of_native_code_are_told_by_name() {
        let is_native = |name: &str| is_native(&Crate { name: name.to_owned(), version: "1.0.0".to_owned() });
        for name in ["cc", "cmake", "aws-lc-sys", "libz-sys"] {
            assert!(is_native(name), "{name}");
        }
        for name in ["ccm", "linux-raw-sys", "runtime-sys", "syscalls"] {
            assert!(!is_native(name), "{name}");
        }
    }
}
