//! What Debian's ip(8) and ss(8) make of the network.

use coffer_images::debian;

use super::{Picture, Test, command};

pub fn tests() -> Vec<Test> {
    vec![Test {
        name: "ip_and_ss_read_the_network",
        image: Picture::Packages(debian::TOOLS),
        setting: command(&["bash", "-ec", SCRIPT]),
        expect: |outcome| outcome.expect_output("passed\n"),
    }]
}

/// Ends with a line that only a run without a failure prints.
const SCRIPT: &str = r#"
ip -j link show lo | grep -q '"ifname":"lo","flags":\["LOOPBACK"'
ip -d link show lo | grep -q 'link/loopback 00:00:00:00:00:00'
test "$(ip rule | wc -l)" = 3
ip -j addr | grep -q '"ifname":"lo"'
ip -j route > /dev/null
ip -j neigh > /dev/null
ss -tuanp | grep -q '^Netid'
ss -xa | grep -q '^Netid'
ss -f netlink -a | grep -q 'tcpdiag:ss'
ip link add veth0 type veth 2>&1 | grep -q 'Operation not permitted'
getent hosts localhost | grep -q '^127.0.0.1'
test "$(cat /sys/class/net/lo/address)" = 00:00:00:00:00:00
echo passed
"#;
