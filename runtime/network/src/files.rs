//! What a container reads in `/etc` about the network: `hosts`, `resolv.conf`, `hostname`.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// `hosts(5)`: the usual names, then each address with its names.
#[must_use]
pub fn hosts<'a>(entries: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>) -> String {
    let mut text = "127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::\tip6-localnet\n\
                    ff00::\tip6-mcastprefix\n\
                    ff02::1\tip6-allnodes\n\
                    ff02::2\tip6-allrouters\n"
        .to_owned();
    for (address, names) in entries {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{address}\t{}", names.join(" "));
    }
    text
}

/// `hostname(5)`.
#[must_use]
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}

/// What `resolv.conf(5)` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    pub servers: Vec<Ipv4Addr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

impl Resolver {
    /// Reads the machine's own file. Lines of other kinds are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    resolver.servers.extend(words.next().and_then(|word| word.parse::<Ipv4Addr>().ok()));
                }
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => resolver.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        resolver
    }

    /// The same without servers that only the machine itself can reach: for a container with a network namespace of its own.
    #[must_use]
    pub fn for_container(mut self) -> Self {
        self.servers.retain(|server| !server.is_loopback());
        self
    }
}

/// `resolv.conf(5)`.
#[must_use]
pub fn resolv_conf(resolver: &Resolver) -> String {
    let mut text = String::new();
    let mut line = |word: &str, rest: &str| {
        text.push_str(word);
        text.push(' ');
        text.push_str(rest);
        text.push('\n');
    };
    for server in &resolver.servers {
        line("nameserver", &server.to_string());
    }
    if !resolver.search.is_empty() {
        line("search", &resolver.search.join(" "));
    }
    if !resolver.options.is_empty() {
        line("options", &resolver.options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "nameserver 10.0.2.3\nnameserver 127.0.0.53\nsearch a.example b\noptions ndots:2\n";
        let resolver = Resolver::parse(&format!("# made\n{text}sortlist x\n"));
        assert_eq!(resolv_conf(&resolver), text);
        assert_eq!(resolver.for_container().servers, [Ipv4Addr::new(10, 0, 2, 3)]);
    }

    #[test]
    fn hosts_end_with_the_containers_own_names() {
        let text = hosts([("172.17.0.2", vec!["web", "0123456789ab"])]);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("172.17.0.2\tweb 0123456789ab\n"));
    }
}
