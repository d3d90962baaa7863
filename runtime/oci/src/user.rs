//! Who a container's process runs as: `user[:group]` of docker, looked up in the image's `/etc/passwd` and `/etc/group`.
//!
//! Rules as in docker: a number needs no entry; without a group it is the user's primary one, together with the groups
//! that list the user; an explicit group stands alone. Both files are the image author's, so lines that make no sense are skipped.

use std::path::Path;

use crate::Error;
use crate::root::Root;

/// The largest database that is read, in bytes.
const DATABASE_LIMIT: u64 = 4 << 20;

/// The most supplementary groups a process can have: Linux's NGROUPS_MAX.
const MAX_GROUPS: usize = 65536;

/// The largest id that is accepted in the databases and on the command line, as docker has it.
const MAX_ID: u32 = i32::MAX as u32;

/// A resolved identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub additional_gids: Vec<u32>,
    /// The home directory: `/` when there is no entry.
    pub home: String,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Looks up `user` (empty: root) in the databases of `root`.
///
/// # Errors
///
/// [`Error::NoSuchUser`], [`Error::NoSuchGroup`] for names without entry, [`Error::Database`] for files that cannot be read.
pub fn resolve(user: &str, root: &Root) -> Result<Identity, Error> {
    let read = |path: &'static str| {
        root.read(Path::new(path), DATABASE_LIMIT)
            .map(|bytes| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
            .map_err(|source| Error::Database { path, source })
    };
    identity(user, &read("/etc/passwd")?, &read("/etc/group")?)
}

/// Looks up groups, names or numbers, in the database of `root`.
///
/// # Errors
///
/// As [`resolve`].
pub fn resolve_groups(wanted: &[String], root: &Root) -> Result<Vec<u32>, Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let path = "/etc/group";
    let bytes =
        root.read(Path::new(path), DATABASE_LIMIT).map_err(|source| Error::Database { path, source })?;
    let database = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    wanted
        .iter()
        .map(|name| {
            let by_name = groups(&database).find(|group| group.name == name).map(|group| group.gid);
            by_name.or_else(|| id(name)).ok_or_else(|| Error::NoSuchGroup(shown(name)))
        })
        .collect()
}

fn identity(wanted: &str, passwd: &str, group: &str) -> Result<Identity, Error> {
    let (wanted_user, wanted_group) = match wanted.split_once(':') {
        Some((user, group)) => (user, (!group.is_empty()).then_some(group)),
        None => (wanted, None),
    };
    let wanted_user = if wanted_user.is_empty() { "0" } else { wanted_user };
    let uid = id(wanted_user);

    // A name that looks like a number is taken by name first only when such an account exists, as docker does.
    let by_name = accounts(passwd).find(|account| account.name == wanted_user);
    let account = by_name.or_else(|| accounts(passwd).find(|account| Some(account.uid) == uid));
    let uid = match (&account, uid) {
        (Some(account), _) => account.uid,
        (None, Some(uid)) => uid,
        (None, None) => return Err(Error::NoSuchUser(shown(wanted_user))),
    };

    let mut additional_gids = Vec::new();
    let gid = match wanted_group {
        Some(name) => groups(group)
            .find(|group| group.name == name)
            .map(|group| group.gid)
            .or_else(|| id(name))
            .ok_or_else(|| Error::NoSuchGroup(shown(name)))?,
        None => {
            if let Some(account) = &account {
                let of_account =
                    groups(group).filter(|group| group.members.split(',').any(|m| m == account.name));
                additional_gids.extend(of_account.map(|group| group.gid).take(MAX_GROUPS));
            }
            account.as_ref().map_or(0, |account| account.gid)
        }
    };
    let home = account.as_ref().map_or("", |account| account.home);
    let home = if home.is_empty() || home.contains('\0') { "/" } else { home };
    Ok(Identity { uid, gid, additional_gids, home: home.to_owned() })
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next().filter(|name| !name.is_empty())?, fields.next()?);
        let (uid, gid) = (id(fields.next()?)?, id(fields.next()?)?);
        Some(Account { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next().filter(|name| !name.is_empty())?, fields.next()?);
        Some(Group { name, gid: id(fields.next()?)?, members: fields.next().unwrap_or_default() })
    })
}

/// A decimal id in range. No sign, no spaces.
fn id(text: &str) -> Option<u32> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&id| id <= MAX_ID)
}

fn shown(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:7:7::/:\nbig:x:4294967295:1::/:/bin/sh\n\
        neg:x:-1:1::/:\nwww:x:33:34:web:/var/www:/bin/false\n1000:x:5:6::/odd:\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nextra:x:50:www,other\nmore:x:51:other,www\nbad:x:zz:www\n";

    fn of(user: &str) -> Result<Identity, Error> {
        identity(user, PASSWD, GROUP)
    }

    #[test]
    fn names_bring_their_groups_and_home() {
        let www = of("www").unwrap();
        assert_eq!((www.uid, www.gid, www.additional_gids.as_slice()), (33, 34, &[50, 51][..]));
        assert_eq!(www.home, "/var/www");
        assert_eq!(of("33").unwrap(), www);
    }

    #[test]
    fn an_explicit_group_stands_alone() {
        let www = of("www:extra").unwrap();
        assert_eq!((www.uid, www.gid, www.additional_gids.len()), (33, 50, 0));
        assert_eq!(of("www:77").unwrap().gid, 77);
        assert!(matches!(of("www:none"), Err(Error::NoSuchGroup(_))));
    }

    #[test]
    fn numbers_need_no_entry_but_names_do() {
        let nobody = of("4000").unwrap();
        assert_eq!((nobody.uid, nobody.gid, nobody.home.as_str()), (4000, 0, "/"));
        assert_eq!(of("").unwrap().home, "/root");
        assert_eq!(of("1000").unwrap().uid, 5);
        for user in ["nobody", "big", "neg", "-1", "4294967295", "2147483648", "broken", "bad:x"] {
            assert!(matches!(of(user), Err(Error::NoSuchUser(_))), "{user}");
        }
        assert!(matches!(of("0:bad"), Err(Error::NoSuchGroup(_))));
    }

    proptest! {
        #[test]
        fn any_database_is_survived(user in ".*", passwd in "(?s).*", group in "(?s).*") {
            let _ = identity(&user, &passwd, &group);
        }
    }
}
