"""What is wrong with a Kubernetes manifest: against the schemas of the API, and with itself.

The schemas are those of Debian's python3-kubernetes, whose models are generated from Kubernetes' OpenAPI
description: names and types of all fields, and which are needed.  A cluster would only warn of a field
that it does not know; here it is a fault.
"""
import re

import yaml

try:
    from kubernetes import client
except ImportError:
    client = None

SCALARS = {"str": str, "int": int, "float": (int, float), "bool": bool}


def read(text):
    """-> the documents."""
    return list(yaml.safe_load_all(text))


def find(documents, kind, name=None):
    """The document of that kind and name; there has to be one."""
    found, = [d for d in documents if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    return found


def pod(document):
    return document["spec"]["template"]


def workloads(documents):
    return [d for d in documents if d["kind"] in ("Deployment", "StatefulSet")]


# --- schemas ---

def against_schema(document):
    """-> list of faults.  The apiVersion's class of calls (AppsV1Api) knows its kinds."""
    group, _, version = document["apiVersion"].rpartition("/")
    kind = document["kind"]
    api = getattr(client, f"{group.partition('.')[0].capitalize() or 'Core'}{version.capitalize()}Api", None)
    method = "create_namespaced_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    if not hasattr(api, method):
        return [f"{kind}: not in {document['apiVersion']}"]
    return _check(document, version.capitalize() + kind, kind)


def _check(value, kind, place):
    listed, mapped = re.fullmatch(r"list\[(.+)\]", kind), re.fullmatch(r"dict\(str, (.+)\)", kind)
    if listed or mapped:
        if not isinstance(value, list if listed else dict):
            return [f"{place}: {kind} is needed"]
        pairs = enumerate(value) if listed else value.items()
        return [fault for key, item in pairs for fault in _check(item, (listed or mapped).group(1), f"{place}/{key}")]
    if kind == "object":  # a number or a name, mostly
        return []
    if kind in SCALARS:
        good = isinstance(value, SCALARS[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if good else [f"{place}: {kind} is needed, not {value!r}"]
    return _check_model(value, getattr(client.models, kind), place)


def _check_model(value, model, place):
    if not isinstance(value, dict):
        return [f"{place}: {model.__name__} is needed"]
    names = {name: attribute for attribute, name in model.attribute_map.items()}
    faults = [f"{place}/{name}: there is no such field" for name in value if name not in names]
    known = {names[name]: item for name, item in value.items() if name in names}
    for attribute, item in known.items():
        faults += _check(item, model.openapi_types[attribute], f"{place}/{model.attribute_map[attribute]}")
    try:
        model(**known)
    except ValueError as error:  # a needed field, a bound, a list of values
        faults.append(f"{place}: {error}")
    return faults


# --- with itself ---

def inconsistencies(documents):
    """-> list of faults."""
    faults = []
    for workload in workloads(documents):
        faults += _in_workload(workload, documents)
    for service in (d for d in documents if d["kind"] == "Service"):
        faults += _in_service(service, documents)
    names = [(d["kind"], d["metadata"]["name"]) for d in documents]
    return faults + [f"{name}: given twice" for name in names if names.count(name) > 1]


def _selected(selector, workload):
    labels = pod(workload)["metadata"]["labels"]
    return all(labels.get(key) == value for key, value in selector.items())


def _in_workload(workload, documents):
    name, spec = workload["metadata"]["name"], pod(workload)["spec"]
    faults = []
    if not _selected(workload["spec"]["selector"]["matchLabels"], workload):
        faults.append(f"{name}: its selector does not match its pods")
    if workload["kind"] == "StatefulSet":
        heads = [d for d in documents if d["kind"] == "Service" and d["spec"].get("clusterIP") == "None"]
        if not any(s["metadata"]["name"] == workload["spec"]["serviceName"] and _selected(s["spec"]["selector"], workload)
                   for s in heads):
            faults.append(f"{name}: no headless Service {workload['spec']['serviceName']} selects its pods")
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    mounted = [mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", [])]
    faults += [f"{name}: volume {v} is mounted, not declared" for v in mounted if v not in volumes]
    faults += [f"{name}: volume {v} is declared, not mounted" for v in volumes if v not in mounted]
    maps = [d["metadata"]["name"] for d in documents if d["kind"] == "ConfigMap"]
    faults += [f"{name}: there is no ConfigMap {volume['configMap']['name']}" for volume in volumes.values()
               if "configMap" in volume and volume["configMap"]["name"] not in maps]
    for container in spec["containers"]:
        faults += [f"{name}: {probe}: there is no port {port}" for probe, port in _probe_ports(container)
                   if container_port(container, port) is None]
    return faults


def _probe_ports(container):
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        for action in container.get(probe, {}).values():
            if isinstance(action, dict) and "port" in action:
                yield probe, action["port"]


def container_port(container, port):
    """The number of a port by name or number, None if the container has none of it."""
    for candidate in container.get("ports", []):
        if port in (candidate.get("name"), candidate["containerPort"]):
            return candidate["containerPort"]
    return None


def _in_service(service, documents):
    name, spec = service["metadata"]["name"], service["spec"]
    behind = [w for w in workloads(documents) if _selected(spec["selector"], w)]
    faults = [] if len(behind) == 1 else [f"{name}: selects the pods of {len(behind)} workloads"]
    for port in spec["ports"]:
        target = port.get("targetPort", port["port"])
        if not any(container_port(c, target) for w in behind for c in pod(w)["spec"]["containers"]):
            faults.append(f"{name}: nobody listens on port {target}")
    return faults


def service_environment(documents):
    """The variables that pods get of each Service with an address, as links of Docker once made them."""
    result, ip = {}, "10.0.0.1"
    for service in (d for d in documents if d["kind"] == "Service" and d["spec"].get("clusterIP") != "None"):
        name = service["metadata"]["name"].upper().replace("-", "_")
        ports = service["spec"]["ports"]
        result[f"{name}_SERVICE_HOST"], result[f"{name}_SERVICE_PORT"] = ip, str(ports[0]["port"])
        result[f"{name}_PORT"] = f"tcp://{ip}:{ports[0]['port']}"
        for port in ports:
            result[f"{name}_SERVICE_PORT_{port['name'].upper()}"] = str(port["port"])
            result[f"{name}_PORT_{port['port']}_TCP"] = f"tcp://{ip}:{port['port']}"
            result[f"{name}_PORT_{port['port']}_TCP_PORT"] = str(port["port"])
    return result
