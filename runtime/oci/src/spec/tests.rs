//! What docker users expect of the configuration.

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn image(config: &str) -> ImageConfiguration {
    let json = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn built(config: &str, wishes: &Wishes) -> Result<Spec, Error> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    std::fs::write(folder.path().join("etc/passwd"), "web:x:33:34::/var/www:\n").unwrap();
    let root = Root::new(folder.path());
    build(&image(config), wishes, Place { id: ID, root: &root, pty_folder: None })
}

fn args(config: &str, wishes: &Wishes) -> Vec<String> {
    built(config, wishes).unwrap().process().clone().unwrap().args().clone().unwrap()
}

fn strings(texts: &[&str]) -> Option<Vec<String>> {
    Some(texts.iter().map(ToString::to_string).collect())
}

#[test]
fn entrypoint_and_cmd_combine_as_in_docker() {
    let config = r#"{"Entrypoint":["/entry"],"Cmd":["a","b"]}"#;
    assert_eq!(args(config, &Wishes::default()), ["/entry", "a", "b"]);
    assert_eq!(args(config, &Wishes { args: strings(&["c"]), ..Wishes::default() }), ["/entry", "c"]);
    assert_eq!(args(config, &Wishes { entrypoint: strings(&["/other"]), ..Wishes::default() }), ["/other"]);
    let none = Wishes { entrypoint: strings(&[]), ..Wishes::default() };
    assert!(matches!(built(config, &none), Err(Error::NoCommand)));
    assert!(matches!(built("{}", &Wishes::default()), Err(Error::NoCommand)));
}

#[test]
fn the_environment_is_layered() {
    let config = r#"{"Cmd":["x"],"Env":["PATH=/bin","A=image","B=image"]}"#;
    let wishes = Wishes { env: strings(&["A=user", "B", "C=user"]).unwrap(), ..Wishes::default() };
    let spec = built(config, &wishes).unwrap();
    let env = spec.process().as_ref().unwrap().env().clone().unwrap();
    assert_eq!(env, ["PATH=/bin", "HOSTNAME=0123456789ab", "A=user", "C=user", "HOME=/"]);
    assert_eq!(spec.hostname().as_deref(), Some("0123456789ab"));
}

#[test]
fn users_are_looked_up_in_the_image_and_lose_capabilities() {
    let spec = built(r#"{"Cmd":["x"],"User":"web"}"#, &Wishes::default()).unwrap();
    let process = spec.process().as_ref().unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (33, 34));
    let capabilities = process.capabilities().as_ref().unwrap();
    assert_eq!(capabilities.bounding().as_ref().unwrap().len(), 14);
    assert!(capabilities.effective().as_ref().unwrap().is_empty());
    assert!(process.env().as_ref().unwrap().contains(&"HOME=/var/www".to_owned()));

    let root = Wishes { user: Some("0".to_owned()), ..Wishes::default() };
    let spec = built(r#"{"Cmd":["x"],"User":"web"}"#, &root).unwrap();
    let capabilities = spec.process().as_ref().unwrap().capabilities().clone().unwrap();
    assert_eq!(capabilities.effective().as_ref().unwrap().len(), 14);
}

#[test]
fn nonsense_is_refused() {
    let config = r#"{"Cmd":["x"]}"#;
    let wishes = |change: fn(&mut Wishes)| {
        let mut wishes = Wishes::default();
        change(&mut wishes);
        built(config, &wishes).unwrap_err().to_string()
    };
    assert_eq!(
        wishes(|w| w.working_directory = Some("x".into())),
        "working directory `x` is not an absolute path"
    );
    assert_eq!(wishes(|w| w.hostname = Some("a b".into())), "host name `a b` is not valid");
    assert_eq!(wishes(|w| w.args = strings(&["a\0b"])), "`command or environment` contains a NUL byte");
    assert_eq!(wishes(|w| w.user = Some("nobody".into())), "user `nobody` is not in the image's /etc/passwd");
}

#[test]
fn a_terminal_brings_its_own_devpts() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(folder.path());
    let wishes = Wishes { terminal: Some(Window { rows: 24, columns: 80 }), ..Wishes::default() };
    let place = Place { id: ID, root: &root, pty_folder: Some(Path::new("/run/x/pts")) };
    let spec = build(&image(r#"{"Cmd":["x"]}"#), &wishes, place).unwrap();
    let process = spec.process().as_ref().unwrap();
    assert_eq!(process.terminal(), Some(true));
    assert_eq!(process.console_size().unwrap().height(), 24);
    assert!(process.env().as_ref().unwrap().contains(&"TERM=xterm".to_owned()));
    let mounts = spec.mounts().as_ref().unwrap();
    let pts = mounts.iter().find(|mount| mount.destination() == Path::new("/dev/pts")).unwrap();
    assert_eq!(pts.source().as_deref(), Some(Path::new("/run/x/pts")));
}
