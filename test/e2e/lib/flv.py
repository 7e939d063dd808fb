"""A strict FLV reader for tests.  Written from the format documents (Adobe FLV 10.1, Enhanced RTMP v1,
ISO/IEC 14496-3 and -15) and sharing nothing with the program's own muxer.

FlvReader.feed() takes bytes as they come off the wire; every violation of the framing raises FlvError.
"""
import struct
from dataclasses import dataclass, field
from fractions import Fraction

AUDIO, VIDEO, SCRIPT = 8, 9, 18

# ISO/IEC 14496-3 table 1.18
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class FlvError(Exception):
    """The bytes are not a well-formed FLV stream."""


# --- AMF0 ---------------------------------------------------------------------------------------

class _Amf:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def take(self, count):
        if self.pos + count > len(self.data):
            raise FlvError(f"AMF0: {count} bytes wanted at {self.pos} of {len(self.data)}")
        self.pos += count
        return self.data[self.pos - count:self.pos]

    def number(self, fmt):
        return struct.unpack(fmt, self.take(struct.calcsize(fmt)))[0]

    def text(self, fmt=">H"):
        return self.take(self.number(fmt)).decode("utf-8")

    def properties(self):
        result = {}
        while True:
            name = self.text()
            if name == "":
                if self.take(1) != b"\x09":
                    raise FlvError("AMF0: object end marker missing")
                return result
            if name in result:
                raise FlvError(f"AMF0: property {name!r} twice")
            result[name] = self.value()

    def value(self):
        kind = self.take(1)[0]
        if kind == 0:
            return self.number(">d")
        if kind == 1:
            flag = self.take(1)[0]
            if flag not in (0, 1):
                raise FlvError(f"AMF0: boolean {flag}")
            return flag == 1
        if kind == 2:
            return self.text()
        if kind == 3:
            return self.properties()
        if kind in (5, 6):
            return None
        if kind == 8:
            count = self.number(">I")
            result = self.properties()
            if count != len(result):
                raise FlvError(f"AMF0: ECMA array says {count} entries, holds {len(result)}")
            return result
        if kind == 10:
            return [self.value() for _ in range(self.number(">I"))]
        if kind == 11:
            return self.number(">d"), self.number(">h")
        if kind == 12:
            return self.text(">I")
        raise FlvError(f"AMF0: type {kind}")


def amf0_values(data):
    """Every value in a script tag's body."""
    amf = _Amf(data)
    values = []
    while amf.pos < len(data):
        values.append(amf.value())
    return values


# --- codec configurations -----------------------------------------------------------------------

@dataclass
class VideoConfig:
    codec: str  # "h264", "hevc" or "av1"
    dialect: str  # "avc" (id 7), "legacy" (id 12) or "enhanced" (hvc1, av01)
    record: bytes
    nal_length_size: int
    parameter_sets: list  # NAL units without start code, in the order of the record; AV1: OBUs

    def annex_b(self):
        return b"".join(b"\0\0\0\1" + nal for nal in self.parameter_sets)


@dataclass
class AudioConfig:
    record: bytes
    object_type: int
    rate: int
    channels: int

    def adts(self, length):
        """The ADTS header in front of one raw frame of that length."""
        size = length + 7
        index = AAC_RATES.index(self.rate)
        return bytes((0xFF, 0xF1, (self.object_type - 1) << 6 | index << 2 | self.channels >> 2,
                      (self.channels & 3) << 6 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC))


def _sized_nal(name, record, pos):
    """-> (NAL unit, position after it): a length of 16 bits, and so many bytes."""
    if pos + 2 > len(record):
        raise FlvError(f"{name}: cut off")
    length = struct.unpack_from(">H", record, pos)[0]
    nal = record[pos + 2:pos + 2 + length]
    if len(nal) != length:
        raise FlvError(f"{name}: NAL unit cut off")
    return nal, pos + 2 + length


def parse_avcc(record):
    """AVCDecoderConfigurationRecord, ISO/IEC 14496-15 5.3.3.1."""
    if len(record) < 7 or record[0] != 1:
        raise FlvError("avcC: version or length")
    if record[4] & 0xFC != 0xFC or record[5] & 0xE0 != 0xE0:
        raise FlvError("avcC: reserved bits are not ones")
    size, pos, sets = (record[4] & 3) + 1, 5, []
    for kind, mask in ((7, 0x1F), (8, 0xFF)):
        if pos >= len(record):
            raise FlvError("avcC: cut off")
        count, pos = record[pos] & mask, pos + 1
        if count == 0:
            raise FlvError(f"avcC: no NAL unit of type {kind}")
        for _ in range(count):
            nal, pos = _sized_nal("avcC", record, pos)
            if len(nal) < 2 or nal[0] & 0x1F != kind:
                raise FlvError(f"avcC: broken NAL unit of type {kind}")
            sets.append(nal)
    if sets[0][1:4] != record[1:4]:
        raise FlvError("avcC: profile and level differ from the SPS")
    if record[1] in (100, 110, 122, 144):
        if len(record) not in (pos, pos + 4):
            raise FlvError("avcC: trailing bytes")
    elif len(record) != pos:
        raise FlvError("avcC: trailing bytes")
    return size, sets


