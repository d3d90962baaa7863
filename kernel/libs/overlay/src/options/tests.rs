use super::{Options, OptionsError};
use std::string::String;
use std::vec;
use std::vec::Vec;

fn lower(data: &str) -> Vec<String> {
    let options = Options::parse(data.as_bytes()).unwrap();
    options.lower.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
}

#[test]
fn lower_directories_come_top_first() {
    assert_eq!(lower("lowerdir=/c:/b:/a"), ["/c", "/b", "/a"]);
}

#[test]
fn backslashes_protect_colons_commas_and_themselves() {
    assert_eq!(lower(r"lowerdir=a\:b:c\,d:e\\:f"), ["a:b", "c,d", r"e\", "f"]);
    let options = Options::parse(br"lowerdir=l,upperdir=u\,v,workdir=w\:x").unwrap();
    assert_eq!((options.upper, options.work), (Some(b"u,v".to_vec()), Some(b"w:x".to_vec())));
}

#[test]
fn a_backslash_at_the_end_is_dropped() {
    assert_eq!(lower("lowerdir=a:b\\"), ["a", "b"]);
}

#[test]
fn an_upper_directory_needs_a_work_directory() {
    assert_eq!(Options::parse(b"lowerdir=a,upperdir=b"), Err(OptionsError::MissingWork));
    assert!(Options::parse(b"lowerdir=a,upperdir=b,workdir=c").is_ok());
}

#[test]
fn a_work_directory_alone_counts_for_nothing() {
    let options = Options::parse(b"lowerdir=a:b,workdir=c").unwrap();
    assert_eq!((options.upper, options.work), (None, None));
}

#[test]
fn one_lower_directory_alone_is_refused() {
    assert_eq!(Options::parse(b"lowerdir=a"), Err(OptionsError::NothingToMerge));
}

#[test]
fn missing_and_empty_lower_directories_are_refused() {
    for data in ["", "upperdir=u,workdir=w", "lowerdir=", "lowerdir=a::b", "lowerdir=a:"] {
        assert_eq!(Options::parse(data.as_bytes()), Err(OptionsError::MissingLower), "{data}");
    }
    let many = ["lowerdir=a"].into_iter().chain(vec![":a"; 500]).collect::<String>();
    assert_eq!(Options::parse(many.as_bytes()), Err(OptionsError::TooManyLower));
}

#[test]
fn features_that_are_absent_can_only_be_switched_off() {
    assert!(Options::parse(b"lowerdir=a:b,index=off,redirect_dir=off,metacopy=off,xino=on").is_ok());
    for option in ["index=on", "redirect_dir=on", "metacopy=on", "nfs_export=on", "userxattr", "hat"] {
        let data = ["lowerdir=a:b,", option].concat();
        assert_eq!(Options::parse(data.as_bytes()), Err(OptionsError::Unknown), "{option}");
    }
}
