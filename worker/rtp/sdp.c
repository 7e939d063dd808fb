#include "worker/rtp/sdp.h"

#include "common/xalloc.h"
#include "worker/rtp/rtp_aac.h"
#include "worker/rtp/rtp_encoding.h"
#include "worker/rtp/sdp_fmtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DYNAMIC_PAYLOAD_TYPE 96
#define VIDEO_CLOCK_RATE 90000
#define CLOCK_RATE_MAX 1000000
#define FIRST_UNASSIGNED_PAYLOAD_TYPE 35 /* RFC 3551 table 5 */
#define COMFORT_NOISE 13                 /* RFC 3389 */
#define OLD_COMFORT_NOISE 19             /* reserved for it once */
#define LINE_MAX_BYTES 16384

/* One payload type of a media section. */
struct format {
    int payload_type;
    char codec[32];
    uint32_t clock_rate;
    int channels;
};

struct parser {
    struct sdp *sdp;
    struct sdp_track *track; /* the current section; NULL: the session, or a section we ignore */
    bool in_media;
    char group[SDP_GROUP_MAX]; /* the session's */
    struct format formats[SDP_FORMATS_MAX];
    size_t format_count;
    /* All fmtp lines: some cameras put one into another track's section. */
    struct {
        int payload_type;
        const struct sdp_track *track;
        const char *text; /* in the line copies */
    } fmtps[SDP_TRACKS_MAX * 2];
    size_t fmtp_count;
};

/* Static payload types that cameras use without an rtpmap (RFC 3551). */
static const struct {
    int payload_type;
    uint32_t clock_rate;
    const char *video; /* the encoding's name */
} static_types[] = {
    {0, 8000, NULL},   {3, 8000, NULL},     {4, 8000, NULL},     {5, 8000, NULL},
    {6, 16000, NULL},  {8, 8000, NULL},     {9, 8000, NULL},     {10, 44100, NULL},
    {11, 44100, NULL}, {14, 90000, NULL},   {16, 11025, NULL},   {17, 22050, NULL},
    {18, 8000, NULL},  {26, 90000, "JPEG"}, {33, 90000, "MP2T"}, {34, 90000, "H263"}};

static const char *starts_with(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncasecmp(text, prefix, n) == 0 ? text + n : NULL;
}

static struct format *find_format(struct parser *p, int payload_type)
{
    for (size_t i = 0; i < p->format_count; i++)
        if (p->formats[i].payload_type == payload_type)
            return &p->formats[i];
    return NULL;
}

static bool is_h26x(const char *codec)
{
    return strcasecmp(codec, "H264") == 0 || strcasecmp(codec, "H265") == 0;
}

/* How welcome a video codec is: viewers get H.264 and HEVC as they are; the others are transcoded.
 * 0: it cannot be used. */
static int video_rank(const char *codec)
{
    if (is_h26x(codec))
        return 2;
    return rtp_encoding_find(codec) != NULL;
}

/* Can audio become AAC, by its codec name or, without one, its static payload type (RFC 3551)? */
static bool is_wanted_audio(const char *codec, int payload_type)
{
    static const char *const names[] = {"PCMA",      "PCMU", "L16", "G722", "mpeg4-generic",
                                        "MP4A-LATM", "opus", "MPA", "AC3"};
    if (strncasecmp(codec, "G726-", 5) == 0 || strncasecmp(codec, "AAL2-G726-", 10) == 0)
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(codec, names[i]) == 0)
            return true;
    return codec[0] == '\0' && payload_type < FIRST_UNASSIGNED_PAYLOAD_TYPE &&
           payload_type != COMFORT_NOISE && payload_type != OLD_COMFORT_NOISE;
}

static int rank(enum track kind, const char *codec, int payload_type)
{
    return kind == TRACK_VIDEO ? video_rank(codec) : is_wanted_audio(codec, payload_type);
}