def parse_hvcc(record):
    """HEVCDecoderConfigurationRecord, ISO/IEC 14496-15 8.3.3.1."""
    if len(record) < 23 or record[0] != 1:
        raise FlvError("hvcC: version or length")
    if record[1] & 0x1F == 0:
        raise FlvError("hvcC: profile 0")
    if (record[13] & 0xF0 != 0xF0 or record[15] & 0xFC != 0xFC or record[16] & 0xFC != 0xFC
            or record[17] & 0xF8 != 0xF8 or record[18] & 0xF8 != 0xF8):
        raise FlvError("hvcC: reserved bits are not ones")
    size, pos, sets, kinds = (record[21] & 3) + 1, 23, [], set()
    for _ in range(record[22]):
        if pos + 3 > len(record):
            raise FlvError("hvcC: cut off")
        kind, count = record[pos] & 0x3F, struct.unpack_from(">H", record, pos + 1)[0]
        pos += 3
        for _ in range(count):
            nal, pos = _sized_nal("hvcC", record, pos)
            if len(nal) < 3 or nal[0] >> 1 & 0x3F != kind:
                raise FlvError(f"hvcC: broken NAL unit of type {kind}")
            sets.append(nal)
            kinds.add(kind)
    if not {32, 33, 34} <= kinds:
        raise FlvError(f"hvcC: VPS, SPS and PPS wanted, NAL unit types are {sorted(kinds)}")
    if pos != len(record):
        raise FlvError("hvcC: trailing bytes")
    return size, sets


def parse_asc(record):
    """AudioSpecificConfig of plain AAC, ISO/IEC 14496-3 1.6.2.1."""
    if len(record) < 2:
        raise FlvError("AudioSpecificConfig: too short")
    bits = int.from_bytes(record[:2], "big")
    object_type, index, channels = bits >> 11, bits >> 7 & 15, bits >> 3 & 15
    if index >= len(AAC_RATES) or not 1 <= channels <= 7 or object_type not in (1, 2, 3, 4):
        raise FlvError(f"AudioSpecificConfig: type {object_type}, index {index}, channels {channels}")
    return AudioConfig(bytes(record), object_type, AAC_RATES[index], channels)


# --- the reader ---------------------------------------------------------------------------------

@dataclass
class Frame:
    dts: int  # ms, as the tag says, extended byte included
    cts: int  # ms
    key: bool
    data: bytes  # length-prefixed NAL units, or a raw AAC frame
    config: object  # VideoConfig or AudioConfig in force
    received: float  # when its last byte was fed
    packet_type: int = 1  # of an enhanced tag

    @property
    def pts(self):
        return self.dts + self.cts

    def nal_units(self):
        size, pos, result = self.config.nal_length_size, 0, []
        while pos < len(self.data):
            length = int.from_bytes(self.data[pos:pos + size], "big")
            nal = self.data[pos + size:pos + size + length]
            if len(nal) != length or length == 0 or pos + size > len(self.data):
                raise FlvError(f"NAL unit of {length} bytes at {pos} of {len(self.data)}")
            result.append(nal)
            pos += size + length
        return result

    def pictures(self):
        """The coded slices: what remains whatever a muxer does with parameter sets and SEI."""
        if self.config.codec == "h264":
            return [nal for nal in self.nal_units() if 1 <= nal[0] & 0x1F <= 5]
        return [nal for nal in self.nal_units() if nal[0] >> 1 & 0x3F < 32]


