//! docker network, --network, -p.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("networks/defaults_are_listed", defaults),
    ("networks/containers_have_an_address", address),
    ("networks/none_has_loopback_only", none),
    ("networks/host_sees_the_machine_s", host),
    ("networks/containers_of_one_network_reach_each_other", reach),
    ("networks/bridges_are_isolated", isolated),
    ("networks/create_inspect_rm", create),
    ("networks/connect_and_disconnect", connect),
    ("networks/own_names_stand_in_hosts", own_names),
    ("networks/neighbours_are_found_by_name", neighbours),
    ("networks/other_names_are_asked_for_elsewhere", elsewhere),
    ("networks/of_another_container", of_another),
    ("networks/subnets_that_cannot_work_are_refused", subnets),
    ("networks/published_ports_answer", published),
    ("networks/published_ports_come_back_with_the_network", published_again),
    ("networks/published_ports_take_connections_that_come_at_once", at_once),
    ("networks/ports_and_routes_move_to_the_network_that_is_left", moved),
];

/// The address of a container on its only network.
fn address_of(docker: &Docker, name: &str) -> anyhow::Result<String> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    docker.ok(&["inspect", "--format", format, name])
}

fn defaults(docker: &Docker) -> anyhow::Result<()> {
    let list = docker.ok(&["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"])?;
    for line in ["bridge bridge local", "host host local", "none null local"] {
        ensure!(list.lines().any(|listed| listed == line), "{list:?}");
    }
    docker.refused(&["network", "rm", "bridge"], 1, "pre-defined")
}

fn address(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let said = docker.ok(&[
        "run",
        "--rm",
        IMAGE,
        "sh",
        "-c",
        "ip addr show eth0; ip route; cat /etc/resolv.conf",
    ])?;
    ensure!(said.contains("inet 172.17.0.") && said.contains("default via 172.17.0.1"), "{said:?}");
    ensure!(said.contains("nameserver"), "{said:?}");
    Ok(())
}

fn none(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let said = docker.ok(&["run", "--rm", "--network", "none", IMAGE, "ls", "/sys/class/net"])?;
    ensure!(said == "lo", "{said:?}");
    Ok(())
}

fn host(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let said = docker.ok(&["run", "--rm", "--network", "host", IMAGE, "cat", "/proc/net/dev"])?;
    ensure!(said.contains("docker0"), "{said:?}");
    Ok(())
}

/// Starts a server that answers each connection with its name, on port 80, and waits until it does. busybox's own HTTP client and server look
/// names up with what the image lacks, and crash in glibc for it, on Linux as well.
fn serve(docker: &Docker, options: &[&str], name: &str) -> anyhow::Result<()> {
    with_image(docker)?;
    let server = ["nc", "-ll", "-p", "80", "-e", "echo", "i am", name];
    docker.ok(&[&["run", "-d", "--name", name], options, &[IMAGE], &server].concat())?;
    docker.until("the server", || {
        Ok(docker.run(&["exec", name, "nc", "127.0.0.1", "80"])?.stdout == format!("i am {name}\n"))
    })
}

fn reach(docker: &Docker) -> anyhow::Result<()> {
    serve(docker, &[], "reached")?;
    let target = address_of(docker, "reached")?;
    let said = docker.ok(&["run", "--rm", IMAGE, "nc", "-w", "10", &target, "80"])?;
    ensure!(said == "i am reached", "{said:?}");
    docker.ok(&["run", "--rm", IMAGE, "ping", "-c", "1", "-W", "10", &target])?;
    docker.ok(&["rm", "-f", "reached"])?;
    Ok(())
}

fn isolated(docker: &Docker) -> anyhow::Result<()> {
    docker.ok(&["network", "create", "island"])?;
    serve(docker, &["--network", "island"], "islander")?;
    let target = address_of(docker, "islander")?;
    let fetch = |network: &str| {
        docker.run(&["run", "--rm", "--network", network, IMAGE, "nc", "-w", "3", &target, "80"])
    };
    ensure!(fetch("island")?.stdout.trim() == "i am islander", "not reached from its own network");
    ensure!(fetch("bridge")?.code != Some(0), "reached from another network");
    docker.ok(&["rm", "-f", "islander"])?;
    docker.ok(&["network", "rm", "island"])?;
    Ok(())
}