static uint32_t static_clock_rate(enum track kind, int payload_type)
{
    for (size_t i = 0; i < sizeof(static_types) / sizeof(static_types[0]); i++)
        if (static_types[i].payload_type == payload_type)
            return static_types[i].clock_rate;
    return kind == TRACK_VIDEO ? VIDEO_CLOCK_RATE : 8000;
}

/* A video format's name without an rtpmap; "" if its payload type has none. */
static const char *static_video_name(int payload_type)
{
    for (size_t i = 0; i < sizeof(static_types) / sizeof(static_types[0]); i++)
        if (static_types[i].payload_type == payload_type && static_types[i].video != NULL)
            return static_types[i].video;
    return "";
}

static void name_static_video(struct parser *p)
{
    for (size_t i = 0; i < p->format_count; i++) {
        struct format *f = &p->formats[i];
        if (p->track->kind == TRACK_VIDEO && f->codec[0] == '\0')
            (void)snprintf(f->codec, sizeof(f->codec), "%s", static_video_name(f->payload_type));
    }
}

/* Refuse the section's formats that are another codec than the chosen one: by name, or by a static
 * payload type (RFC 3551 table 4 and 5). */
static void note_other_types(struct parser *p, const struct format *chosen)
{
    for (size_t i = 0; i < p->format_count; i++) {
        const struct format *f = &p->formats[i];
        bool named = f->codec[0] != '\0';
        bool fixed = f->payload_type < FIRST_UNASSIGNED_PAYLOAD_TYPE;
        if (f != chosen && (named ? strcasecmp(f->codec, chosen->codec) != 0 : fixed))
            p->track->types.refused[f->payload_type / 8] |= (uint8_t)(1u << (f->payload_type % 8));
        if (f != chosen && p->track->types.other_codec == 0 && is_h26x(f->codec) &&
            is_h26x(chosen->codec) && strcasecmp(f->codec, chosen->codec) != 0)
            p->track->types.other_codec = (uint8_t)f->payload_type;
        if (f != chosen && strcasecmp(f->codec, "red") == 0)
            p->track->types.red = (uint8_t)f->payload_type;
    }
}

static int format_rank(const struct parser *p, const struct format *f)
{
    return rank(p->track->kind, f->codec, f->payload_type);
}

/* The section is over: choose one of its formats. */
static void finish_track(struct parser *p)
{
    if (p->track == NULL || p->format_count == 0)
        return;
    name_static_video(p);
    const struct format *f = &p->formats[0];
    for (size_t i = 1; i < p->format_count; i++)
        if (format_rank(p, &p->formats[i]) > format_rank(p, f))
            f = &p->formats[i];
    p->track->payload_type = f->payload_type;
    p->track->types.chosen = (uint8_t)f->payload_type;
    note_other_types(p, f);
    (void)snprintf(p->track->codec, sizeof(p->track->codec), "%s", f->codec);
    p->track->channels = f->channels;
    p->track->clock_rate =
        f->clock_rate != 0 ? f->clock_rate : static_clock_rate(p->track->kind, f->payload_type);
}

static void parse_media(struct parser *p, const char *value)
{
    finish_track(p);
    p->in_media = true;
    p->track = NULL;
    p->format_count = 0;

    enum track kind;
    if (starts_with(value, "video ") != NULL)
        kind = TRACK_VIDEO;
    else if (starts_with(value, "audio ") != NULL)
        kind = TRACK_AUDIO;
    else
        return;
    char profile[32];
    int list = 0;
    if (sscanf(value, "%*s %*s %31s%n", profile, &list) != 1 || list == 0)
        return;
    unsigned long port = strtoul(value + strcspn(value, " "), NULL, 10);
    bool encrypted = strcasestr(profile, "RTP/SAVP") != NULL; /* and UDP/TLS/RTP/SAVPF */
    if (strcasestr(profile, "RTP/") == NULL)                  /* also TCP/RTP/AVP (RFC 4571) */
        return;
    const char *formats = value + list;
    char *end;
    for (long pt = strtol(formats, &end, 10); end != formats; pt = strtol(formats, &end, 10)) {
        if (pt >= 0 && pt <= 127 && p->format_count < SDP_FORMATS_MAX)
            p->formats[p->format_count++] = (struct format){.payload_type = (int)pt};
        formats = end;
    }
    if (p->format_count == 0 || p->sdp->track_count == SDP_TRACKS_MAX)
        return;
    p->track = &p->sdp->tracks[p->sdp->track_count++];
    memset(p->track, 0, sizeof(*p->track));
    p->track->kind = kind;
    p->track->encrypted = encrypted;
    p->track->port = port <= UINT16_MAX ? (uint16_t)port : 0;
    p->track->feedback = strcasestr(profile, "AVPF") != NULL;
    memcpy(p->track->group, p->group, sizeof(p->track->group));
}