@dataclass
class FlvReader:
    has_audio: bool = None  # flags of the file header
    has_video: bool = None
    metadata: dict = None
    video: list = field(default_factory=list)  # Frame
    audio: list = field(default_factory=list)
    video_configs: list = field(default_factory=list)
    audio_configs: list = field(default_factory=list)
    order: list = field(default_factory=list)  # "script" "video-config" "audio-config" "video" "audio", with ts
    bytes: int = 0
    ended: bool = False  # an end-of-sequence tag came

    def __post_init__(self):
        self._buffer = bytearray()
        self._state = self._header

    def feed(self, data, now=0.0):
        self.bytes += len(data)
        self._buffer += data
        while self._state(now):
            pass

    @property
    def rest(self):
        """Bytes of a tag that has not come in full."""
        return len(self._buffer)

    def _header(self, _now):
        if len(self._buffer) < 13:
            return False
        head = bytes(self._buffer[:13])
        if head[:4] != b"FLV\x01" or head[4] & ~5 or head[5:9] != b"\0\0\0\x09" or head[9:] != b"\0\0\0\0":
            raise FlvError(f"file header {head.hex()}")
        self.has_audio, self.has_video = bool(head[4] & 4), bool(head[4] & 1)
        del self._buffer[:13]
        self._state = self._tag
        return True

    def _tag(self, now):
        if len(self._buffer) < 11:
            return False
        kind, size = self._buffer[0], int.from_bytes(self._buffer[1:4], "big")
        if kind not in (AUDIO, VIDEO, SCRIPT):
            raise FlvError(f"tag type {kind} after {self.bytes - len(self._buffer)} bytes")
        if self._buffer[8:11] != b"\0\0\0":
            raise FlvError("stream ID is not 0")
        if len(self._buffer) < 11 + size + 4:
            return False
        previous = int.from_bytes(self._buffer[11 + size:15 + size], "big")
        if previous != 11 + size:
            raise FlvError(f"PreviousTagSize {previous} after a tag of {11 + size}")
        timestamp = int.from_bytes(self._buffer[4:7], "big") | self._buffer[7] << 24
        body = bytes(self._buffer[11:11 + size])
        del self._buffer[:15 + size]
        if self.ended:
            raise FlvError("a tag after the end of the sequence")
        {AUDIO: self._audio_tag, VIDEO: self._video_tag, SCRIPT: self._script_tag}[kind](timestamp, body, now)
        return True

    def _script_tag(self, timestamp, body, _now):
        values = amf0_values(body)
        self.order.append(("script", timestamp))
        if len(values) != 2 or values[0] != "onMetaData" or not isinstance(values[1], dict):
            raise FlvError(f"script tag {values!r:.200}")
        self.metadata = values[1]

    def _audio_tag(self, timestamp, body, now):
        if not self.has_audio:
            raise FlvError("audio tag, but the header says there is no audio")
        if len(body) < 3 or body[0] != 0xAF:
            raise FlvError(f"audio tag {body[:2].hex()}: not AAC, 44 kHz, 16 bit, stereo as AAC tags have to say")
        if body[1] == 0:
            self.audio_configs.append(parse_asc(body[2:]))
            self.order.append(("audio-config", timestamp))
        elif body[1] == 1:
            if not self.audio_configs:
                raise FlvError("AAC frame before its AudioSpecificConfig")
            self.audio.append(Frame(timestamp, 0, True, body[2:], self.audio_configs[-1], now))
            self.order.append(("audio", timestamp))
        else:
            raise FlvError(f"AAC packet type {body[1]}")

    def _video_tag(self, timestamp, body, now):
        if not self.has_video:
            raise FlvError("video tag, but the header says there is no video")
        if len(body) < 5:
            raise FlvError("video tag too short")
        frame_type = body[0] >> 4 & 7
        if frame_type not in (1, 2):
            raise FlvError(f"frame type {frame_type}")
        if body[0] & 0x80:
            packet_type, payload, cts = body[0] & 15, body[5:], 0
            if body[1:5] not in (b"hvc1", b"av01"):
                raise FlvError(f"FourCC {body[1:5]!r}")
            codec, dialect = ("hevc" if body[1:5] == b"hvc1" else "av1"), "enhanced"
            if packet_type == 1 and codec == "hevc":
                cts, payload = _signed24(payload), payload[3:]
            elif packet_type not in (0, 1, 2, 3):
                raise FlvError(f"enhanced packet type {packet_type}")
        else:
            packet_type, payload, cts = body[1], body[5:], _signed24(body[2:5])
            if body[0] & 15 not in (7, 12):
                raise FlvError(f"codec id {body[0] & 15}")
            codec, dialect = ("h264", "avc") if body[0] & 15 == 7 else ("hevc", "legacy")
            if packet_type > 2:
                raise FlvError(f"packet type {packet_type}")
        if packet_type == 0:
            if frame_type != 1:
                raise FlvError("sequence header that is not marked as key frame")
            size, sets = {"h264": parse_avcc, "hevc": parse_hvcc, "av1": parse_av1c}[codec](payload)
            self.video_configs.append(VideoConfig(codec, dialect, payload, size, sets))
            self.order.append(("video-config", timestamp))
        elif packet_type == 2:
            self.ended = True
        else:
            if not self.video_configs or self.video_configs[-1].dialect != dialect:
                raise FlvError("video frame before the sequence header of its codec")
            self.video.append(Frame(timestamp, cts, frame_type == 1, payload, self.video_configs[-1], now,
                                    packet_type))
            self.order.append(("video", timestamp))

    # --- what tests ask ---

    def check(self):
        """The rules that hold for any stream of this program, whatever the camera (players want them)."""
        if self.order[:1] != [("script", 0)]:
            raise FlvError(f"first tag {self.order[:1]}, not onMetaData at 0")
        if sum(kind == "script" for kind, _ in self.order) != 1:
            raise FlvError("onMetaData more than once")
        configs = [kind for kind, _ in self.order[1:3]]
        expected = ["video-config"] * self.has_video + ["audio-config"] * self.has_audio
        if sorted(configs[:len(expected)]) != sorted(expected):
            raise FlvError(f"after onMetaData come {configs}, not the configurations of the tracks declared")
        for name, frames, configs in (("video", self.video, self.video_configs),
                                      ("audio", self.audio, self.audio_configs)):
            for before, after in zip(frames, frames[1:]):
                if after.dts < before.dts or (name == "video" and after.dts == before.dts):
                    raise FlvError(f"{name}: dts {after.dts} after {before.dts}")
            for before, after in zip(configs, configs[1:]):
                if before.record == after.record:
                    raise FlvError(f"{name}: the same sequence header again")
        if self.video and not self.video[0].key:
            raise FlvError("the first video frame is not a key frame")
        media = [kind for kind, _ in self.order if kind in ("video", "audio")]
        if self.has_video and media and media[0] != "video":
            raise FlvError("audio comes before the first key frame")
        for frame in self.video:
            if frame.packet_type == 3:
                raise FlvError("enhanced packet type 3, which some players misread")
            kinds = _nal_kinds(frame)
            if frame.key != kinds[1]:
                raise FlvError(f"frame at {frame.dts} says key={frame.key}, its NAL units are {kinds[0]}")

    def annex_b(self, frames=None):
        """The video as an elementary stream: parameter sets wherever the configuration changes."""
        result, config = [], None
        for frame in self.video if frames is None else frames:
            if frame.config is not config:
                config = frame.config
                result.append(config.annex_b())
            result += [b"\0\0\0\1" + nal for nal in frame.nal_units()]
        return b"".join(result)

    def adts(self, frames=None):
        """The audio as an ADTS stream."""
        return b"".join(frame.config.adts(len(frame.data)) + frame.data
                        for frame in (self.audio if frames is None else frames))

    def frame_rate(self):
        """Frames per second over the whole video, from its timestamps."""
        span = self.video[-1].dts - self.video[0].dts
        return float(Fraction(1000 * (len(self.video) - 1), span))