fn create(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["network", "create", "--subnet", "10.77.0.0/24", "--label", "a=b", "made"])?;
    let network = docker.inspect("made")?;
    ensure!(network["IPAM"]["Config"][0]["Subnet"] == "10.77.0.0/24", "{network}");
    let said =
        docker.ok(&["run", "--rm", "--network", "made", "--ip", "10.77.0.77", IMAGE, "hostname", "-i"])?;
    ensure!(said == "10.77.0.77", "{said:?}");
    docker.refused(&["network", "create", "made"], 1, "already exists")?;
    docker.ok(&["run", "-d", "--name", "member", "--network", "made", IMAGE, "sleep", "1000"])?;
    docker.refused(&["network", "rm", "made"], 1, "active endpoints")?;
    docker.ok(&["rm", "-f", "member"])?;
    docker.ok(&["network", "rm", "made"])?;
    docker.refused_by_either(&["network", "inspect", "made"], 1, ["not found", "no such network"])
}

fn connect(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["network", "create", "second"])?;
    docker.ok(&["run", "-d", "--name", "twice", IMAGE, "sleep", "1000"])?;
    let old = docker.ok(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", "twice"])?;
    ensure!(old == address_of(docker, "twice")?, "{old:?}");
    docker.ok(&["network", "connect", "second", "twice"])?;
    ensure!(docker.ok(&["exec", "twice", "ls", "/sys/class/net"])? == "eth0\neth1\nlo", "no second link");
    docker.ok(&["network", "disconnect", "second", "twice"])?;
    ensure!(docker.ok(&["exec", "twice", "ls", "/sys/class/net"])? == "eth0\nlo", "the second link stayed");
    docker.ok(&["rm", "-f", "twice"])?;
    docker.ok(&["network", "rm", "second"])?;
    Ok(())
}

fn own_names(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["network", "create", "named"])?;
    let options = ["run", "--rm", "--name", "self", "--network", "named", "--network-alias", "other"];
    let command = "hostname; hostname -i; cat /etc/hosts";
    let said = docker.ok(&[&options[..], &[IMAGE, "sh", "-c", command]].concat())?;
    let mut lines = said.lines();
    let (id, address) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    ensure!(said.ends_with(&format!("{address}\t{id}")), "{said:?}");
    docker.ok(&["network", "rm", "named"])?;
    Ok(())
}

/// What busybox's nslookup says in a container: it asks the name server, and reads no file.
fn look_up(docker: &Docker, container: &str, name: &str) -> anyhow::Result<String> {
    let output = docker.run(&["exec", container, "nslookup", name])?;
    Ok(format!("{}{}", output.stdout, output.stderr))
}