/* c=IN IP4 ADDRESS, and behind a slash the TTL (RFC 4566 section 5.7). */
static void parse_connection(struct parser *p, const char *value)
{
    char address[SDP_GROUP_MAX];
    struct in_addr ip4;
    struct in6_addr ip6;
    if (sscanf(value, "%*s %*s %63[^/ ]", address) != 1)
        return;
    bool multicast = inet_pton(AF_INET, address, &ip4) == 1    ? IN_MULTICAST(ntohl(ip4.s_addr))
                     : inet_pton(AF_INET6, address, &ip6) == 1 ? IN6_IS_ADDR_MULTICAST(&ip6)
                                                               : false;
    char *group = p->track != NULL ? p->track->group : p->in_media ? NULL : p->group;
    if (group != NULL && multicast)
        (void)snprintf(group, SDP_GROUP_MAX, "%s", address);
}

static void parse_rtpmap(struct parser *p, const char *value)
{
    char *end;
    long pt = strtol(value, &end, 10);
    if (end == value || p->track == NULL)
        return;
    struct format *f = find_format(p, (int)pt);
    if (f == NULL && p->format_count == 1 && p->formats[0].codec[0] == '\0')
        f = &p->formats[0]; /* the section has only one format, so the rtpmap means that one */
    if (f == NULL)
        return;
    const char *codec = end + strspn(end, " ");
    size_t codec_len = strcspn(codec, "/ ");
    if (codec_len == 0)
        return;
    (void)snprintf(f->codec, sizeof(f->codec), "%.*s", (int)codec_len, codec);
    if (strcasecmp(f->codec, "HEVC") == 0)
        (void)snprintf(f->codec, sizeof(f->codec), "H265");
    const char *rate = codec + codec_len + strspn(codec + codec_len, " ");
    if (*rate != '/')
        return;
    unsigned long number = strtoul(rate + 1, &end, 10);
    f->clock_rate = number <= CLOCK_RATE_MAX ? (uint32_t)number : 0;
    number = *end == '/' ? strtoul(end + 1, NULL, 10) : 0;
    f->channels = number <= 8 ? (int)number : 0;
}

bool sdp_read_size(const char *text, char separator, unsigned *width, unsigned *height)
{
    char *end;
    unsigned long w = strtoul(text, &end, 10);
    if (end == text || *end != separator)
        return false;
    text = end + 1;
    unsigned long h = strtoul(text, &end, 10);
    if (end == text || w > UINT16_MAX || h > UINT16_MAX)
        return false;
    *width = (unsigned)w;
    *height = (unsigned)h;
    return true;
}

static void parse_size(struct parser *p, const char *text, char separator)
{
    if (p->track != NULL && p->track->kind == TRACK_VIDEO)
        (void)sdp_read_size(text, separator, &p->track->width, &p->track->height);
}

