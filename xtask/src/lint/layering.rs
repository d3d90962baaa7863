//! Dependencies between our own packages point downwards only (house rule 2). A layer that needs something from above defines a
//! trait and a place to register it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::workspace;

/// The layers, from the bottom: a package may depend on packages of lower rank within its family, or on those that `may_use`
/// names. The first folder that a package's path starts with decides.
const LAYERS: &[Layer] = &[
    layer("ostd/stub", 0, &[]),
    layer("ostd/vdso", 0, &[]),
    layer("ostd", 1, &[]),
    layer("kernel/libs", 2, &["ostd", "kernel/libs"]),
    layer("kernel/drivers/virtio", 3, &["ostd", "kernel/libs"]),
    layer("kernel/drivers", 4, &["ostd", "kernel/libs", "kernel/drivers/virtio"]),
    layer("kernel", 5, &["ostd", "kernel/libs", "kernel/drivers"]),
    layer("runtime/sys", 0, &[]),
    layer("runtime/config", 0, &[]),
    layer("runtime/control", 0, &[]),
    layer("runtime/measure", 1, &["attestation/evidence"]),
    layer("runtime/evidence", 1, &["attestation/evidence"]),
    layer("runtime/workload", 0, &[]),
    layer("runtime/image", 1, &["runtime/sys"]),
    layer("runtime/network", 1, &["runtime/sys"]),
    layer("runtime/oci", 1, &["runtime/sys"]),
    layer(
        "runtime/engine",
        2,
        &[
            "runtime/sys",
            "runtime/config",
            "runtime/image",
            "runtime/measure",
            "runtime/network",
            "runtime/oci",
        ],
    ),
    layer("runtime/registry", 2, &["runtime/image"]),
    layer(
        "runtime/api",
        3,
        &[
            "runtime/sys",
            "runtime/config",
            "attestation/evidence",
            "runtime/engine",
            "runtime/evidence",
            "runtime/image",
            "runtime/measure",
            "runtime/registry",
            "runtime/workload",
        ],
    ),
    layer("runtime/init", 4, &["runtime"]),
    layer("image-builder", 0, &[]),
    layer("attestation/evidence", 0, &[]),
    layer("attestation/test-pki", 0, &[]),
    layer("attestation/verify", 1, &["attestation/evidence", "attestation/test-pki"]),
    layer("attestation/fetch", 2, &["attestation/test-pki", "attestation/verify"]),
    layer("attestation/policy", 2, &["attestation"]),
    layer("attestation/fuzz", 3, &["attestation"]),
    layer("deploy/qemu", 1, &["runtime/control"]),
    layer(
        "deploy/coffer",
        3,
        &[
            "attestation",
            "deploy/qemu",
            "image-builder",
            "runtime/config",
            "runtime/control",
            "runtime/evidence",
            "runtime/workload",
        ],
    ),
    layer("tests/harness", 2, &["deploy/qemu", "image-builder", "runtime/control", "runtime/image"]),
    layer("tests/ostd", 5, &["ostd"]),
    layer("tests/tdsim/rules", 1, &["attestation/evidence"]),
    layer("tests/tdsim/module", 2, &["tests/tdsim/rules"]),
    layer("tests/tdsim/payload", 2, &["tests/tdsim/rules"]),
    layer("tests/tdsim/host", 3, &["tests/tdsim/rules", "attestation", "deploy/qemu", "image-builder"]),
    layer(
        "tests",
        5,
        &[
            "tests",
            "attestation",
            "deploy",
            "image-builder",
            "runtime/config",
            "runtime/image",
            "runtime/oci",
        ],
    ),
    layer(
        "xtask",
        6,
        &[
            "deploy/qemu",
            "tests/harness",
            "tests/tdsim/host",
            "image-builder",
            "runtime/image",
            "kernel/libs",
        ],
    ),
];

struct Layer {
    folder: &'static str,
    rank: u8,
    may_use: &'static [&'static str],
}

const fn layer(folder: &'static str, rank: u8, may_use: &'static [&'static str]) -> Layer {
    Layer { folder, rank, may_use }
}

/// A member of the workspace.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root.
    pub folder: PathBuf,
    /// Folders of the members that it depends on, tests included.
    pub dependencies: Vec<PathBuf>,
}

/// The members of the workspace, from `cargo metadata`.
pub fn workspace_packages() -> anyhow::Result<Vec<Package>> {
    let text =
        workspace::output_of("cargo", &["metadata", "--format-version", "1", "--no-deps", "--locked"])?;
    let metadata: Value = serde_json::from_str(&text).context("cannot read what cargo metadata says")?;
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let relative = |path: &Value| -> Option<PathBuf> {
        Path::new(path.as_str()?).strip_prefix(root).ok().map(Path::to_path_buf)
    };
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    packages
        .iter()
        .map(|package| {
            let manifest =
                relative(&package["manifest_path"]).context("a package lies outside of the workspace")?;
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            Ok(Package {
                name: package["name"].as_str().unwrap_or_default().to_owned(),
                folder: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
                dependencies: dependencies.filter_map(|dependency| relative(&dependency["path"])).collect(),
            })
        })
        .collect()
}

/// Fails with every edge that points upwards, and every package that has no layer.
pub fn check() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for package in workspace_packages()? {
        let Some(layer) = layer_of(&package.folder) else {
            faults.push(format!("{} has no layer in xtask/src/lint/layering.rs", package.folder.display()));
            continue;
        };
        for dependency in &package.dependencies {
            if !is_allowed(layer, dependency) {
                faults.push(format!(
                    "{} may not depend on {}",
                    package.folder.display(),
                    dependency.display()
                ));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

fn layer_of(folder: &Path) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| folder.starts_with(layer.folder))
}

fn is_allowed(layer: &Layer, dependency: &Path) -> bool {
    let Some(below) = layer_of(dependency) else { return false };
    let is_named = layer.may_use.iter().any(|folder| dependency.starts_with(folder));
    is_named && (below.rank < layer.rank || layer.folder == "tests" || is_library(below))
}

/// Libraries without a place in the order of layers.
fn is_library(layer: &Layer) -> bool {
    layer.folder == "kernel/libs"
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_allowed, layer_of};

    fn allowed(from: &str, to: &str) -> bool {
        is_allowed(layer_of(Path::new(from)).unwrap(), Path::new(to))
    }

    #[test]
    fn only_downward_edges_are_allowed() {
        assert!(allowed("kernel", "ostd"));
        assert!(allowed("kernel/drivers/virtio-blk", "kernel/libs/block"));
        assert!(allowed("runtime/init", "runtime/sys"));
        assert!(!allowed("ostd", "kernel"));
        assert!(allowed("kernel/libs/block", "ostd"));
        assert!(!allowed("ostd", "kernel/libs/cpio"));
        assert!(!allowed("kernel/drivers/pci", "kernel"));
        assert!(!allowed("runtime/sys", "runtime/oci"));
        assert!(!allowed("runtime/oci", "tests/harness"));
    }
}
