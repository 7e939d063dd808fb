"""docs/kubernetes.yaml, as far as that goes without a cluster: schemas, consistency, and what its pods would run."""
import os
import re
import subprocess

import pytest

from conftest import QUICK
from lib import kubernetes_manifest as manifest
from lib.balancer import SNAPSHOTS, STREAMS, HAProxy, substitute
from lib.gateway import ROOT, binary, clean_environment
from lib.http import Viewer, connect, request, stream_target
from lib.wait import wait_for

with open(os.path.join(ROOT, "docs", "kubernetes.yaml"), encoding="utf-8") as opened:
    TEXT = opened.read()
DOCUMENTS = manifest.read(TEXT)
GATEWAYS = manifest.find(DOCUMENTS, "StatefulSet")
POD = manifest.pod(GATEWAYS)["spec"]
CONTAINER, = POD["containers"]

needs_schemas = pytest.mark.skipif(manifest.client is None, reason="python3-kubernetes is not installed")


def schema_faults(documents):
    return [fault for document in documents for fault in manifest.against_schema(document)]


def broken(old, new):
    assert old in TEXT
    return manifest.read(TEXT.replace(old, new, 1))


@needs_schemas
def test_schemas():
    assert schema_faults(DOCUMENTS) == []


@needs_schemas
@pytest.mark.parametrize("old, new, complaint", [
    ("kind: StatefulSet", "kind: StatefulSets", "StatefulSets: not in apps/v1"),
    ("apiVersion: apps/v1", "apiVersion: v1", "StatefulSet: not in v1"),
    ("apiVersion: v1", "apiVersion: cams/v1", "Service: not in cams/v1"),
    ("terminationGracePeriodSeconds", "terminationGracePeriod", "terminationGracePeriod: there is no such field"),
    ("httpGet: {path: /healthz, port", "httpGet: {url: /healthz, port", "httpGet/url: there is no such field"),
    ("containerPort: 8005", "containerPort: streams", "containerPort: int is needed"),
    ("replicas: 2", "replicas: two", "replicas: int is needed"),
    ("runAsNonRoot: true", "runAsNonRoot: 1", "runAsNonRoot: bool is needed"),
    ("drop: [ALL]", "drop: ALL", "drop: list[str] is needed"),
    ("  serviceName: gateways\n", "", "`service_name`"),
    ("limits: {memory: 4Gi}", "limits: 4Gi", "limits: dict(str, str) is needed"),
])
def test_schemas_find(old, new, complaint):
    faults = schema_faults(broken(old, new))
    assert len(faults) == 1 and complaint in faults[0], faults


def test_consistency():
    assert manifest.inconsistencies(DOCUMENTS) == []


@pytest.mark.parametrize("old, new, complaint", [
    ("labels: {app: cam-httpflv}", "labels: {app: cam}", "gateway: its selector does not match its pods"),
    ("serviceName: gateways", "serviceName: gateway", "no headless Service gateway selects its pods"),
    ("port: snapshots}\n            periodSeconds: 2", "port: shots}\n            periodSeconds: 2",
     "readinessProbe: there is no port shots"),
    ("- name: config\n          secret", "- name: settings\n          secret", "volume config is mounted, not declared"),
    ("configMap: {name: balancer}", "configMap: {name: haproxy}", "there is no ConfigMap haproxy"),
    ("- {name: streams, port: 8005}", "- {name: streams, port: 8004}", "nobody listens on port 8004"),
    ("name: cam-httpflv\nspec:\n  type", "name: gateways\nspec:\n  type", "('Service', 'gateways'): given twice"),
])
def test_consistency_finds(old, new, complaint):
    faults = manifest.inconsistencies(broken(old, new))
    assert any(complaint in fault for fault in faults), faults


def test_gateways_know_the_clients():
    """From the Service, which keeps their addresses, through the balancer, which forwards them, to gateways that take that."""
    service = manifest.find(DOCUMENTS, "Service", "cam-httpflv")
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    assert len(re.findall(r"^ *backend ", TEXT, re.M)) == len(re.findall(r"^ *option forwardfor$", TEXT, re.M)) == 2
    environment = {entry["name"]: entry["value"] for entry in CONTAINER["env"]}
    checked = subprocess.run([binary(), "--check-config"], env=clean_environment(environment), capture_output=True,
                             text=True, check=True)
    assert f"trusted_proxies = {environment['CAM_HTTPFLV_TRUSTED_PROXIES']}" in checked.stdout


def test_the_image_is_that_of_the_dockerfile():
    """Its user, ports, and where it looks for its configuration; the Secret as the manifest says how to make it."""
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
        dockerfile = file.read()
    assert f"\nUSER {POD['securityContext']['runAsUser']}\n" in dockerfile
    ports = sorted(port["containerPort"] for port in CONTAINER["ports"])
    assert "\nEXPOSE " + " ".join(map(str, ports)) + "\n" in dockerfile
    mount, = CONTAINER["volumeMounts"]
    assert f'"--config", "{mount["mountPath"]}"]' in dockerfile and "args" not in CONTAINER
    secret = POD["volumes"][0]["secret"]["secretName"]
    assert f"kubectl create secret generic {secret} --from-file={mount['subPath']}\n" in TEXT
    defaults = subprocess.run([binary(), "--check-config"], env=clean_environment(manifest.service_environment(DOCUMENTS)),
                              capture_output=True, text=True, timeout=30, check=True).stdout
    assert ports == sorted(int(re.search(rf"^{name}_port = (\d+)$", defaults, re.M).group(1)) for name in ("flv", "snapshot"))


