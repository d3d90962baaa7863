//! `coffer image` as a program: its text, its JSON and its exit status.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use coffer_image_builder::format::Format;
use coffer_image_builder::sample;
use serde_json::Value;

fn coffer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coffer")).arg("image").args(arguments).output().unwrap()
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn inspect_says_the_same_of_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let image = sample::image(b"init").unwrap();
    let uki = written(folder.path(), "coffer.efi", &image.uki);
    let report = |path: &Path| -> Value {
        let output = coffer(&["inspect", "--json", text(path)]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let expected = report(&uki);
    assert_eq!(expected["format"], "uki");
    assert_eq!(expected["parts"]["initramfs/init"]["size"], 4);
    for format in Format::ALL {
        let file = written(folder.path(), format.file_name(), &format.write(&image.disk).unwrap());
        let found = report(&file);
        assert_eq!(found["parts"]["uki"], expected["file"], "{format:?}");
        assert_eq!(found["authenticode_sha384"], expected["authenticode_sha384"]);
    }

    let output = coffer(&["inspect", text(&uki)]);
    let table = String::from_utf8(output.stdout).unwrap();
    for word in ["1.2.3", "log=info coffer.image=", "initramfs/init", "Authenticode SHA-384"] {
        assert!(table.contains(word), "{word} is missing in:\n{table}");
    }
}

#[test]
fn diff_names_the_part_and_exits_as_diff_does() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (sample::image(b"one").unwrap(), sample::image(b"other").unwrap());
    let raw = written(folder.path(), "coffer.raw", &one.disk);
    let vhd = written(folder.path(), "coffer.vhd", &Format::Vhd.write(&one.disk).unwrap());
    let different = written(folder.path(), "other.efi", &other.uki);
    let junk = written(folder.path(), "junk", b"junk");

    let same = coffer(&["diff", text(&raw), text(&vhd)]);
    assert_eq!(
        (same.status.code(), same.stdout.as_slice()),
        (Some(0), b"the images are the same\n".as_slice())
    );

    let output = coffer(&["diff", text(&raw), text(&different)]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(words, "the part `initramfs/init` differs from byte 1 on (3 and 5 bytes)\n");
    let output = coffer(&["diff", "--json", text(&raw), text(&different)]);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["difference"]["part"], "initramfs/init");
    assert_eq!(verdict["is_same"], false);

    let refused = coffer(&["diff", text(&raw), text(&junk)]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(!coffer(&["inspect", "/nonexistent"]).status.success());
}
