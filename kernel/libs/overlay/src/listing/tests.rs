use super::{Entry, Listing};
use std::string::String;
use std::vec::Vec;

fn entry(ino: u64) -> Entry<u8> {
    Entry { ino, file_type: 8 }
}

fn names(listing: &Listing<u8>, from: u64) -> Vec<(u64, String)> {
    let all = listing.batch(from, usize::MAX);
    all.into_iter().map(|(at, name, _)| (at, String::from_utf8(name.to_vec()).unwrap())).collect()
}

#[test]
fn names_of_the_first_layer_keep_their_positions() {
    let mut listing = Listing::new();
    for (position, name) in [(3, "c"), (7, "a"), (4, "b")] {
        listing.add_at(position, name.as_bytes(), entry(position));
    }
    listing.add(b"upper", entry(1));
    let expected = [(3, "c"), (4, "b"), (7, "a"), (8, "upper")].map(|(at, name)| (at, String::from(name)));
    assert_eq!(names(&listing, 0), expected);
    assert_eq!(names(&listing, 4), expected[2..]);
}

#[test]
fn a_name_in_two_layers_comes_once() {
    let mut listing = Listing::new();
    listing.add_at(5, b"both", entry(1));
    listing.add(b"both", entry(2));
    assert_eq!(listing.batch(0, 9).len(), 1);
    assert_eq!(listing.batch(0, 9)[0].2, entry(2));
}

#[test]
fn what_stays_is_neither_skipped_nor_repeated() {
    let mut listing = Listing::new();
    for index in 0..100u64 {
        listing.add(std::format!("{index}").as_bytes(), entry(index));
    }
    let mut seen = Vec::new();
    let mut from = 0;
    while let [(position, name, _), ..] = &listing.batch(from, 1)[..] {
        from = *position;
        seen.push(String::from_utf8(name.to_vec()).unwrap());
        // Readers that remove what they read, as `rm -r`.
        listing.remove(name);
    }
    assert_eq!(seen, (0..100).map(|index| std::format!("{index}")).collect::<Vec<_>>());
}

#[test]
fn a_name_that_comes_back_is_new() {
    let mut listing = Listing::new();
    listing.add(b"a", entry(1));
    listing.add(b"b", entry(2));
    listing.remove(b"a");
    assert!(!listing.contains(b"a"));
    listing.add(b"a", entry(3));
    assert_eq!(names(&listing, 0), [(2, String::from("b")), (3, String::from("a"))]);
}

#[test]
fn nothing_comes_after_the_last_position() {
    let mut listing = Listing::new();
    listing.add(b"a", entry(1));
    assert!(listing.batch(u64::MAX, 1).is_empty());
}
