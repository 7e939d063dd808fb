"""RTSP cameras that break the rules of RTP and RTCP, and networks that lose packets: the source reads them all.

Like test_rtsp_dialogue: one thing each, against the RTSP source alone, every NAL unit compared.
"""
import base64
import random
import struct
import time

import pytest

from lib.fake_rtsp import FPS, media
from lib.scripted_rtsp import VIDEO_SSRC, Script, assert_reads, read


def test_hevc():
    result, _ = assert_reads(Script(media("hevc")))
    assert result.tracks[0] == "hevc"


@pytest.mark.parametrize("lines", [
    ["m=video 0 RTP/AVP 96", "a=rtpmap:96 {other}/90000", "a=fmtp:96 sprop-parameter-sets="],  # Ezviz
    ["m=video 0 RTP/AVP 98 96", "a=rtpmap:98 {other}/90000", "a=rtpmap:96 {own}/90000"]], ids=["wrong name", "second"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_another_codec_than_described(codec, lines):
    class Other(Script):
        def video_sdp(self):
            own, other = ("H264", "H265") if codec == "h264" else ("H265", "H264")
            return [line.format(own=own, other=other) for line in lines] + ["a=control:trackID=1"]
    result, camera = assert_reads(Other(media(codec)))
    assert result.tracks[0] == codec
    assert camera.methods().count("PLAY") == 2


def test_udp():
    result, camera = assert_reads(Script(), "--udp")
    assert "client_port=" in camera.asked("SETUP")[0].get("Transport")
    assert len(result.audio) > 5


def test_parameter_sets_in_band_only():
    result, _ = assert_reads(Script())
    assert result.tracks[1] == "0"


def test_parameter_sets_in_the_description():
    class Sprop(Script):
        def video_sdp(self):
            sets = ",".join(base64.b64encode(nal).decode() for nal in self.video.parameter_sets)
            return [*super().video_sdp(), f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}"]
    script = Sprop()
    result, _ = assert_reads(script)
    assert int(result.tracks[1]) == sum(4 + len(nal) for nal in script.video.parameter_sets)


def test_media_before_the_answer_to_play():
    class Early(Script):
        def on_play(self, session, request):
            session.start_media()
            time.sleep(0.3)
            return 200, [self.session_line(session)], ""
    assert_reads(Early())


# --- packets on the RTSP connection -----------------------------------------------------------------------------------

def test_data_on_another_channel():
    class Other(Script):
        def wrap(self, session, track, packet):
            return struct.pack(">BBH", 0x24, session.channels[track] + 10, len(packet)) + packet
    result, _ = assert_reads(Other())
    assert len(result.audio) > 5


def test_swapped_channels():
    class Swapped(Script):
        def wrap(self, session, track, packet):
            return struct.pack(">BBH", 0x24, 2 - session.channels[track], len(packet)) + packet
    result, _ = assert_reads(Swapped())
    assert len(result.audio) > 5


@pytest.mark.parametrize("junk", [b"\0", b"garbage", b"$", b"$$$$", b"\0\0\0\1\x67abc" * 9, b"RTSP", b"\r\n\r\n"],
                         ids=lambda junk: junk[:7].hex())
def test_garbage_between_packets(junk):
    class Garbage(Script):
        def wrap(self, session, track, packet):
            return junk + super().wrap(session, track, packet)
    result, camera = read(Garbage(), video=60)
    if junk == b"$":
        # By chance one more dollar sign makes a frame of what follows; then the next packets are found again.
        assert len([c for c in result.checksums() if c in camera.sent]) >= 50
    else:
        result.assert_unharmed(camera)


# --- what is in a packet ----------------------------------------------------------------------------------------------

def test_another_payload_type_than_announced():
    class Other(Script):
        def video_type(self):
            return 97
    assert_reads(Other())


def test_annex_b_in_rtp():
    class AnnexB(Script):
        def payloads(self, nals):
            return [b"\0\0\0\1" + nal for nal in nals]
    assert_reads(AnnexB())


def test_annex_b_with_short_start_codes_over_tcp_in_huge_packets():
    class AnnexB(Script):
        def payloads(self, nals):
            return [b"\0\0\1" + nal for nal in nals]
    assert_reads(AnnexB())


@pytest.mark.parametrize("marker", [lambda i, n: False, lambda i, n: True, lambda i, n: i == 0],
                         ids=["never", "always", "first"])
def test_wrong_markers(marker):
    class Wrong(Script):
        def marker(self, place, count):
            return marker(place, count)
    assert_reads(Wrong())


def _fragment_bits(start, end):
    class Bits(Script):
        mtu = 300

        def payloads(self, nals):
            out = []
            for payload in super().payloads(nals):
                if payload[0] & 0x1F == 28:
                    flags = payload[1] & 0xC0
                    flags = (flags & 0x40 if start is None else flags) | (0x80 if start else 0)
                    flags = (flags & 0x80 if end is None else flags) | (0x40 if end else 0)
                    payload = payload[:1] + bytes([payload[1] & 0x3F | flags]) + payload[2:]
                out.append(payload)
            return out
    return Bits


@pytest.mark.parametrize("bits", [(True, False), (None, False), (False, True), (False, None), (False, False)],
                         ids=["start always", "start never", "end always", "end never", "right"])
def test_wrong_fragment_bits(bits):
    assert_reads(_fragment_bits(*bits)())


def test_udp_packets_of_ten_thousand_bytes():
    class Large(Script):
        mtu = 10000
    assert_reads(Large(media(size="1280x720", bit_rate="8M")), "--udp")


# --- timestamps and sequence numbers ----------------------------------------------------------------------------------

@pytest.mark.parametrize("jump", [-90000 * 5, 90000 * 3600], ids=["back", "an hour"])
def test_timestamps_that_jump_pass_through(jump):
    class Jumps(Script):
        def timestamp(self, frame):
            return frame * 90000 // FPS + (jump if frame >= 15 else 0)
    result, _ = assert_reads(Jumps())
    frames = [v[0] for v in result.video if v[3]]
    steps = {b - a for a, b in zip(frames, frames[1:])}
    assert steps == {40000, 40000 + jump * 1000000 // 90000}


def test_timestamps_that_wrap():
    class Wraps(Script):
        def timestamp(self, frame):
            return (1 << 32) - 36000 + frame * 90000 // FPS
    result, _ = assert_reads(Wraps())
    frames = [v[0] for v in result.video if v[3]]
    assert {b - a for a, b in zip(frames, frames[1:])} == {40000}


def test_sequence_zero_and_bogus_rtp_info():
    class Bogus(Script):
        def on_play(self, session, request):
            session.sequence["video"] = 0
            return super().on_play(session, request)

        def rtp_info(self, session):
            return ["RTP-Info: url=trackID=1;seq=1;rtptime=4294967295,url=;seq=65535;rtptime=12"]
    result, _ = assert_reads(Bogus())
    assert result.video[0][0] == 0 and abs(result.audio[0][0]) < 200000


@pytest.mark.parametrize("number", [lambda timestamp: 7, lambda timestamp: timestamp // 3600], ids=["always", "a frame"])
def test_tcp_sequence_numbers_that_stand_still(number):
    """One number for all packets, or for all that make up a frame: over TCP nothing is a duplicate for that."""
    class Still(Script):
        mtu = 300

        def wrap(self, session, track, packet):
            timestamp = struct.unpack(">I", packet[4:8])[0]
            return super().wrap(session, track, packet[:2] + struct.pack(">H", number(timestamp)) + packet[4:])
    result, _ = assert_reads(Still(), video=60)
    assert len(result.audio) > 5
    assert result.errors.count("stands still") == 2  # told once for each track


@pytest.mark.parametrize("repeats", [{"video": 9, "audio": 10}, {"video": 10, "audio": 9}], ids=["audio", "video"])
def test_ten_repeated_sequence_numbers_are_told(repeats):
    """Of the track that has them, once; fewer may be slips."""
    class Slips(Script):
        sent = {"video": 0, "audio": 0}

        def wrap(self, session, track, packet):
            number = max(0, self.sent[track] - repeats[track])
            self.sent[track] += 1
            return super().wrap(session, track, packet[:2] + struct.pack(">H", number) + packet[4:])
    result, _ = assert_reads(Slips(), video=60, seconds=30)
    assert len(result.video) > 15 and len(result.audio) > 15
    told = {track: result.errors.count(f"sequence number of {track} stands still") for track in repeats}
    assert told == {track: int(count == 10) for track, count in repeats.items()}


# --- RTCP -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [(), ("--udp",)], ids=["tcp", "udp"])
def test_receiver_reports(options):
    script = Script()
    script.speed = 1
    _, camera = assert_reads(script, *options, video=160, seconds=12)
    reports = [data for _, data in camera.rtcp if data[1] == 201 and len(data) >= 32]
    sources = {struct.unpack(">I", data[8:12])[0] for data in reports}
    assert VIDEO_SSRC in sources and len(sources) == 2
    for data in reports:  # a compound packet: report, description
        size = 4 * struct.unpack(">H", data[2:4])[0] + 4
        assert data[size + 1] == 202 and len(data) == size + 4 * struct.unpack(">H", data[size + 2:size + 4])[0] + 4


def test_rtcp_of_unknown_sources():
    class Unknown(Script):
        def wrap(self, session, track, packet):
            report = struct.pack(">BBHIQIII", 0x80, 200, 6, 0xDEADBEEF, random.getrandbits(63), 5, 0, 0)
            bye = struct.pack(">BBHI", 0x81, 203, 1, 0xDEADBEEF)
            channel = session.channels[track] + 1
            return b"".join(struct.pack(">BBH", 0x24, channel, len(p)) + p for p in (report, bye)) + super().wrap(
                session, track, packet)
    result, _ = assert_reads(Unknown())
    frames = [v[0] for v in result.video if v[3]]
    assert {b - a for a, b in zip(frames, frames[1:])} == {40000}


# --- UDP that loses and reorders --------------------------------------------------------------------------------------

def test_udp_out_of_order():
    class Shuffled(Script):
        mtu = 300

        def datagrams(self, session, track, packets):
            chunks = [packets[i:i + 4] for i in range(0, len(packets), 4)]
            order = random.Random(1)
            for chunk in chunks:
                order.shuffle(chunk)
            return [p for chunk in chunks for p in chunk]
    assert_reads(Shuffled(), "--udp", video=60)


def test_udp_duplicates():
    class Twice(Script):
        def datagrams(self, session, track, packets):
            return [p for p in packets for _ in range(2)]
    assert_reads(Twice(), "--udp")


@pytest.mark.parametrize("transport", [(), ("--udp",)], ids=["tcp", "udp"])
def test_loss_is_told(transport):
    """Every NAL unit that arrives is one that was sent, or says that something is missing."""
    class Lossy(Script):
        mtu = 300

        def __init__(self):
            super().__init__()
            self.dice = random.Random(7)
            self.lost = 0

        def datagrams(self, session, track, packets):
            kept = [p for p in packets if track != "video" or self.dice.random() >= 0.05]
            self.lost += len(packets) - len(kept)
            return kept
    script = Lossy()
    result, camera = read(script, *transport, video=100)
    assert result.end is None and script.lost > 5
    sent = set(camera.sent)
    whole = [v for v in result.video if v[2] in sent]
    assert len(whole) > 20
    assert all(v[4] for v in result.video if v[2] not in sent)
    assert result.lost() > 3
