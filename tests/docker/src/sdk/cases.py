"""What a program does with the Python SDK (PyPI's `docker`): one function a case, named on the command line.

The engine is where DOCKER_HOST and its companions say; ARCHIVE is a docker archive with an image called test:latest, which IMAGE is
another name of.
"""

import io
import json
import os
import socket
import sys
import tarfile
import threading
import time

import docker
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

IMAGE = "busybox:test"
client = docker.from_env(timeout=120)


def until(what, is_true, patience=60):
    start = time.monotonic()
    while not is_true():
        assert time.monotonic() - start < patience, f"{what} did not come true"
        time.sleep(0.1)


def echo(stream, text):
    """Sends input over a connection to a process that sends it back: in a frame, whose header has eight bytes."""
    stream.sendall(text)
    heard = b""
    while len(heard) < 8 + len(text):
        piece = stream.recv(4096)
        assert piece, heard
        heard += piece
    assert heard[8:] == text, heard
    stream.close()


def sleeper(name, **options):
    return client.containers.run(IMAGE, ["sleep", "1000"], name=name, detach=True, **options)


def refused(error, words, call):
    try:
        call()
    except error as refusal:
        assert words.lower() in str(refusal).lower(), refusal
    else:
        raise AssertionError(f"not refused with {words!r}")


def version_and_info():
    assert client.ping()
    version = client.version()
    assert version["Os"] == "linux" and version["Arch"] == "amd64", version
    assert client.info()["OSType"] == "linux"
    assert "Containers" in client.df()


def images():
    with open(os.environ["ARCHIVE"], "rb") as archive:
        [image] = client.images.load(archive)
    assert "test:latest" in image.tags, image.tags
    assert image.tag("sdk/image", "one")
    assert client.images.get("sdk/image:one").id == image.id
    assert image.attrs["Os"] == "linux" and image.history()
    saved = b"".join(client.images.get("sdk/image:one").save(named="sdk/image:one"))
    client.images.remove("sdk/image:one")
    refused(ImageNotFound, "no such image", lambda: client.images.get("sdk/image:one"))
    [image] = client.images.load(saved)
    assert "sdk/image:one" in image.tags, image.tags
    client.images.remove("sdk/image:one")


def pull_says_why_not():
    refused(APIError, "127.0.0.1:1", lambda: client.images.pull("127.0.0.1:1/no/such", tag="image"))


def life_of_a_container():
    container = client.containers.create(
        IMAGE, ["sh", "-c", "echo $A; echo err >&2; exit 3"], name="sdk-life", environment={"A": "b"}, labels={"x": "y"}
    )
    assert container.status == "created"
    container.start()
    assert container.wait()["StatusCode"] == 3
    assert container.logs(stderr=False) == b"b\n" and container.logs(stdout=False) == b"err\n"
    container.reload()
    assert container.status == "exited" and container.labels == {"x": "y"}
    assert [found.name for found in client.containers.list(all=True, filters={"label": "x=y"})] == ["sdk-life"]
    container.rename("sdk-renamed")
    container.remove()
    refused(NotFound, "no such container", lambda: client.containers.get("sdk-renamed"))


def run_gives_the_output_or_an_error():
    assert client.containers.run(IMAGE, ["echo", "hello"], remove=True) == b"hello\n"
    try:
        client.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 4"], remove=True)
    except ContainerError as error:
        assert error.exit_status == 4 and error.stderr == b"why\n", error
    else:
        raise AssertionError("no error")
    assert client.containers.list(all=True) == []


def stop_pause_and_restart():
    container = sleeper("sdk-stop", init=True)
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.restart(timeout=0)
    container.reload()
    assert container.status == "running"
    assert any("sleep 1000" in " ".join(process) for process in container.top()["Processes"])
    container.kill(signal="TERM")
    assert container.wait()["StatusCode"] == 143
    container.start()
    container.stop(timeout=1)
    container.remove()


def exec_run():
    container = sleeper("sdk-exec")
    code, (out, err) = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 5"], demux=True)
    assert (code, out, err) == (5, b"out\n", b"err\n"), (code, out, err)
    code, out = container.exec_run(["sh", "-c", "id -u; pwd; echo $A"], user="1000", workdir="/tmp", environment={"A": "b"})
    assert (code, out) == (0, b"1000\n/tmp\nb\n"), (code, out)
    code, out = container.exec_run("tty", tty=True)
    assert (code, out) == (0, b"/dev/pts/0\r\n"), (code, out)
    _, pieces = container.exec_run(["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"], stream=True)
    assert b"".join(pieces) == b"1\n2\n3\n"
    _, stream = container.exec_run("cat", stdin=True, socket=True)
    echo(stream, b"typed\n")
    container.remove(force=True)