static void parse_attribute(struct parser *p, const char *value)
{
    const char *rest;
    if ((rest = starts_with(value, "control:")) != NULL) {
        rest += strspn(rest, " ");
        if (p->track != NULL)
            (void)snprintf(p->track->control, sizeof(p->track->control), "%s", rest);
        else if (!p->in_media)
            (void)snprintf(p->sdp->control, sizeof(p->sdp->control), "%s", rest);
    } else if ((rest = starts_with(value, "rtpmap:")) != NULL) {
        parse_rtpmap(p, rest);
    } else if ((rest = starts_with(value, "fmtp:")) != NULL) {
        char *end;
        long pt = strtol(rest, &end, 10);
        size_t max = sizeof(p->fmtps) / sizeof(p->fmtps[0]);
        if (end != rest && p->fmtp_count < max) {
            p->fmtps[p->fmtp_count].payload_type = (int)pt;
            p->fmtps[p->fmtp_count].track = p->track;
            p->fmtps[p->fmtp_count++].text = end + strspn(end, " ");
        }
    } else if ((rest = starts_with(value, "framesize:")) != NULL) {
        rest += strspn(rest, "0123456789"); /* the payload type */
        parse_size(p, rest, '-');
    } else if ((rest = starts_with(value, "x-dimensions:")) != NULL) {
        parse_size(p, rest, ',');
    } else if (strcasecmp(value, "sendonly") == 0 && p->track != NULL) {
        p->track->sendonly = true;
    }
}

/* When a camera omits the rtpmap, its fmtp parameters still tell the codec. */
static void guess_codec(struct sdp_track *t)
{
    if (t->codec[0] != '\0' || t->payload_type < FIRST_UNASSIGNED_PAYLOAD_TYPE ||
        t->kind != TRACK_VIDEO)
        return;
    if (strstr(t->fmtp, "sprop-vps") != NULL)
        (void)snprintf(t->codec, sizeof(t->codec), "H265");
    else if (strstr(t->fmtp, "sprop-parameter-sets") != NULL ||
             strstr(t->fmtp, "packetization-mode") != NULL)
        (void)snprintf(t->codec, sizeof(t->codec), "H264");
}

/* Does a payload type belong to a track, or to a format that was not chosen? */
static bool is_taken(const struct parser *p, const struct sdp_track *t, int type)
{
    if (type >= 0 && type <= 127 && (t->types.refused[type / 8] >> (type % 8) & 1) != 0)
        return true;
    for (size_t i = 0; i < p->sdp->track_count; i++)
        if (p->sdp->tracks[i].payload_type == type)
            return true;
    return false;
}

/* The track's fmtp line: of its payload type, in its own section rather than in another; or else
 * the only one of its section, whatever type it names. */
static const char *find_fmtp(const struct parser *p, const struct sdp_track *t)
{
    const char *elsewhere = NULL;
    const char *only = NULL;
    unsigned own = 0;
    for (size_t i = 0; i < p->fmtp_count; i++) {
        int type = p->fmtps[i].payload_type;
        bool here = p->fmtps[i].track == t;
        bool matches = type == t->payload_type;
        if (here && matches)
            return p->fmtps[i].text;
        if (matches && elsewhere == NULL)
            elsewhere = p->fmtps[i].text;
        if (here && !is_taken(p, t, type) && ++own == 1)
            only = p->fmtps[i].text;
    }
    return elsewhere != NULL || own != 1 ? elsewhere : only;
}

static void attach_fmtps(struct parser *p)
{
    for (size_t i = 0; i < p->sdp->track_count; i++) {
        struct sdp_track *t = &p->sdp->tracks[i];
        const char *text = find_fmtp(p, t);
        if (text != NULL)
            sdp_fmtp_clean(t->fmtp, sizeof(t->fmtp), text);
        guess_codec(t);
    }
}