fn neighbours(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["network", "create", "street"])?;
    docker.ok(&["network", "create", "lane"])?;
    let start = |name: &str, options: &[&str]| {
        docker.ok(&[&["run", "-d", "--name", name], options, &[IMAGE, "sleep", "1000"]].concat())
    };
    start("one", &["--network", "street"])?;
    start("two", &["--network", "street", "--network-alias", "second", "--hostname", "zwei"])?;
    start("far", &["--network", "lane"])?;
    start("bare", &[])?;
    let address = address_of(docker, "two")?;
    let id = docker.ok(&["inspect", "--format", "{{.Id}}", "two"])?;
    for name in ["two", "TWO", "two.street", "second", "zwei", id.get(..12).context("a short id")?] {
        let said = look_up(docker, "one", name)?;
        ensure!(said.contains(&format!("Address: {address}\n")), "{name}: {said:?}");
    }
    let said = look_up(docker, "one", &address)?;
    ensure!(said.contains("name = two.street"), "{said:?}");
    for stranger in ["far", "bare", "one.lane"] {
        let said = look_up(docker, "one", stranger)?;
        ensure!(said.contains("can't find") && !said.contains("Name:"), "{stranger}: {said:?}");
    }
    // A new name holds at once, and a new network brings its names.
    docker.ok(&["rename", "two", "three"])?;
    ensure!(look_up(docker, "one", "three")?.contains(&address), "the new name is unknown");
    docker.ok(&["network", "connect", "--alias", "visitor", "lane", "one"])?;
    ensure!(look_up(docker, "one", "far")?.contains("Name:\tfar"), "no names of the second network");
    ensure!(look_up(docker, "far", "visitor")?.contains("Name:\tvisitor"), "no alias");
    docker.ok(&["network", "connect", "lane", "bare"])?;
    ensure!(look_up(docker, "bare", "far")?.contains("Name:\tfar"), "no name server");
    docker.ok(&["rm", "-f", "far"])?;
    ensure!(!look_up(docker, "one", "far")?.contains("Name:"), "known after its end");
    docker.ok(&["rm", "-f", "one", "three", "bare"])?;
    docker.ok(&["network", "rm", "street", "lane"])?;
    Ok(())
}

fn elsewhere(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["network", "create", "outer"])?;
    docker.ok(&["network", "create", "--internal", "inner"])?;
    let ask = |options: &[&str]| {
        let run = ["run", "--rm", "--dns", "127.0.0.1"];
        docker.run(&[&run[..], options, &[IMAGE, "nslookup", "example.invalid"]].concat())
    };
    // Nobody listens there, which the one in between tells.
    for network in ["outer", "inner"] {
        let output = ask(&["--network", network])?;
        ensure!(output.stdout.contains("SERVFAIL") || output.stderr.contains("SERVFAIL"), "{output:?}");
    }
    let told = docker.ok(&[
        "run",
        "--rm",
        "--network",
        "outer",
        "--dns-search",
        "corp.example",
        IMAGE,
        "cat",
        "/etc/resolv.conf",
    ])?;
    ensure!(told.starts_with("nameserver 127.0.0.11\nsearch corp.example\noptions "), "{told:?}");
    ensure!(told.contains("ndots:0"), "{told:?}");
    docker.ok(&["network", "rm", "outer", "inner"])?;
    Ok(())
}

fn of_another(docker: &Docker) -> anyhow::Result<()> {
    serve(docker, &["--hostname", "lent"], "lender")?;
    let run = |options: &[&str], command: &[&str]| {
        let start = ["run", "--rm", "--network", "container:lender"];
        docker.run(&[&start[..], options, &[IMAGE], command].concat())
    };
    let said = run(&[], &["nc", "127.0.0.1", "80"])?;
    ensure!(said.stdout == "i am lender\n", "{said:?}");
    let said = run(&[], &["sh", "-c", "hostname; cat /etc/hostname"])?;
    ensure!(said.stdout == "lent\nlent\n", "{said:?}");
    let output = run(&["-p", "80"], &["true"])?;
    ensure!(output.code == Some(125) && output.stderr.contains("conflicting options"), "{output:?}");
    docker.ok(&["stop", "-t", "0", "lender"])?;
    let output = run(&[], &["true"])?;
    ensure!(
        output.code == Some(125) && output.stderr.contains("cannot join network of a non running"),
        "{output:?}"
    );
    docker.ok(&["rm", "lender"])?;
    Ok(())
}

fn subnets(docker: &Docker) -> anyhow::Result<()> {
    for subnet in ["127.0.0.0/8", "10.77.0.0/31", "224.0.0.0/8"] {
        docker.refused(&["network", "create", "--subnet", subnet, "wrong"], 1, "invalid network")?;
    }
    // What docker's own bridge has, and so the machine.
    let format = "{{(index .IPAM.Config 0).Subnet}}";
    let taken = docker.ok(&["network", "inspect", "--format", format, "bridge"])?;
    docker.refused(&["network", "create", "--subnet", &taken, "wrong"], 1, "overlap")?;
    let listed = docker.ok(&["network", "ls", "-q", "--filter", "name=wrong"])?;
    ensure!(listed.is_empty(), "{listed:?}");
    Ok(())
}

