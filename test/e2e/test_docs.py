"""The documents against the program."""
import os
import re
import shutil
import subprocess

import pytest

from lib.gateway import ROOT, binary, clean_environment


def check_docs(root):
    return subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "scripts", "check-docs"), str(root)],
                          capture_output=True, text=True, timeout=60, check=False)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def test_documents_are_complete():
    done = check_docs(ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path, old, new, complaint", [
    ("docs/configuration.md", "| `max_cameras` |", "| `max_kameras` |", "option server.max_cameras is missing"),
    ("docs/configuration.md", "| `max_cameras` | `256` |", "| `max_cameras` | `255` |", "default is '256'"),
    ("docs/configuration.md", "| `always_on` |", "| always_on |", "option camera NAME.always_on is missing"),
    ("docs/configuration.md", "names them: `bind`, ", "names them: ", "option that needs a restart, bind is missing"),
    ("docs/configuration.md", "| `--check-config` |", "| `--check` |", "flag --check-config is missing"),
    ("docs/cam-httpflv.ini", "idle_timeout_ms = 30000", "; gone", "option camera.idle_timeout_ms is missing"),
    ("docs/cam-httpflv.ini", "idle_timeout_ms = 30000", "idle_timeout_ms = 1", "default is '30000'"),
    ("docs/api.md", "`signature`", "signature", "parameter signature is missing"),
    ("docs/api.md", "| `draining` | 503 |", "| `draining` | 500 |", "error draining 503 is missing"),
    ("docs/api.md", "`/metrics`", "`/metric`", "endpoint 8006 GET /metrics is missing"),
    ("docs/operations.md", "| `cam_httpflv_join_seconds` |", "| join |", "metric cam_httpflv_join_seconds is missing"),
    ("docs/operations.md", "| `cam_httpflv_draining` |", "| x |", "metric cam_httpflv_draining is missing"),
    ("docs/grafana.json", "cam_httpflv_cameras{", "cam_httpflv_kameras{", "there is no metric kameras"),
    ("docs/architecture.md", "| SETTINGS |", "| SETTING |", "message SETTINGS is missing"),
    ("common/http_reply.h", '"draining",', '"drained", ', "error drained 503 is missing"),
    ("docs/api.yaml", "  /metrics:", "  /metric:", "docs/api.yaml: endpoint 8006 GET /metrics is missing"),
    ("docs/api.yaml", "    post:", "    put:", "docs/api.yaml: endpoint 8006 POST /snapshot is missing"),
    ("docs/api.yaml", "name: quality,", "name: qualitie,", "docs/api.yaml: parameter quality is missing"),
    ("docs/api.yaml", "[live, gop, key]", "[live, gop]", "docs/api.yaml: value of join key is missing"),
    ("docs/api.yaml", "- draining", "- drained", "docs/api.yaml: error draining is missing"),
    ("docs/troubleshooting.md", "| `draining` |", "| draining |", "docs/troubleshooting.md: error draining is missing"),
    ("README.md", "./scripts/run ", "./scripts/start ", "README.zh-CN.md: command or name ./scripts/start is missing"),
    ("docs/compose.yaml", "image: cam-httpflv:", "image: cam-httpflv:9", "docs/compose.yaml: version"),
    ("docs/architecture.md", "| `worker/rtp` |", "| `worker/srt` |", "room worker/rtp is missing"),
    ("docs/architecture.md", "| http media pictures transcode |", "| http media pictures |", "room worker/viewers: transcode is missing"),
    ("docs/architecture.md", "`xalloc` |", "`malloc` |", "file common/xalloc is missing"),
    ("CONTRIBUTING.md", "`master/query.h`", "`master/queries.h`", "CONTRIBUTING.md: there is no master/queries.h"),
    ("CONTRIBUTING.md", "`warm_up()`", "`warm_down()`", "CONTRIBUTING.md: there is no function warm_down()"),
    ("docs/operations.md", "(performance.md)", "(performances.md)", "docs/operations.md: there is no performances.md"),
    ("test/README.md", "| `test_readers` |", "| test_readers |", "test test_readers is missing"),
    ("test/README.md", "| `test_faults` |", "| `test_fault` |", "there is no test test_fault"),
    ("common/version.h", 'VERSION "', 'VERSION "9', "CHANGELOG.md: version 9"),
    ("master/conf.h", "X(viewer, queue_max_ms,", "X(viewer, queue_max_s, ", "option viewer.queue_max_s is missing"),
])
def test_what_is_missing_is_found(tmp_path, path, old, new, complaint):
    shutil.copytree(ROOT, tmp_path, dirs_exist_ok=True, symlinks=True,
                    ignore=shutil.ignore_patterns("build", "build-*", "node_modules", ".*", "corpus"))
    text = (tmp_path / path).read_text()
    assert old in text
    (tmp_path / path).write_text(text.replace(old, new, 1))
    done = check_docs(tmp_path)
    assert done.returncode == 1 and complaint in done.stderr, done.stderr


def test_example_configuration_is_the_defaults():
    def effective(*args):
        return subprocess.run([binary(), "--check-config", *args], capture_output=True, text=True, timeout=30, check=True,
                              env=clean_environment()).stdout
    example = effective("--config", os.path.join(ROOT, "docs", "cam-httpflv.ini"))
    assert example == effective().replace("named cameras: 0", "named cameras: 1")


def test_limit_of_descriptors():
    """A quarter of LimitNOFILE is for viewers in the master: the unit file and the container have room for max_viewers."""
    viewers = int(re.search(r"^max_viewers = (\d+)", read("docs/cam-httpflv.ini"), re.M)[1])
    for path, pattern in (("docs/systemd/cam-httpflv.service", r"^LimitNOFILE=(\d+)"), ("docs/compose.yaml", r"nofile: (\d+)")):
        assert int(re.search(pattern, read(path), re.M)[1]) >= 4 * viewers, path
