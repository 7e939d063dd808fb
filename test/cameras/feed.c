/*
 * Sample cameras: feeds one track of a session from a loop file to a payloader.  Test side only.
 * need_data() runs on its appsrc's streaming thread and touches only its own struct feed.
 */
#include "test/cameras/feed.h"

#include <errno.h>
#include <gst/app/gstappsrc.h>
#include <gst/rtp/gstrtpbuffer.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)
#define SILENT_SHIFT_S INT64_C(864000)
#define NS_PER_MS INT64_C(1000000)

struct feed {
    const struct loop_file *loop;
    size_t next;  /* index of the frame to send */
    int64_t laps; /* complete passes through the loop since time 0 of the time line */
    int64_t start_ns;
    int64_t shift_ns; /* how far in the future a silent camera's media lie */
    int64_t stop_ns;  /* 0: never */
    int ppm;
};

struct payload {
    const char *codec, *caps, *payloader;
    guint type; /* RTP payload type, from RFC 3551 table 4 if listed there */
    guint clock_rate;
};

/* The payloaders and settings were tested with FFmpeg. */
static const struct payload payloads[] = {
    {"H264", "video/x-h264,stream-format=avc,alignment=au,framerate=25/1",
     "rtph264pay config-interval=-1", 96, 90000},
    {"H265", "video/x-h265,stream-format=hvc1,alignment=au,framerate=25/1",
     "rtph265pay config-interval=-1", 96, 90000},
    {"AAC", "audio/mpeg,mpegversion=4,stream-format=raw,rate=48000,channels=2", "rtpmp4gpay", 97,
     48000},
    {"G711A", "audio/x-alaw,rate=8000,channels=1", "rtppcmapay", 8, 8000},
    {"G711U", "audio/x-mulaw,rate=8000,channels=1", "rtppcmupay", 0, 8000},
    /* 16 kHz, but its RTP clock runs at 8 kHz: RFC 3551 section 4.5.2 */
    {"G722", "audio/G722,rate=16000,channels=1", "rtpg722pay", 9, 8000},
    /* "force-aal2", on by default, keeps the loop's bit order */
    {"G726", "audio/x-adpcm,rate=8000,channels=1,layout=g726", "rtpg726pay", 97, 8000},
    {"OPUS", "audio/x-opus,rate=48000,channels=2,channel-mapping-family=0", "rtpopuspay", 97,
     48000},
};

static int64_t frame_time_ns(const struct feed *feed)
{
    const struct loop_file *loop = feed->loop;
    int64_t pts = feed->laps * loop->duration + loop->frames[feed->next].pts;

    /*
     * Convert in two steps: hours of 48 kHz ticks times 10^9 do not fit in 64 bits.  Round up:
     * payloaders round down to RTP ticks, so every frame gets exactly the tick it was encoded for.
     */
    return pts / loop->timescale * NS_PER_S +
           (pts % loop->timescale * NS_PER_S + loop->timescale - 1) / loop->timescale;
}

static void feed_advance(struct feed *feed)
{
    if (++feed->next == feed->loop->frame_count) {
        feed->next = 0;
        feed->laps++;
    }
}

static void feed_seek(struct feed *feed, int64_t start_ns)
{
    const struct loop_file *loop = feed->loop;
    int64_t loop_ns = loop->duration * NS_PER_S / loop->timescale;

    feed->start_ns = start_ns;
    feed->laps = start_ns / loop_ns;
    feed->next = 0;
    while (frame_time_ns(feed) < start_ns)
        feed_advance(feed);
}

static void need_data(GstAppSrc *source, guint length, gpointer user)
{
    struct feed *feed = user;
    const struct loop_frame *frame = &feed->loop->frames[feed->next];
    int64_t time_ns = frame_time_ns(feed) - feed->start_ns;
    GstBuffer *buffer;

    (void)length;
    if (feed->stop_ns && time_ns >= feed->stop_ns)
        return;
    /* After a start in mid-GOP, a B-frame's time can lie before the start. */
    time_ns = MAX(time_ns, 0) + feed->shift_ns;
    time_ns -= (int64_t)((double)time_ns * feed->ppm / (1e6 + feed->ppm));

    buffer = gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, (gpointer)(guintptr)frame->data,
                                         frame->bytes, 0, frame->bytes, NULL, NULL);
    GST_BUFFER_PTS(buffer) = (GstClockTime)time_ns;
    if (!frame->key)
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    feed_advance(feed);
    gst_app_src_push_buffer(source, buffer);
}

/*
 * A camera whose audio clock is fast.  Its RTP timestamps count the fast clock's samples; the true
 * clock times its packets and its RTCP reports.  Payloaders would put the true time into the
 * timestamps.
 */
