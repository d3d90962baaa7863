use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn one(service: &str) -> Result<Service, Error> {
    let lines: String = service.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "services:\n  web:\n    image: example.org/web@{DIGEST}\n{lines}volumes:\n  data:\nnetworks:\n  back: {{}}\n"
    );
    Workload::parse(&text).map(|workload| workload.services.into_iter().next().unwrap())
}

#[test]
fn the_usual_keys_are_read() {
    let service = one("command: sh -c 'echo $$HOME'\nenvironment:\n  PORT: 80\n  NAME: a b\nports:\n  - 8080:80\n  - '127.0.0.1:53:53/udp'\n\
        volumes:\n  - data:/data:ro\n  - /scratch\nnetworks: [back]\nrestart: on-failure:3\nread_only: true\nmem_limit: 64m\ntmpfs: /tmp:size=1m")
    .unwrap();
    assert_eq!(service.command.unwrap(), ["sh", "-c", "echo $HOME"]);
    assert_eq!(service.environment, ["NAME=a b", "PORT=80"]);
    assert_eq!(service.ports[0], Port { address: None, machine: 8080, container: 80, is_udp: false });
    assert!(service.ports[1].is_udp && service.ports[1].address.is_some());
    let data = (Some("data".to_owned()), "/data".to_owned(), false);
    assert_eq!(service.volumes, [data, (None, "/scratch".to_owned(), true)]);
    assert_eq!(service.restart, Restart::OnFailure(3));
    assert_eq!((service.memory, service.is_read_only), (Some(64 << 20), true));
    assert_eq!(service.tmpfs, [("/tmp".to_owned(), "size=1m".to_owned())]);
    assert_eq!(service.networks, ["back"]);
}

#[test]
fn lists_and_json_are_read_as_well() {
    let service = one("command: [\"a\", \"b c\"]\nenvironment:\n  - X=1\n  - Y=").unwrap();
    assert_eq!((service.command.unwrap().len(), service.environment.len()), (2, 2));
    let json = format!(r#"{{"name": "x", "services": {{"a": {{"image": "a@{DIGEST}"}}}}}}"#);
    assert_eq!(Workload::parse(&json).unwrap().name, "x");
}

#[test]
fn what_is_not_known_or_not_sealed_is_an_error() {
    for text in [
        "privileged: true",
        "build: .",
        "commmand: x",
        "volumes: ['/run:/run']",
        "volumes: ['./x:/x']",
        "volumes: ['other:/x']",
        "environment: [HOME]",
        "command: echo $HOME",
        "command: echo ${HOME}",
        "ports: ['80']",
        "ports: ['8080:80/sctp']",
        "ports: ['0:80']",
        "networks: [front]",
        "restart: sometimes",
        "mem_limit: much",
        "depends_on: [web]",
        "depends_on: [nobody]",
        "depends_on: {web: {condition: service_healthy}}",
        "container_name: a/b",
    ] {
        assert!(one(text).is_err(), "{text}");
    }
    assert_eq!(Workload::parse("services: {}"), Err(Error::Nothing));
    for text in ["", "[", "services: 1", "services: {a: {image: x}}\nx-y: 1", "name: ../x\nservices: {}"] {
        assert!(Workload::parse(text).is_err(), "{text}");
    }
}

#[test]
fn images_are_named_by_digest() {
    for image in
        ["busybox", "busybox:latest", "busybox@sha256:00", "@sha256:00", &format!("busybox@{DIGEST}0")]
    {
        let text = format!("services: {{a: {{image: '{image}'}}}}");
        assert!(matches!(Workload::parse(&text), Err(Error::Unpinned { .. })), "{image}");
    }
}

#[test]
fn what_others_depend_on_starts_first() {
    let text = format!(
        "services:\n  a:\n    image: x@{DIGEST}\n    depends_on: [c]\n  b:\n    image: x@{DIGEST}\n    depends_on: {{a: {{condition: service_started}}}}\n  \
         c:\n    image: x@{DIGEST}\n"
    );
    let names = |text: &str| {
        Workload::parse(text)
            .map(|it| it.services.into_iter().map(|service| service.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&text).unwrap(), ["c", "a", "b"]);
    let cycle = text.replace("depends_on: [c]", "depends_on: [b]");
    assert!(matches!(names(&cycle), Err(Error::Cycle(_))));
}

/// A file that unfolds into more than it is.
#[test]
fn aliases_cannot_blow_up() {
    let mut text = "a: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("b{level}: &a{level} [{}]\n", [before.as_str(); 8].join(", ")));
    }
    assert!(Workload::parse(&text).is_err());
}
