"""The image, compose and Kubernetes files: their schemas, their hardening, and that they agree with the program."""

import json
import re
import subprocess

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose
from running import BIN, DEADLINE_SECONDS, ROOT, qatgapd

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
YAML_FILES = [
    DEPLOY / "compose.yaml",
    DEPLOY / "kustomization.yaml",
    *MANIFESTS,
    *sorted((DEPLOY / "grafana/provisioning").rglob("*.yaml")),
    *sorted((DEPLOY / "prometheus").glob("*.yml")),
]
YAMLLINT = """
extends: default
rules:
  braces: {max-spaces-inside: 1}
  comments: {min-spaces-from-content: 1}
  document-start: disable
  line-length: {max: 180}
"""
# What a debian:12-slim has.
IN_THE_BASE = {"libc6", "libgcc-s1"}


def _objects():
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


OBJECTS = {(thing["kind"], thing["metadata"]["name"]): thing for thing in _objects()}
WORKLOADS = {name: thing for (kind, name), thing in OBJECTS.items() if kind in ("Deployment", "StatefulSet")}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def _pod(name):
    return WORKLOADS[name]["spec"]["template"]["spec"]


def _container(name):
    (container,) = _pod(name)["containers"]
    return container


@pytest.fixture(params=sorted(SERVICES))
def name(request):
    return request.param