struct skew {
    double ratio; /* clock ticks per true second / nominal ticks per second */
    guint clock_rate;
    bool begun;
    guint32 first_timestamp;
};

static GstBuffer *skew_packet(GstBuffer *packet, struct skew *skew)
{
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
    double ticks = (double)GST_BUFFER_PTS(packet) * skew->ratio * skew->clock_rate / NS_PER_S;

    packet = gst_buffer_make_writable(packet);
    if (!gst_rtp_buffer_map(packet, GST_MAP_READWRITE, &rtp))
        return packet;
    if (!skew->begun) {
        skew->begun = true;
        skew->first_timestamp = gst_rtp_buffer_get_timestamp(&rtp) - (guint32)(gint64)ticks;
    }
    gst_rtp_buffer_set_timestamp(&rtp, skew->first_timestamp + (guint32)(gint64)(ticks + 0.5));
    gst_rtp_buffer_unmap(&rtp);
    return packet;
}

static gboolean skew_list_item(GstBuffer **packet, guint index, gpointer skew)
{
    (void)index;
    *packet = skew_packet(*packet, skew);
    return TRUE;
}

static GstPadProbeReturn skew_probe(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    struct skew *skew = user;

    (void)pad;
    if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
        info->data = skew_packet(info->data, skew);
    } else {
        info->data = gst_buffer_list_make_writable(info->data);
        gst_buffer_list_foreach(info->data, skew_list_item, skew);
    }
    return GST_PAD_PROBE_OK;
}

static void skew_add(GstElement *payloader, int ppm, guint clock_rate)
{
    struct skew *skew = g_new0(struct skew, 1);
    GstPad *pad = gst_element_get_static_pad(payloader, "src");

    skew->ratio = 1 + ppm / 1e6;
    skew->clock_rate = clock_rate;
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST, skew_probe,
                      skew, g_free);
    gst_object_unref(pad);
}

static GstCaps *payload_caps(const struct payload *payload, const struct loop_file *loop)
{
    GstCaps *caps = gst_caps_from_string(payload->caps);

    if (strcmp(payload->codec, "G726") == 0) {
        int bitrate = (int)loop->frames[0].bytes * 8 * 50; /* 50 frames per second */

        gst_caps_set_simple(caps, "bitrate", G_TYPE_INT, bitrate, NULL);
    }
    if (loop->config_bytes) {
        GstBuffer *config = gst_buffer_new_memdup(loop->config, loop->config_bytes);

        gst_caps_set_simple(caps, "codec_data", GST_TYPE_BUFFER, config, NULL);
        gst_buffer_unref(config);
    }
    return caps;
}

static GstElement *make_payloader(const struct payload *payload)
{
    GError *error = NULL;
    GstElement *payloader =
        gst_parse_launch_full(payload->payloader, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);

    if (!payloader) {
        g_printerr("sample-rtsp-server: %s\n", error->message);
        g_error_free(error);
        return NULL;
    }
    return payloader;
}

int feed_add(GstBin *bin, const char *name, const struct loop_file *loop,
             const struct switches *switches, int64_t start_ns)
{
    GstAppSrcCallbacks callbacks = {.need_data = need_data};
    const struct payload *payload = NULL;
    GstElement *source, *payloader;
    struct feed *feed;
    GstCaps *caps;
    bool video;

    for (size_t i = 0; i < G_N_ELEMENTS(payloads); i++) {
        if (strcmp(payloads[i].codec, loop->codec) == 0)
            payload = &payloads[i];
    }
    if (!payload)
        return -EINVAL;
    source = gst_element_factory_make("appsrc", NULL);
    payloader = make_payloader(payload);
    if (!source || !payloader)
        return -ENOSYS;

    video = payload->codec[0] == 'H';
    feed = g_new0(struct feed, 1);
    feed->loop = loop;
    feed->ppm = switches->audio_ppm; /* for video too: sound and picture stay together */
    feed->stop_ns = switches->stop_after_ms * NS_PER_MS;
    feed->shift_ns = switches->silent ? SILENT_SHIFT_S * NS_PER_S : 0;
    feed_seek(feed, start_ns);

    caps = payload_caps(payload, loop);
    g_object_set(source, "caps", caps, "format", GST_FORMAT_TIME, "is-live", FALSE, NULL);
    gst_caps_unref(caps);
    gst_app_src_set_callbacks(GST_APP_SRC(source), &callbacks, feed, g_free);
    gst_object_set_name(GST_OBJECT(payloader), name);
    g_object_set(payloader, "pt", payload->type, NULL);
    if (switches->audio_ppm && !video)
        skew_add(payloader, switches->audio_ppm, payload->clock_rate);
    gst_bin_add_many(bin, source, payloader, NULL);
    return gst_element_link(source, payloader) ? 0 : -ENOSYS;
}