def logs_are_followed():
    container = client.containers.run(
        IMAGE, ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"], name="sdk-logs", detach=True
    )
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert container.logs(tail=1) == b"3\n"
    assert container.logs(timestamps=True, tail=1).split()[0].endswith(b"Z")
    container.remove()


def attach_sends_input():
    container = client.containers.create(IMAGE, ["cat"], name="sdk-attach", stdin_open=True)
    stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    echo(stream, b"echoed\n")
    container.remove(force=True)


def networks():
    network = client.networks.create(
        "sdk-net",
        labels={"a": "b"},
        ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.78.0.0/24", gateway="10.78.0.1")]),
    )
    assert [found.name for found in client.networks.list(filters={"label": "a=b"})] == ["sdk-net"]
    container = sleeper("sdk-member", network="sdk-net")
    network.reload()
    assert [member.name for member in network.containers] == ["sdk-member"]
    refused(APIError, "active endpoints", network.remove)
    client.networks.get("bridge").connect(container)
    container.reload()
    assert set(container.attrs["NetworkSettings"]["Networks"]) == {"sdk-net", "bridge"}
    network.disconnect(container)
    container.remove(force=True)
    network.remove()
    refused(NotFound, "not found", lambda: client.networks.get("sdk-net"))


def published_ports():
    port, address = os.environ["PUBLISHED"].split("=")
    container = client.containers.run(
        IMAGE, ["nc", "-ll", "-p", "80", "-e", "echo", "published"], name="sdk-ports", ports={"80/tcp": int(port)}, detach=True
    )
    assert container.attrs and client.containers.get("sdk-ports").ports["80/tcp"][0]["HostPort"] == port
    host, _, host_port = address.partition(":")

    def answers():
        try:
            with socket.create_connection((host, int(host_port)), timeout=10) as stream:
                return stream.makefile().read() == "published\n"
        except OSError:
            return False

    until("the server", answers)
    container.remove(force=True)


def volumes():
    volume = client.volumes.create("sdk-volume", labels={"a": "b"})
    client.containers.run(IMAGE, ["sh", "-c", "echo kept > /data/file"], volumes={"sdk-volume": {"bind": "/data"}}, remove=True)
    read = {"sdk-volume": {"bind": "/data", "mode": "ro"}}
    assert client.containers.run(IMAGE, ["cat", "/data/file"], volumes=read, remove=True) == b"kept\n"
    assert [found.name for found in client.volumes.list(filters={"label": "a=b"})] == ["sdk-volume"]
    volume.remove()
    refused(NotFound, "no such volume", lambda: client.volumes.get("sdk-volume"))


def events():
    heard = []
    stream = client.events(decode=True, filters={"container": "sdk-events"})
    ready = threading.Event()

    def listen():
        ready.set()
        for event in stream:
            heard.append(event["Action"])
            if event["Action"] == "destroy":
                break

    listener = threading.Thread(target=listen)
    listener.start()
    ready.wait()
    client.containers.run(IMAGE, ["true"], name="sdk-events", remove=True)
    listener.join(60)
    assert not listener.is_alive(), heard
    stream.close()
    wanted = iter(heard)
    assert all(action in wanted for action in ["create", "start", "die", "destroy"]), heard


def archives():
    container = client.containers.create(IMAGE, ["cat", "/tmp/folder/file"], name="sdk-archive")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("folder/file")
        entry.size = 1 << 20
        tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    assert container.put_archive("/tmp", content.getvalue())
    pieces, status = container.get_archive("/tmp/folder/file")
    assert status["name"] == "file" and status["size"] == 1 << 20, status
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        assert tar.extractfile("file").read() == b"x" * (1 << 20)
    container.start()
    assert container.wait()["StatusCode"] == 0 and len(container.logs()) == 1 << 20
    refused(NotFound, "no/such", lambda: container.get_archive("/no/such"))
    container.remove()


