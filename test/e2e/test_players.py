"""Players of this system: ffprobe and ffmpeg 5.1, VLC; FFmpeg 7.1 from a Debian 13 tree where there is one."""
import os
import re
import signal
import subprocess
import time

import pytest

from lib import fake_rtsp, ffmpeg, sound
from lib.ffplay import Ffplay
from lib.picture import read_counter
from lib.player_page import PlayerPage, library_missing
from lib.vlc import Vlc
from lib.wait import wait_for
from test_handover import end_worker

browser_module = pytest.importorskip("lib.browser", reason="selenium is not installed")
needs_browser = pytest.mark.skipif(browser_module.browser_missing() is not None,
                                   reason=str(browser_module.browser_missing()))
LONG_GOP = 127  # pictures, 5 s


def codecs(found):
    return sorted((s["codec_type"], s["codec_name"]) for s in found["streams"])


def test_ffprobe_reads_h264_quickly(shared_gateway, h264_camera):
    started = time.monotonic()
    found = ffmpeg.ffprobe(shared_gateway.url(h264_camera.url()), "-count_frames", "-read_intervals", "%+2")
    assert codecs(found) == [("audio", "aac"), ("video", "h264")]
    video = next(s for s in found["streams"] if s["codec_type"] == "video")
    assert (video["width"], video["height"]) == (320, 180)
    assert video["r_frame_rate"] == "25/1"
    assert int(video["nb_read_frames"]) >= 40
    # A wrong track flag makes ffprobe wait for 88 s; right ones for as long as it wants to probe.
    assert time.monotonic() - started < 40


def test_ffprobe_reads_video_only(shared_gateway, h264_camera):
    started = time.monotonic()
    found = ffmpeg.ffprobe(shared_gateway.url(h264_camera.url(), audio="none"))
    assert codecs(found) == [("video", "h264")]
    assert time.monotonic() - started < 40