void sdp_parse(struct sdp *sdp, const char *text, size_t len)
{
    memset(sdp, 0, sizeof(*sdp));
    struct parser p = {.sdp = sdp};
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return; /* as if it had no tracks */
    memcpy(copy, text, len);
    copy[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (copy[i] == '\0' || copy[i] == '\r')
            copy[i] = '\n';

    char *save = NULL;
    for (char *line = strtok_r(copy, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        line += strspn(line, " \t");
        size_t n = strlen(line);
        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
            line[--n] = '\0';
        if (n < 2 || n > LINE_MAX_BYTES || line[1] != '=')
            continue;
        if (line[0] == 'm')
            parse_media(&p, line + 2);
        else if (line[0] == 'c')
            parse_connection(&p, line + 2);
        else if (line[0] == 'a')
            parse_attribute(&p, line + 2);
    }
    finish_track(&p);
    attach_fmtps(&p);
    free(copy);
}

/* Compares two tracks of the same kind. */
static bool is_better(const struct sdp_track *t, const struct sdp_track *than)
{
    if (t->encrypted != than->encrypted)
        return than->encrypted;
    return rank(t->kind, t->codec, t->payload_type) >
           rank(than->kind, than->codec, than->payload_type);
}

const struct sdp_track *sdp_choose(const struct sdp *sdp, enum track kind)
{
    const struct sdp_track *best = NULL;
    bool all_sendonly = true; /* firmware that marks every track means nothing by it */
    for (size_t i = 0; i < sdp->track_count; i++)
        if (!sdp->tracks[i].sendonly)
            all_sendonly = false;
    for (size_t i = 0; i < sdp->track_count; i++) {
        const struct sdp_track *t = &sdp->tracks[i];
        if (t->kind != kind || (t->sendonly && !all_sendonly))
            continue;
        if (best == NULL || is_better(t, best))
            best = t;
    }
    return best;
}

/* The section has a payload type for each codec: the second one is sent. */
static void choose_other_type(struct sdp_track *t)
{
    struct rtp_types *types = &t->types;
    uint8_t other = types->other_codec;
    types->refused[other / 8] &= (uint8_t) ~(1u << (other % 8));
    types->refused[types->chosen / 8] |= (uint8_t)(1u << (types->chosen % 8));
    types->other_codec = types->chosen;
    types->chosen = other;
    t->payload_type = other;
}

void sdp_correct_codec(struct sdp *sdp, const char *misnamed)
{
    for (size_t i = 0; i < sdp->track_count; i++) {
        struct sdp_track *t = &sdp->tracks[i];
        if (!is_h26x(t->codec) || strcasecmp(t->codec, misnamed) != 0)
            continue;
        bool h264 = strcasecmp(t->codec, "H264") == 0;
        t->corrected = true;
        (void)snprintf(t->codec, sizeof(t->codec), h264 ? "H265" : "H264");
        t->fmtp[0] = '\0';
        if (t->types.other_codec != 0)
            choose_other_type(t);
    }
}

int sdp_write_track(const struct sdp_track *track, char *buf, size_t size, int *payload_type)
{
    /* A static type of video is another codec to libavformat, whatever the rtpmap says. */
    bool fixed = track->payload_type < FIRST_UNASSIGNED_PAYLOAD_TYPE &&
                 (track->kind != TRACK_VIDEO || track->codec[0] == '\0');
    int pt = fixed ? track->payload_type : DYNAMIC_PAYLOAD_TYPE;
    char rtpmap[96] = "";
    char channels[16] = "";
    if (track->channels > 0)
        (void)snprintf(channels, sizeof(channels), "/%d", track->channels);
    if (track->codec[0] != '\0')
        (void)snprintf(rtpmap, sizeof(rtpmap), "a=rtpmap:%d %s/%u%s\r\n", pt, track->codec,
                       track->clock_rate, channels);
    int n = snprintf(buf, size,
                     "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                     "m=%s 0 RTP/AVP %d\r\n%s",
                     track->kind == TRACK_VIDEO ? "video" : "audio", pt, rtpmap);
    bool usable = !rtp_aac_lacks_config(track->codec, track->fmtp);
    if (track->fmtp[0] != '\0' && usable && n > 0 && (size_t)n < size)
        n += snprintf(buf + n, size - (size_t)n, "a=fmtp:%d %s\r\n", pt, track->fmtp);
    *payload_type = pt;
    return n > 0 && (size_t)n < size ? n : -ENAMETOOLONG;
}
