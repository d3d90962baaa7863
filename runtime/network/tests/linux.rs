//! Networks on the kernel under this test, in network namespaces of its own. Needs root, and util-linux for the namespaces.
#![forbid(unsafe_code)]
#![expect(clippy::tests_outside_test_module, reason = "all of this is tests")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runtime_network::endpoint::{self, Endpoint};
use runtime_network::netlink::Netlink;
use runtime_network::publish::{self, Protocol, Published};
use runtime_network::{Error, Ipv4Net, Network, bridge, dhcp, machine};
use rustix::process::Pid;
use rustix::thread::LinkNameSpaceType;

/// A process with a network namespace of its own.
struct Namespace(Child);

impl Namespace {
    /// None without the right to make one.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec sleep 60"])
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        // Its first byte says that it is there.
        child.stdout.take()?.read_exact(&mut [0]).ok()?;
        Some(Self(child))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Runs `work` on a thread inside.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).expect("the process lives");
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                rustix::thread::move_into_link_name_space(namespace.as_fd(), kind).expect("this is root");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn network() -> Network {
    Network {
        bridge: "docker0".to_owned(),
        subnet: Ipv4Net::new_assert(Ipv4Addr::new(172, 17, 0, 0), 16),
        gateway: Ipv4Addr::new(172, 17, 0, 1),
        is_internal: false,
        mtu: Some(1400),
    }
}

#[test]
fn containers_on_a_bridge_reach_each_other_and_the_machine() {
    let (Some(host), Some(one), Some(two)) = (Namespace::new(), Namespace::new(), Namespace::new()) else {
        return;
    };
    let network = network();
    let addresses = [Ipv4Addr::new(172, 17, 0, 2), Ipv4Addr::new(172, 17, 0, 3)];
    let veths = host.run(|| {
        bridge::ensure(&network).unwrap();
        // An engine that starts again does it again.
        bridge::ensure(&network).unwrap();
        [(&one, addresses[0]), (&two, addresses[1])].map(|(container, address)| {
            endpoint::attach(&network, &Endpoint::new("eth0", address), container.pid()).unwrap()
        })
    });
    let listener = two.run(|| TcpListener::bind((addresses[1], 80)).unwrap());
    let server = thread::spawn(move || {
        for _ in 0..2 {
            listener.accept().unwrap().0.write_all(b"hello").unwrap();
        }
    });
    for client in [&one, &host] {
        let text = client.run(|| {
            let mut text = String::new();
            TcpStream::connect((addresses[1], 80)).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(text, "hello");
    }
    server.join().unwrap();

    let link = one.run(|| Netlink::open().unwrap().link("eth0").unwrap());
    assert_eq!((link.mtu, link.mac.unwrap().to_string().as_str()), (1400, "02:42:ac:11:00:02"));
    let routes = one.run(|| Netlink::open().unwrap().routed_networks().unwrap());
    assert_eq!(routes, [network.subnet]);
    host.run(|| {
        endpoint::detach(&veths[0]).unwrap();
        endpoint::detach(&veths[0]).unwrap();
        bridge::remove(&network).unwrap();
        bridge::remove(&network).unwrap();
        assert_eq!(Netlink::open().unwrap().find_link("docker0").unwrap(), None);
    });
}

#[test]
fn an_endpoint_that_cannot_be_made_leaves_nothing() {
    let (Some(host), Some(container)) = (Namespace::new(), Namespace::new()) else { return };
    let network = network();
    host.run(|| {
        bridge::ensure(&network).unwrap();
        let taken = Endpoint::new("lo", Ipv4Addr::new(172, 17, 0, 2));
        assert!(endpoint::attach(&network, &taken, container.pid()).is_err());
        let links = Netlink::open().unwrap().links().unwrap();
        assert!(links.iter().all(|link| !link.name.starts_with("veth")), "{links:?}");
    });
}

#[test]
fn publishing_on_a_kernel_without_the_table_says_so() {
    let Some(host) = Namespace::new() else { return };
    host.run(|| {
        machine::loopback_up().unwrap();
        let host = "127.0.0.1:0".parse().unwrap();
        let target = "172.17.0.2:80".parse().unwrap();
        let published = publish::add(Published { protocol: Protocol::Tcp, host, target });
        let has_table = std::path::Path::new("/proc/net/coffer/nat").exists();
        assert!(has_table || matches!(published, Err(Error::NoNat)));
    });
}

/// Against busybox's server, over a veth pair.
#[test]
fn a_lease_is_obtained_and_applied() {
    let (Some(server), Some(client)) = (Namespace::new(), Namespace::new()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let leases = folder.path().join("leases");
    File::create(&leases).unwrap();
    let setting = folder.path().join("udhcpd.conf");
    let text = format!(
        "start 10.9.0.15\nend 10.9.0.15\ninterface srv0\nlease_file {}\npidfile {}\noption subnet 255.255.255.0\n\
         option router 10.9.0.1\noption dns 10.9.0.3\noption lease 7200\n",
        leases.display(),
        folder.path().join("pid").display()
    );
    std::fs::write(&setting, text).unwrap();
    server.run(|| {
        let mut netlink = Netlink::open().unwrap();
        let mac = "02:00:00:00:00:0f".parse().unwrap();
        netlink.create_veth("srv0", ("eth0", mac, client.pid()), None).unwrap();
        let link = netlink.link("srv0").unwrap();
        machine::configure(&link, "10.9.0.1/24".parse().unwrap(), None).unwrap();
        netlink.set_up(&link).unwrap();
    });
    let link = client.run(|| machine::uplink(Some("eth0")).unwrap().unwrap());
    let daemon = server
        .run(|| Command::new("busybox").args(["udhcpd", "-f"]).arg(&setting).stderr(Stdio::null()).spawn());
    let Ok(mut daemon) = daemon else {
        eprintln!("skipped: needs busybox's udhcpd");
        return;
    };

    let lease = client.run(|| {
        let socket = dhcp::Socket::open("eth0").unwrap();
        let start = Instant::now();
        let mut client = dhcp::Client::new(link.mac.unwrap(), 42, start);
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(dhcp::Change::Bound(lease)) = socket.drive(&mut client, Instant::now()).pop() {
                machine::apply(&link, &lease, None).unwrap();
                return Some(lease);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    });
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let lease = lease.expect("udhcpd answered");
    assert_eq!(lease.address.to_string(), "10.9.0.15/24");
    assert_eq!(lease.gateway, Some(Ipv4Addr::new(10, 9, 0, 1)));
    assert_eq!(lease.dns, [Ipv4Addr::new(10, 9, 0, 3)]);
    assert_eq!(lease.duration, Duration::from_secs(7200));
    client.run(|| {
        TcpListener::bind(("10.9.0.15", 0)).unwrap();
        machine::give_up(&link, &lease).unwrap();
        assert!(TcpListener::bind(("10.9.0.15", 0)).is_err());
    });
}