def test_ffmpeg_plays_without_complaint(shared_gateway, h264_camera):
    """What ffplay does, into nothing: live, 5 s, every picture decoded, nothing to warn about."""
    result = subprocess.run(["ffmpeg", "-v", "warning", "-nostdin", "-i",
                             shared_gateway.url(h264_camera.url(), join="gop"), "-t",
                             "5", "-fps_mode", "passthrough", "-f", "framecrc", "-"], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    pictures = [line for line in result.stdout.splitlines() if line.startswith("0,")]
    assert 123 <= len(pictures) <= 126


def test_vlc_plays_h264(shared_gateway, h264_camera):
    with Vlc(shared_gateway.url(h264_camera.url())) as vlc:
        figures = vlc.wait_displayed(50)
        assert figures["video decoded"] >= 50 and figures["audio decoded"] > 10, vlc.output
        assert figures["demux corrupted"] == 0


def test_old_players_get_h264_of_an_hevc_camera(shared_gateway, hevc_camera):
    """The URL as pasted: ffplay 5.1 and VLC 3 show nothing of HEVC in FLV."""
    url = shared_gateway.url(hevc_camera.url())
    with Vlc(url) as vlc:
        assert codecs(ffmpeg.ffprobe(url)) == [("audio", "aac"), ("video", "h264")]
        assert vlc.wait_displayed(25)["demux corrupted"] == 0


def test_ffmpeg_7_reads_enhanced_hevc(shared_gateway, hevc_camera):
    root = ffmpeg.trixie_root()
    if root is None:
        pytest.skip("no Debian 13 tree with FFmpeg 7.1 (CAM_TRIXIE_ROOT or build/trixie)")
    found = ffmpeg.ffprobe(shared_gateway.url(hevc_camera.url()), "-count_frames", "-read_intervals", "%+2",
                           program=("chroot", root, "/usr/bin/ffprobe"))
    assert codecs(found) == [("audio", "aac"), ("video", "hevc")]
    video = next(s for s in found["streams"] if s["codec_type"] == "video")
    assert (video["width"], video["height"]) == (320, 180) and int(video["nb_read_frames"]) >= 40


# --- joining a long GOP, and a camera that reboots: players of other people's pages, ffplay, VLC ---------------------

@pytest.fixture(scope="module")
def browser():
    with browser_module.Browser() as one:
        yield one


@pytest.fixture(scope="module")
def long_gop_camera(shared_gateway):
    """With sound and B-frames, and watched, so that its GOP is cached."""
    with fake_rtsp.FakeCamera(fake_rtsp.counting_media(LONG_GOP, bframes=2, frames=2 * LONG_GOP)) as camera, \
            shared_gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        yield camera


def wait_for_old_gop(camera):
    wait_for(lambda: (time.monotonic() - camera.began) * fake_rtsp.FPS % LONG_GOP > 0.7 * LONG_GOP, 30,
             "the GOP to be 3.5 s old")


@needs_browser
@pytest.mark.parametrize("library", ["mpegts.js", "flv.js"])
def test_join_live_is_at_the_live_edge(shared_gateway, long_gop_camera, browser, library):
    """What is shown is not as old as the key frame."""
    if library_missing(library):
        pytest.skip(library_missing(library))
    with PlayerPage(browser, library) as page:
        wait_for_old_gop(long_gop_camera)
        page.play(shared_gateway.url(long_gop_camera.url()), (500, 3000), enableStashBuffer=False)
        behind = []
        for at, grey in page.wait_looks(2):
            sent = (at - (time.time() - time.monotonic()) - long_gop_camera.began) * fake_rtsp.FPS
            counter = read_counter(grey)
            behind.append(None if counter is None else (sent - counter) % (2 * LONG_GOP) / fake_rtsp.FPS)
        print(f"{library}: s behind the source 0.5 s and 3 s after the request: {behind}")
        assert behind[1] is not None and behind[1] < 2.5, behind
        assert page.errors() == [] and page.sound_bytes() > 1000  # silence has 4 a frame


@needs_browser
@pytest.mark.parametrize("library", ["mpegts.js", "flv.js"])
def test_websocket_error_in_the_browser(shared_gateway, browser, library):
    """Players of other people's pages learn that there is no stream, and a page that looks, why."""
    if library_missing(library):
        pytest.skip(library_missing(library))
    url = f"ws://127.0.0.1:{shared_gateway.flv_port}/?cam=nobody"
    with PlayerPage(browser, library) as page:
        page.play(url)
        wait_for(page.errors, 30, "the player to notice")
        told = browser.driver.execute_async_script("""
            const [url, done] = arguments, socket = new WebSocket(url);
            socket.onclose = ({code, reason, wasClean}) => done([code, JSON.parse(reason).error.code, wasClean]);
            """, url)
        assert told == [4404, "unknown_camera", True]
    assert any("Unsupported WebSocket message" in error for error in browser.errors())  # the library's own words


def test_ffplay_takes_compressed_time(shared_gateway, long_gop_camera):
    """It plays on at normal pace, sound and picture together."""
    wait_for_old_gop(long_gop_camera)
    with Ffplay(shared_gateway.url(long_gop_camera.url())) as player:
        player.wait_clock(4)
        apart = sorted(abs(sample.behind_sound_s) for sample in player.samples if sample.clock_s > 2)
        assert apart[len(apart) // 2] < 0.2, apart


def late_sound():
    """RTMP whose onMetaData promises sound: it comes after 4 s, at another rate than the silence before it."""
    return sound.camera_with(sound.aac_frames(sound.encode_adts()), sound.AAC_CONFIG, sound.AAC_HEAD, 4000,
                             sound.on_meta_data(10))


@needs_browser
@pytest.mark.parametrize("library", ["mpegts.js", "flv.js"])
def test_late_sound_in_the_browser(shared_gateway, browser, library):
    """The configuration changes in the running stream: nothing is asked for again, pictures go on."""
    if library_missing(library):
        pytest.skip(library_missing(library))
    with late_sound() as camera, PlayerPage(browser, library) as page:
        page.play(shared_gateway.url(sound.rtmp_url(camera)), enableStashBuffer=False)
        page.wait_shown(10)
        silence = page.sound_bytes()
        wait_for(lambda: page.sound_bytes() > silence + 6000, 60, "the sound", interval=0.1)
        page.wait_shown(25)
        assert page.errors() == [] and not page.ended()


def test_late_sound_in_ffplay_and_vlc(shared_gateway):
    with late_sound() as camera:
        url = shared_gateway.url(sound.rtmp_url(camera))
        with Ffplay(url) as ffplay, Vlc(url) as vlc:
            ffplay.wait_clock(8)
            apart = sorted(abs(sample.behind_sound_s) for sample in ffplay.samples if sample.clock_s > 6)
            assert apart[len(apart) // 2] < 0.3, apart
            before = vlc.wait_displayed(25)["audio decoded"]
            wait_for(lambda: vlc.statistics().get("audio decoded", 0) > before + 10, 30, "VLC to decode the sound",
                     interval=0.5)


@needs_browser
def test_players_live_through_a_reboot(shared_gateway, browser):
    """The camera is away for 5 s and comes back with another resolution; no player asks again."""
    first, other = (fake_rtsp.counting_media(2 * fake_rtsp.FPS, frames=100, size=size)
                    for size in ((640, 360), (320, 180)))
    with fake_rtsp.FakeCamera(first) as camera:
        url = shared_gateway.url(camera.url())
        with PlayerPage(browser) as page, Ffplay(url) as ffplay, Vlc(url) as vlc:
            page.play(url, enableStashBuffer=False)
            page.wait_shown(50)
            ffplay.wait_clock(2)
            displayed = vlc.wait_displayed(25)["frames displayed"]
            gone = time.monotonic()
            camera.close()
            wait_for(lambda: time.monotonic() - gone > 5, 10, "five seconds to pass")
            camera.video = other
            camera.listen()
            wait_for(lambda: page.size() == (320, 180), 60, "the browser to show the new size", interval=0.1)
            page.wait_shown(50)
            assert page.errors() == [] and not page.ended()
            ffplay.wait_clock(ffplay.clock() + 3)
            vlc.wait_displayed(displayed + 100)
    assert camera.plays == 2


@needs_browser
def test_players_live_through_a_death_and_an_upgrade(shared_gateway, browser):
    """The worker is killed, then another program takes over; no player asks again."""
    video = fake_rtsp.counting_media(fake_rtsp.FPS, frames=250)

    def death():
        end_worker(shared_gateway, camera, signal.SIGKILL)

    def upgrade():
        before = shared_gateway.log().count("upgrade: done")
        os.kill(shared_gateway.pid, signal.SIGUSR2)
        wait_for(lambda: shared_gateway.log().count("upgrade: done") > before, 90, "the upgrade")

    with fake_rtsp.FakeCamera(video) as camera:
        url = shared_gateway.url(camera.url())
        with PlayerPage(browser) as page, Ffplay(url) as ffplay, Vlc(url) as vlc:
            page.play(url, enableStashBuffer=False)
            page.wait_shown(50)
            ffplay.wait_clock(2)
            vlc.wait_displayed(25)
            for sessions, event in enumerate((death, upgrade), start=2):
                event()
                wait_for(lambda n=sessions: camera.plays == n, 60, "the next session")
                page.wait_shown(50)
                assert page.errors() == [] and not page.ended()
                ffplay.wait_clock(ffplay.clock() + 3)
                vlc.wait_displayed(vlc.statistics()["frames displayed"] + 75)
            figures = vlc.statistics()
            assert figures["demux corrupted"] == 0, vlc.output[-3000:]
    wrong = re.findall(r".*(?:error|corrupt|concealing|Invalid).*", ffplay.text)
    assert not wrong, wrong