def the_calls_of_the_compose_plugin():
    """What docker's compose plugin (version 2) asks for a project's life, word for word where its words are its own: labels in filters, several
    of them at once, networks and volumes by name, endpoints with everything empty beside their aliases."""

    def call(method, path, body=None, **query):
        query = {key: json.dumps(value) if key == "filters" else value for key, value in query.items()}
        response = client.api.request(method, client.api.base_url + "/v1.44" + path, json=body, params=query, timeout=120)
        assert response.ok, (path, response.status_code, response.text)
        return response.json() if response.content else None

    project = {"com.docker.compose.project": "plug"}
    of_project = {"label": ["com.docker.compose.project=plug"]}
    assert call("GET", "/containers/json", all="1", filters={"label": ["com.docker.compose.project=plug", "com.docker.compose.config-hash"]}) == []
    assert call("GET", "/networks", filters={"name": ["plug_default"]}) == []
    labels = {**project, "com.docker.compose.network": "default", "com.docker.compose.version": "2.36.0"}
    network = call(
        "POST",
        "/networks/create",
        {"Name": "plug_default", "Driver": "", "Scope": "", "EnableIPv6": None, "IPAM": None, "Internal": False, "Attachable": False,
         "Ingress": False, "ConfigOnly": False, "ConfigFrom": None, "Options": None, "Labels": labels},
    )["Id"]
    assert call("GET", "/networks/plug_default")["Id"] == network
    call("POST", "/volumes/create", {"Name": "plug_data", "Driver": "", "DriverOpts": None, "Labels": {**project, "com.docker.compose.volume": "data"}})
    assert call("GET", "/volumes/plug_data")["Labels"]["com.docker.compose.volume"] == "data"

    image = call("GET", f"/images/{IMAGE}/json")["Id"]
    service = {**project, "com.docker.compose.service": "web", "com.docker.compose.oneoff": "False", "com.docker.compose.container-number": "1",
               "com.docker.compose.config-hash": "0123", "com.docker.compose.image": image, "com.docker.compose.depends_on": ""}
    container = call(
        "POST",
        "/containers/create",
        {"Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": True, "AttachStderr": True, "Tty": False,
         "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": ["sleep", "1000"], "Image": IMAGE, "Volumes": None, "WorkingDir": "",
         "Entrypoint": None, "Labels": service,
         "Healthcheck": {"Test": ["CMD", "true"], "Interval": 300000000, "StartInterval": 300000000},
         "HostConfig": {"Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": None}, "NetworkMode": "plug_default",
                        "PortBindings": {}, "RestartPolicy": {"Name": "", "MaximumRetryCount": 0}, "AutoRemove": False, "VolumeDriver": "",
                        "VolumesFrom": None, "ConsoleSize": [0, 0], "CapAdd": None, "CapDrop": None, "CgroupnsMode": "", "Dns": None,
                        "DnsOptions": None, "DnsSearch": None, "ExtraHosts": [], "GroupAdd": None, "IpcMode": "", "Cgroup": "", "Links": None,
                        "OomScoreAdj": 0, "PidMode": "", "Privileged": False, "PublishAllPorts": False, "ReadonlyRootfs": False,
                        "SecurityOpt": None, "UTSMode": "", "UsernsMode": "", "ShmSize": 0, "Isolation": "", "CpuShares": 0, "Memory": 0,
                        "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": None, "CpuPeriod": 0, "CpuQuota": 0,
                        "Devices": None, "DeviceCgroupRules": None, "DeviceRequests": None, "MemorySwappiness": None, "OomKillDisable": False,
                        "PidsLimit": None, "Ulimits": None, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
                        "Mounts": [{"Type": "volume", "Source": "plug_data", "Target": "/data", "VolumeOptions": {}}],
                        "MaskedPaths": None, "ReadonlyPaths": None},
         "NetworkingConfig": {"EndpointsConfig": {"plug_default": {"IPAMConfig": None, "Links": None, "Aliases": ["plug-web-1", "web"],
                              "MacAddress": "", "DriverOpts": None, "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "",
                              "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
                              "DNSNames": None}}}},
        name="plug-web-1",
    )["Id"]
    call("POST", f"/containers/{container}/start")
    wanted = {"label": ["com.docker.compose.project=plug", "com.docker.compose.service=web", "com.docker.compose.oneoff=False"]}
    [listed] = call("GET", "/containers/json", filters=wanted)
    assert listed["Names"] == ["/plug-web-1"] and "plug_default" in listed["NetworkSettings"]["Networks"], listed
    assert call("GET", "/containers/json", all="1", filters={"label": ["com.docker.compose.project=other"]}) == []
    until("the health", lambda: call("GET", f"/containers/{container}/json")["State"]["Health"]["Status"] == "healthy")
    shown = call("GET", f"/containers/{container}/json")
    assert shown["Mounts"][0]["Name"] == "plug_data" and shown["Config"]["Labels"] == service, shown
    assert call("GET", "/networks/" + network)["Containers"][container]["Name"] == "plug-web-1"

    call("POST", f"/containers/{container}/stop")
    call("DELETE", f"/containers/{container}", force="1")
    [found] = call("GET", "/networks", filters=of_project)
    call("DELETE", "/networks/" + found["Id"])
    [found] = call("GET", "/volumes", filters=of_project)["Volumes"]
    call("DELETE", "/volumes/" + found["Name"])
    assert call("GET", "/containers/json", all="1", filters=of_project) == []


def prune():
    client.containers.run(IMAGE, ["true"], name="sdk-prune", detach=True).wait()
    client.networks.create("sdk-prune")
    assert len(client.containers.prune()["ContainersDeleted"]) == 1
    assert client.networks.prune()["NetworksDeleted"] == ["sdk-prune"]
    client.images.prune()
    client.volumes.prune()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
