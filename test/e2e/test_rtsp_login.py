"""RTSP: passwords, and RTSPS.  Like test_rtsp_dialogue: against the RTSP source alone."""
import shutil
import socket
import subprocess

import pytest

from lib.scripted_rtsp import Locked, Script, ScriptedCamera, assert_reads, certificate, probe, read


@pytest.mark.parametrize("schemes", [("MD5",), ("SHA-256",), ("MD5", "SHA-256"), ("SHA-256", "MD5"),
                                     ("Basic", "MD5", "SHA-256")], ids="+".join)
def test_digest(schemes):
    script = Locked()
    script.schemes = schemes
    _, camera = assert_reads(script, login=Locked.login)
    used = "SHA-256" if "SHA-256" in schemes else "MD5"
    assert ("algorithm=SHA-256" in camera.asked("PLAY")[0].get("Authorization")) == (used == "SHA-256")
    assert camera.methods()[:3] == ["DESCRIBE", "DESCRIBE", "SETUP"]


def test_md5_where_sha256_is_offered_and_broken():
    script = Locked()
    script.schemes = ("SHA-256", "MD5")
    script.broken_schemes = ("SHA-256",)
    _, camera = assert_reads(script, login=Locked.login)
    assert len(camera.asked("DESCRIBE")) == 3


def test_a_wrong_password_is_sent_once():
    result, camera = read(Locked(), login="admin:secret@")
    assert result.error == "camera_unauthorized"
    assert len([r for r in camera.requests if r.get("Authorization")]) == 1


def test_user_name_without_password():
    script = Locked()
    script.password = ""
    assert_reads(script, login="admin@")


def test_a_new_nonce_for_every_request():
    class Fresh(Locked):
        def answer(self, session, request):
            session.nonce = f"{session.nonce[:8]}{len(session.camera.requests):08x}"
            return super().answer(session, request)
    _, camera = assert_reads(Fresh(), login=Locked.login)
    assert len(camera.asked("PLAY")) == 2


def test_stale_nonce():
    class Stale(Locked):
        def reply(self, request, status, lines, body):
            if status == 401 and request.get("Authorization"):
                lines = [line + ", stale=true" for line in lines]
            return super().reply(request, status, lines, body)

        def on_describe(self, session, request):
            session.nonce = "changed"
            return super().on_describe(session, request)
    assert_reads(Stale(), login=Locked.login)


def test_hangs_up_instead_of_judging_the_password():
    class HangsUp(Locked):
        def answer(self, session, request):
            if session is session.camera.sessions[0]:
                session.sock.shutdown(socket.SHUT_RDWR)
                return None
            return super().answer(session, request)
    _, camera = assert_reads(HangsUp(), login=Locked.login)
    assert ["Authorization" in r.headers for r in camera.requests[:3]] == [False, True, True]


# --- RTSPS ------------------------------------------------------------------------------------------------------------

def test_rtsps_with_a_known_certificate(tmp_path):
    tls, ca = certificate(tmp_path)
    assert_reads(Locked(), tls=tls, login=Locked.login, env={"SSL_CERT_FILE": ca})


def test_rtsps_with_a_directory_of_certificates(tmp_path):
    tls, ca = certificate(tmp_path)
    folder = tmp_path / "trusted"
    folder.mkdir()
    shutil.copy(ca, folder)
    subprocess.run(["openssl", "rehash", folder], check=True, timeout=60)
    assert_reads(Locked(), tls=tls, login=Locked.login, env={"SSL_CERT_FILE": None, "SSL_CERT_DIR": str(folder)})


def test_rtsps_checks_the_certificate(tmp_path):
    tls, _ = certificate(tmp_path)
    result, camera = read(Locked(), tls=tls, login=Locked.login)
    assert result.error == "camera_unreachable" and "certificate" in result.end[1]
    assert not camera.requests


def test_rtsps_checks_the_name(tmp_path):
    tls, ca = certificate(tmp_path, "127.0.0.9")
    result, camera = read(Locked(), tls=tls, login=Locked.login, env={"SSL_CERT_FILE": ca})
    assert result.error == "camera_unreachable" and not camera.requests


def test_rtsps_with_any_certificate(tmp_path):
    tls, _ = certificate(tmp_path)
    assert_reads(Locked(), "--insecure", tls=tls, login=Locked.login)


def test_rtsps_keeps_media_within_tls(tmp_path):
    tls, ca = certificate(tmp_path)
    _, camera = assert_reads(Script(), "--udp", tls=tls, env={"SSL_CERT_FILE": ca})
    assert "interleaved=" in camera.asked("SETUP")[0].get("Transport")

    class UdpOnly(Script):
        tcp = False
    result, camera = read(UdpOnly(), tls=tls, env={"SSL_CERT_FILE": ca})
    assert result.error == "camera_unreachable" and len(camera.asked("SETUP")) == 1


def test_rtsps_to_a_port_without_tls():
    with ScriptedCamera(Script()) as camera:
        result = probe(camera.url().replace("rtsp:", "rtsps:"), "--connect-ms", "2000")
    assert result.error in ("camera_unreachable", "camera_timeout")
