"""Servers between camera and gateway, as they are: node-media-server (npm), over RTMP and HTTP-FLV.

It sends its cached GOP in a burst; sequence headers have time 0, frames the stream's time, which is hours later on a real
one.  Cameras behind it send G.711, which has no sequence header.
"""
import time

import pytest

from lib import node_media_server
from lib.sound import assert_tone_in
from lib.wait import wait_for

GOP_S = 10
SOUNDS = {"alaw": ("-ar", "8000", "-ac", "1", "-c:a", "pcm_alaw"), "aac": ("-ar", "44100", "-c:a", "aac")}

pytestmark = pytest.mark.skipif(node_media_server.missing() is not None, reason=str(node_media_server.missing()))


@pytest.fixture(scope="module")
def server():
    """Its streams are some seconds old, and in the middle of a GOP of 10 s."""
    with node_media_server.NodeMediaServer() as one:
        for name, sound in SOUNDS.items():
            one.publish(name, GOP_S * 25, sound)
        one.begun = time.monotonic()
        yield one


def wait_mid_gop(server):
    """Until the newest key frame is 5 to 8 s old, if it came with ffmpeg's start."""
    wait_for(lambda: 5 < (time.monotonic() - server.begun) % GOP_S < 8, 60, "the middle of a GOP")


@pytest.mark.parametrize("scheme", ["rtmp", "http"])
@pytest.mark.parametrize("sound", list(SOUNDS))
def test_joins_at_the_edge_with_sound(shared_gateway, server, scheme, sound):
    """The first viewer is where the second is: at the live edge, and hears the tone."""
    url = server.url(scheme, sound)
    wait_mid_gop(server)
    with shared_gateway.view(url) as first:
        first.wait(lambda v: len(v.flv.audio) > 1 and v.flv.video[-1].dts > 4000, 60, "4 s")
        with shared_gateway.view(url) as second:
            second.wait(lambda v: v.flv.video and v.flv.video[-1].dts > 500, 60, "a picture")
            first.wait_more(5)
    assert len(first.flv.audio_configs) == 1
    for viewer in first, second:
        last = viewer.flv.video[-1]
        behind_s = last.dts / 1000 - (last.received - viewer.first_key)  # what a player holds
        assert behind_s < 2.5, f"a viewer is {behind_s:.1f} s behind"
    assert_tone_in(first.flv, 440, off=10, least=0.5)  # it is still stretched a little after the burst
