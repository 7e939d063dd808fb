"""docs/api.yaml against the running program's answers."""
import json
import os

import jsonschema
import pytest
import yaml

from conftest import QUICK
from lib.cameras import ROOT
from lib.gateway import Gateway
from lib.http import request

with open(os.path.join(ROOT, "docs", "api.yaml"), encoding="utf-8") as openapi:
    API = yaml.safe_load(openapi)
METHODS = ("get", "post", "put", "delete")  # in this order: what is deleted was put
TOKEN = {"Authorization": "Bearer openapi-token"}
BODY = (b'{"camera_url": "rtsp://admin:secret@192.0.2.1/", "cam_type": "rtsp-udp", "title": "x", "group": "y", '
        b'"always_on": false, "sub": "rtsp://admin:secret@192.0.2.1/2"}')
OPERATIONS = [(path, method) for path, item in API["paths"].items() for method in METHODS if method in item]


@pytest.fixture(scope="module")
def gateway(h264_camera, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    config = (f'{QUICK}[access]\ntoken = openapi-token\nmanage = yes\nmanage_file = {folder}/cameras.ini\n'
              f'[camera "door"]\nurl = {h264_camera.url("/door")}\nalways_on = yes\n')
    with Gateway(folder, config) as one:
        assert request(one.snapshot_port, "/snapshot?cam=door", headers=TOKEN).status == 200
        yield one


def resolved(node):
    """A part of the description, or the one that it refers to."""
    if node is None or "$ref" not in node:
        return node
    part = API
    for name in node["$ref"].removeprefix("#/").split("/"):
        part = part[name]
    return part


def check(path, method, answer):
    """The answer has a status, type and body that the description has."""
    responses = API["paths"][path][method]["responses"]
    response = resolved(responses.get(str(answer.status), responses.get("default")))
    assert response is not None, f"{method} {path}: {answer.status} is not described"
    kind = answer.headers.get("content-type", "").split(";")[0]
    content = response.get("content", {kind: {}})
    assert kind in content, f"{method} {path}: {answer.status} is {kind}, not one of {sorted(content)}"
    schema = content[kind].get("schema")
    if schema:
        jsonschema.Draft202012Validator({**schema, "components": API["components"]},
                                        format_checker=jsonschema.FormatChecker()).validate(json.loads(answer.body))
    assert (schema is not None) == (kind == "application/json")
    for name, header in response.get("headers", {}).items():
        if header.get("required") is False and name.lower() not in answer.headers:
            continue
        value = answer.headers[name.lower()]
        kind = header["schema"].get("type")
        jsonschema.validate(int(value) if kind == "integer" else value, header["schema"])


def port_of(gateway, path):
    servers = API["paths"][path].get("servers", API["servers"])
    return gateway.flv_port if servers[0]["url"].endswith(":8005") else gateway.snapshot_port


@pytest.mark.parametrize("path, method", OPERATIONS)
def test_good_answers(gateway, path, method):
    target = path.format(name="live", file="mpegts.js", id="door", camera="gate")
    if "cam" in str(API["paths"][path][method].get("parameters")):
        target += "?cam=door"
    endless = path in ("/", "/{name}.flv", "/mjpeg")
    answer = request(port_of(gateway, path), target, "HEAD" if endless else method.upper(), TOKEN,
                     body=BODY if method == "put" else None)
    assert answer.status in (200, 201, 204), answer.body
    check(path, method, answer)


@pytest.mark.parametrize("path, method", OPERATIONS)
def test_errors(gateway, path, method):
    target = path.format(name="live", file="none", id="nothing", camera="nothing")
    wrong = {"/healthz": None, "/metrics": None, "/api/cameras": None, "/play": None, "/assets/{file}": ""}
    query = wrong.get(path, "?cam=nobody")
    answer = request(port_of(gateway, path), target + (query or ""), method.upper() if query is not None else "PUT",
                     TOKEN)
    assert answer.status >= 400
    if answer.status == 405:  # of no described method
        method = "get"
    check(path, method, answer)


def test_a_description_that_is_wrong_is_found(gateway):
    answer = request(gateway.snapshot_port, "/api/cameras", headers=TOKEN)
    broken = answer.body.replace(b'"always_on"', b'"always"')
    assert broken != answer.body
    answer.body = broken
    with pytest.raises(jsonschema.ValidationError):
        check("/api/cameras", "get", answer)