def test_the_services_are_the_same_everywhere():
    assert sorted(WORKLOADS) == sorted(SERVICES) == ["grafana", "prometheus", "qatgapd"]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yamllint(path):
    done = subprocess.run(["yamllint", "--strict", "-d", YAMLLINT, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_compose_file():
    PyCompose.from_yaml(yaml.safe_dump(COMPOSE)).validate()
    for service in SERVICES.values():
        named = [mount.split(":")[0] for mount in service["volumes"]]
        for source in named:
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in COMPOSE["volumes"], source
        assert set(service.get("depends_on", {})) <= set(SERVICES)


@pytest.mark.parametrize("key", OBJECTS, ids="-".join)
def test_kubernetes_schema(key):
    kubernetes_validate.validate(OBJECTS[key], "1.30", strict=True)
    assert OBJECTS[key]["metadata"].get("namespace", "qatgap") == "qatgap"


def test_a_misspelt_field_would_be_found():
    broken = json.loads(json.dumps(OBJECTS["StatefulSet", "qatgapd"]))
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.30", strict=True)


def test_kustomization_names_every_file():
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert sorted(DEPLOY / name for name in kustomization["resources"]) == MANIFESTS
    maps = {entry["name"]: [DEPLOY / name for name in entry["files"]] for entry in kustomization["configMapGenerator"]}
    for files in maps.values():
        assert all(path.is_file() for path in files)
    assert sum(path.stat().st_size for files in maps.values() for path in files) < 1 << 20
    volumes = [volume for name in WORKLOADS for volume in _pod(name)["volumes"]]
    used = {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
    assert used == set(maps)
    assert sorted(maps["grafana-dashboards"]) == sorted((DEPLOY / "grafana").glob("*.json"))


def test_pods_are_confined(name):
    pod, container = _pod(name), _container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["limits"]) & set(container["resources"]["requests"])
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert all("hostPath" not in volume for volume in pod["volumes"])


def test_containers_of_compose_are_confined(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) == _pod(name)["securityContext"]["runAsUser"] > 0
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert name == "qatgapd" or service["healthcheck"]["test"]
    assert service["image"] == _container(name)["image"]
    assert not service["image"].endswith(":latest")
    assert ":" in service["image"]


def test_there_are_no_secrets():
    assert not any(kind == "Secret" for kind, _ in OBJECTS)
    text = "".join(path.read_text() for path in YAML_FILES)
    assert re.findall(r"(?im)^[^#\n]*(password|secretKeyRef|api[_-]?key|bearer)", text) == []


def test_grafana_is_set_up_alike():
    pairs = {entry["name"]: entry["value"] for entry in _container("grafana")["env"]}
    assert pairs == SERVICES["grafana"]["environment"]


def test_addresses_agree():
    prometheus = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (target,) = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    for address in (target, source["url"].removeprefix("http://")):
        host, port = address.split(":")
        service = OBJECTS["Service", host]
        assert int(port) in [entry["port"] for entry in service["spec"]["ports"]], address
        assert "metrics" in SERVICES[host]["networks"]
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/qatgap.yaml").read_text())["providers"]
    folder = provider["options"]["path"]
    assert folder in [mount["mountPath"] for mount in _container("grafana")["volumeMounts"]]
    mounted = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]
    for dashboard in (DEPLOY / "grafana").glob("*.json"):
        assert f"{folder}/{dashboard.name}" in mounted


def test_services_and_policies_select_pods(name):
    labels = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in _container(name)["ports"]}
    service = OBJECTS["Service", name]["spec"]
    assert service["selector"].items() <= labels.items()
    assert all(ports[port["targetPort"]] == port["port"] for port in service["ports"])
    policy = OBJECTS["NetworkPolicy", name]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    for rule in policy.get("ingress", []):
        assert {port["port"] for port in rule["ports"]} <= set(ports.values())
    assert OBJECTS["NetworkPolicy", "deny-all"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


# The image.

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def _instruction(name):
    """The last one's arguments, a JSON list."""
    return json.loads(re.findall(rf"(?m)^\s*{name} (\[.*\])$", DOCKERFILE)[-1])


def test_hadolint():
    done = subprocess.run(["hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_has_the_libraries_of_the_binaries():
    runtime = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    packages = set(re.search(r"--no-install-recommends (.*?) &&", runtime, re.DOTALL)[1].replace("\\", "").split())
    needed, torch = set(), set()
    for binary in ("qatgapd", "qatgap-runner", "qatgap"):
        dynamic = subprocess.check_output(["readelf", "-d", BIN / binary], text=True)
        names = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
        loaded = dict(re.findall(r"(\S+) => (/\S+)", subprocess.check_output(["ldd", BIN / binary], text=True)))
        torch |= {name for name, path in loaded.items() if "/torch/lib/" in path}
        needed |= {loaded[name] for name in names & set(loaded) if "/torch/lib/" not in loaded[name]}
    owners = set()
    for library in needed:
        resolved = subprocess.check_output(["readlink", "-f", library], text=True).strip()
        # /lib is a link to /usr/lib; packages list the one or the other.
        for path in (resolved, resolved.removeprefix("/usr")):
            found = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
            owners |= {line.split(":")[0] for line in found.stdout.splitlines()}
    assert owners - IN_THE_BASE == packages
    assert set(re.search(r"for library in (.*?); do", DOCKERFILE)[1].split()) == torch


def test_the_image_starts_and_is_healthy(tmp_path):
    """Its flags and those of compose and Kubernetes, but for the ports and the folder."""
    program, *flags = _instruction("ENTRYPOINT")
    assert program == "qatgapd"
    assert SERVICES["qatgapd"]["command"] == _container("qatgapd")["args"]
    given = dict(flag.split("=") for flag in [*flags, *SERVICES["qatgapd"]["command"]] if "=" in flag)
    assert given["--data-dir"] in [mount["mountPath"] for mount in _container("qatgapd")["volumeMounts"]]
    ports = {entry["containerPort"] for entry in _container("qatgapd")["ports"]}
    assert {int(given[flag].split(":")[1]) for flag in ("--listen", "--http-listen", "--metrics-listen")} == ports
    # Memory of the runners and 1 GB for the server.
    limit = int(_container("qatgapd")["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
    assert int(given["--runners"]) * int(given["--memory-limit"]) + 10**9 <= limit
    others = [flag for flag in [*flags, *SERVICES["qatgapd"]["command"]]
              if not flag.startswith(("--listen", "--http-listen", "--metrics-listen", "--data-dir"))]
    with qatgapd(tmp_path, *others) as server:
        program, *arguments = _instruction("CMD")
        arguments[arguments.index("--server") + 1] = server.address
        check = [BIN / program, *arguments]
        assert subprocess.run(check, capture_output=True, timeout=DEADLINE_SECONDS).returncode == 0
    gone = subprocess.run(check, capture_output=True, timeout=DEADLINE_SECONDS)
    assert gone.returncode != 0, "the check sees that the server is gone"


def test_the_page_lists_the_alerts():
    page = (ROOT / "docs/deployment.md").read_text()
    groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert re.findall(r"(?m)^\| `(Qatgap\w+)` \|", page) == alerts