def _signed24(data):
    if len(data) < 3:
        raise FlvError("composition time cut off")
    value = int.from_bytes(data[:3], "big")
    return value - (1 << 24) if value & 0x800000 else value


def split_obus(data):
    """AV1 in the low-overhead format (specification 5.3) -> OBUs with their headers."""
    obus, pos = [], 0
    while pos < len(data):
        if data[pos] & 0x82 != 2:
            raise FlvError("an OBU without a size")
        at, size, shift = pos + 1 + (data[pos] >> 2 & 1), 0, 0
        while True:
            if at >= len(data):
                raise FlvError("an OBU's size is cut off")
            size |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not data[at - 1] & 0x80:
                break
        if at + size > len(data):
            raise FlvError("an OBU is cut off")
        obus.append(data[pos:at + size])
        pos = at + size
    return obus


def parse_av1c(record):
    """AV1CodecConfigurationRecord -> (0, its OBUs)."""
    if len(record) < 4 or record[0] != 0x81:
        raise FlvError("not an AV1CodecConfigurationRecord")
    obus = split_obus(record[4:])
    if [obu[0] >> 3 & 15 for obu in obus] != [1]:
        raise FlvError("the record holds other OBUs than one sequence header")
    return 0, obus


def _nal_kinds(frame):
    """NAL unit types of a frame (AV1: OBU types), and whether they make it a random access point."""
    if frame.config.codec == "av1":
        kinds = [obu[0] >> 3 & 15 for obu in split_obus(frame.data)]
        return kinds, 1 in kinds
    if frame.config.codec == "h264":
        kinds = [nal[0] & 0x1F for nal in frame.nal_units()]
        return kinds, 5 in kinds
    kinds = [nal[0] >> 1 & 0x3F for nal in frame.nal_units()]
    return kinds, any(16 <= kind <= 21 for kind in kinds)


def parse(data):
    """A reader that has read data, which must end with a complete tag unless it was cut off."""
    reader = FlvReader()
    reader.feed(data)
    return reader
