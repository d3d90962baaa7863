use super::*;

/// Two certificates of nobody, in the form that the file has them.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

fn parse(text: &str) -> Result<Configuration, Error> {
    Configuration::parse(text.as_bytes())
}

fn fault(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    let configuration = parse("").unwrap();
    assert_eq!(configuration, Configuration::default());
    assert_eq!(configuration.hostname.as_str(), "coffer");
    assert_eq!(configuration.api.address.to_string(), "0.0.0.0:2376");
    assert_eq!(configuration.network.address, Address::Dhcp);
    assert_eq!(configuration.log.level, Level::Info);
}

#[test]
fn every_key_of_the_documentation_is_understood() {
    let text = include_str!("../../../docs/configuration.md");
    let examples: Vec<_> =
        text.split("```toml\n").skip(1).map(|part| part.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        parse(&filled_in(example)).unwrap();
    }
    let whole = parse(&examples_of(text)).unwrap();
    assert!(whole.api.client_ca.is_some());
    assert_eq!(whole.registries.len(), 2);
    assert!(whole.registries[1].is_http());
    assert_eq!(whole.network.dns, [Ipv4Addr::new(192, 0, 2, 53)]);
}

fn examples_of(text: &str) -> String {
    filled_in(text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap())
}

/// With values in place of what the text leaves out.
fn filled_in(example: &str) -> String {
    example.replace("MII…", "MAA=").replace("sha256:…", &format!("sha256:{}", "0".repeat(64)))
}

#[test]
fn what_is_written_is_what_is_read() {
    let text = format!(
        "hostname = \"a\"\n[api]\nclient-ca = '''\n{PEM}'''\nnames = [\"127.0.0.1\"]\n[network]\naddress = \"10.0.0.2/24\"\n\
         gateway = \"10.0.0.1\"\n[[registries]]\nname = \"r:5000\"\nhttp = true\n"
    );
    let configuration = parse(&text).unwrap();
    let again = parse(&configuration.to_toml().unwrap()).unwrap();
    assert_eq!(again.api, configuration.api);
    assert_eq!(again.network.gateway.unwrap().into_inner(), Ipv4Addr::new(10, 0, 0, 1));
    assert!(again.registries[0].is_http());
    assert_eq!(parse(&Configuration::default().to_toml().unwrap()).unwrap(), Configuration::default());
}

#[test]
fn errors_name_the_line() {
    let cases = [
        ("mode = \"open\"\nmood = 1\n", "line 2, column 1: unknown field `mood`"),
        ("\n[api]\nclient_ca = \"\"", "line 3, column 1: unknown field `client_ca`"),
        ("[api]\n\nclient-ca = \"none\"", "line 3, column 13: no `BEGIN CERTIFICATE`"),
        ("mode = \"shut\"", "line 1, column 8: unknown variant `shut`"),
        ("mode = \"sealed\"", "line 1, column 1: a sealed machine needs a `workload`"),
        ("\nworkload = \"services:\"", "line 2, column 12: a `workload` is for"),
        ("hostname = \"-\"", "line 1, column 12: `-` is not a host name"),
        ("[network]\naddress = \"10.0.0.1\"", "line 2, column 11: `10.0.0.1` is not an address"),
        ("[network]\ngateway = \"10.0.0.1\"", "line 2, column 11: `gateway` is for a static"),
        (
            "[network]\naddress = \"10.0.0.2/24\"\ngateway = \"10.0.1.1\"",
            "line 3, column 11: `gateway` is not in the network",
        ),
        ("[[registries]]\nname = \"http://x\"", "line 2, column 8: `http://x` is not a registry"),
        ("[[registries]]\nname = \"x:0\"", "line 2, column 8: `x:0` is not a registry"),
        // An array is one value.
        ("[api]\nnames = [\"ok\",\n  \"not ok\"]", "line 2, column 9: `not ok` is neither"),
        ("a = \n", "line 1, column 5"),
        ("[[registries]]\n", "line 1, column 1: missing field `name`"),
    ];
    for (text, expected) in cases {
        let fault = fault(text);
        assert!(fault.starts_with(&format!("coffer.toml, {expected}")), "{text:?}: {fault}");
    }
    let both = format!("[[registries]]\nname = \"r\"\nhttp = true\nca = '''{PEM}'''\n");
    assert!(fault(&both).contains("line 3, column 8: `http` and `ca`"), "{}", fault(&both));
}

#[test]
fn what_is_no_text_or_too_long_is_refused() {
    assert_eq!(
        Configuration::parse(b"a\nb\xff").unwrap_err().to_string(),
        "coffer.toml, line 2, column 2: not UTF-8"
    );
    assert!(matches!(Configuration::parse(&vec![b'#'; SIZE_LIMIT + 1]), Err(Error::TooLarge { .. })));
}