/// What the server at an address of this machine says.
pub(crate) fn ask(address: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn published_again(docker: &Docker) -> anyhow::Result<()> {
    let (port, address) = docker.published().first().context("no port is forwarded to this machine")?;
    docker.ok(&["network", "create", "returned"])?;
    serve(docker, &["--network", "returned", "-p", &format!("{port}:80")], "back")?;
    docker.ok(&["network", "disconnect", "returned", "back"])?;
    ensure!(docker.ok(&["port", "back"])?.is_empty(), "published without a network");
    docker.ok(&["network", "connect", "returned", "back"])?;
    let shown = docker.ok(&["port", "back", "80"])?;
    ensure!(shown.contains(&format!("0.0.0.0:{port}")), "{shown:?}");
    let answer = ask(address)?;
    ensure!(answer == "i am back\n", "{answer:?}");
    docker.ok(&["rm", "-f", "back"])?;
    docker.ok(&["network", "rm", "returned"])?;
    Ok(())
}

fn moved(docker: &Docker) -> anyhow::Result<()> {
    let (port, address) = docker.published().first().context("no port is forwarded to this machine")?;
    docker.ok(&["network", "create", "--subnet", "10.79.0.0/24", "left"])?;
    serve(docker, &["-p", &format!("{port}:80")], "moved")?;
    docker.ok(&["network", "connect", "left", "moved"])?;
    docker.ok(&["network", "disconnect", "bridge", "moved"])?;
    let routes = docker.ok(&["exec", "moved", "ip", "route"])?;
    ensure!(routes.contains("default via 10.79.0.1"), "{routes:?}");
    let shown = docker.ok(&["port", "moved", "80"])?;
    ensure!(shown.contains(&format!("0.0.0.0:{port}")), "{shown:?}");
    let answer = ask(address)?;
    ensure!(answer == "i am moved\n", "{answer:?}");
    docker.ok(&["rm", "-f", "moved"])?;
    docker.ok(&["network", "rm", "left"])?;
    Ok(())
}

fn published(docker: &Docker) -> anyhow::Result<()> {
    let (port, address) = docker.published().first().context("no port is forwarded to this machine")?;
    serve(docker, &["-p", &format!("{port}:80")], "published")?;
    let shown = docker.ok(&["port", "published", "80"])?;
    ensure!(shown.contains(&format!("0.0.0.0:{port}")), "{shown:?}");
    let answer = ask(address)?;
    ensure!(answer == "i am published\n", "{answer:?}");
    let again = ["run", "-d", "--name", "again", "-p", &format!("{port}:80"), IMAGE, "sleep", "60"];
    docker.refused(&again, 125, "port is already allocated")?;
    docker.ok(&["rm", "-f", "published"])?;
    docker.ok(&["start", "again"])?;
    docker.ok(&["rm", "-f", "again"])?;
    Ok(())
}

fn at_once(docker: &Docker) -> anyhow::Result<()> {
    /// What it takes a client to try again whose first attempt was dropped is a second (RFC 6298, 2.1).
    const PATIENCE: Duration = Duration::from_millis(900);
    let (port, address) = docker.published().first().context("no port is forwarded to this machine")?;
    serve(docker, &["-p", &format!("{port}:80")], "crowded")?;
    let address: SocketAddr = address.parse()?;
    let streams = (0..24).map(|_| TcpStream::connect_timeout(&address, PATIENCE));
    let streams = streams.collect::<Result<Vec<_>, _>>().context("a connection had to wait for others")?;
    for mut stream in streams {
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer == "i am crowded\n", "{answer:?}");
    }
    docker.ok(&["rm", "-f", "crowded"])?;
    Ok(())
}