class PodBalancer(HAProxy):
    """HAProxy with the configuration of the ConfigMap; names of pods are addresses here."""

    def read_document(self):
        text, = manifest.find(DOCUMENTS, "ConfigMap")["data"].values()
        return substitute(text, "parse-resolv-conf", "nameserver none 127.0.0.1:9")

    def adapt(self, text, gateways):
        (self.directory / "as-it-is.conf").write_text(text, encoding="utf-8")
        text = substitute(text, f"bind :{STREAMS}", f"bind 127.0.0.1:{self.flv_port}")
        text = substitute(text, f"bind :{SNAPSHOTS}", f"bind 127.0.0.1:{self.snapshot_port}")
        service, name = GATEWAYS["spec"]["serviceName"], GATEWAYS["metadata"]["name"]
        assert GATEWAYS["spec"]["replicas"] == len(gateways)
        for n, gateway in enumerate(gateways):
            for port, ours in ((STREAMS, gateway.flv_port), (SNAPSHOTS, gateway.snapshot_port)):
                text = substitute(text, rf"server {name}-{n} {name}-{n}\.{service}:{port}",
                                  f"server {name}-{n} 127.0.0.1:{ours} check port {gateway.snapshot_port}")
        return text


# A mount namespace with the program and its configuration as volumes have them, nothing to write, no rights.
AS_IN_A_POD = """
set -e
mount -t tmpfs -o mode=0755 tmpfs /mnt
cp "$1" "$1-worker" "$CONFIG" /mnt
chown 0:{group} /mnt/*.ini
chmod {mode:o} /mnt/*.ini
mount -o remount,bind,ro /mnt
mount -o remount,bind,ro /
program=/mnt/${{1##*/}}
shift
exec setpriv --reuid {user} --regid 0 --groups {group} --bounding-set=-all --inh-caps=-all --no-new-privs \
  --pdeathsig TERM "$program" "$@" --config "/mnt/${{CONFIG##*/}}"
"""


@pytest.fixture
def pods(make_gateway, tmp_path):
    """Two gateways under the securityContext of the manifest; nobody applies RuntimeDefault's filter here."""
    context = {**POD["securityContext"], **CONTAINER["securityContext"]}
    assert context["readOnlyRootFilesystem"] and context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsNonRoot"] and not context["allowPrivilegeEscalation"]
    script = AS_IN_A_POD.format(user=context["runAsUser"], group=context["fsGroup"],
                                mode=POD["volumes"][0]["secret"]["defaultMode"])
    namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    if os.geteuid() != 0 or subprocess.run([*namespace, "mount -o remount,bind,ro /"], check=False, timeout=60,
                                           capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    config = tmp_path / "cam-httpflv.ini"
    config.write_text(QUICK, encoding="utf-8")
    env = {**manifest.service_environment(DOCUMENTS), "CONFIG": str(config)}
    return [make_gateway(env=env, prefix=[*namespace, script, "sh"]) for _ in range(GATEWAYS["spec"]["replicas"])]


def test_pods_serve(pods, make_camera, tmp_path):
    camera = make_camera()
    for gateway in pods:
        for probe in ("readinessProbe", "livenessProbe"):
            for kind, action in CONTAINER[probe].items():
                if kind not in ("httpGet", "tcpSocket"):
                    continue
                port = {STREAMS: gateway.flv_port, SNAPSHOTS: gateway.snapshot_port}[
                    manifest.container_port(CONTAINER, action["port"])]
                connect(port).close()
                assert kind == "tcpSocket" or request(port, action["path"]).status == 200
    # All that the sandbox needs is there, and the workers are in it.
    with pods[0].view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker, = pods[0].worker_of(camera.port)
        with open(f"/proc/{worker}/status", encoding="utf-8") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert (status["Seccomp"], status["NoNewPrivs"], int(status["CapBnd"], 16)) == ("2", "1", 0)
        assert status["Uid"].split() == [str(POD["securityContext"]["runAsUser"])] * 4
    for gateway in pods:
        gateway.stop(deadline=POD["terminationGracePeriodSeconds"])


@pytest.mark.skipif(not os.path.exists(HAProxy.program), reason="haproxy is not installed")
def test_balancer(make_gateway, make_camera, tmp_path):
    camera = make_camera()
    gateways = [make_gateway(QUICK) for _ in range(GATEWAYS["spec"]["replicas"])]
    balancer = PodBalancer(tmp_path, gateways)
    try:
        # The file is where the container looks for it.
        container, = manifest.pod(manifest.find(DOCUMENTS, "Deployment"))["spec"]["containers"]
        name, = manifest.find(DOCUMENTS, "ConfigMap")["data"]
        assert container["args"] == ["haproxy", "-f", container["volumeMounts"][0]["mountPath"] + "/" + name]
        checked = subprocess.run([balancer.program, "-c", "-f", str(tmp_path / "as-it-is.conf")], capture_output=True,
                                 text=True, timeout=60, check=False)
        assert checked.returncode == 0, checked.stderr
        wait_for(balancer.healthy, 30, lambda: f"the balancer to answer:\n{balancer.log()}")
        viewers = [Viewer(balancer.flv_port, stream_target(camera.url(), raw=n % 2 == 1)) for n in range(4)]
        for viewer in viewers:
            viewer.wait_frames(5)
        assert balancer.ask(stream_target(camera.url(), path="/snapshot")).status == 200
        assert balancer.ask("/metrics").status == 404
        assert camera.plays == 1
        for viewer in viewers:
            viewer.close()
    finally:
        balancer.close()
