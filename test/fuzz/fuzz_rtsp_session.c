/*
 * A camera that sends anything: the RTSP dialogue, its messages, SDP, authentication, interleaved
 * frames, RTP and RTCP, down to the depacketizers' door.
 *
 * Input: a byte of flags, then pieces: 2 bytes length, then that many bytes to feed at once; a
 * piece of length 0 lets the next deadline pass.
 */
#include "worker/rtp/rtp_clock.h"
#include "worker/rtp/rtp_receive.h"
#include "worker/rtsp/rtsp_session.h"

#include <assert.h>
#include <string.h>

#define PASSWORD "geheim!"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct rtsp_session *session;
    struct rtp_receiver *receivers[TRACK_COUNT];
    struct rtp_clock clock;
    bool refuse;
    bool given_away; /* the input has the password in it: it may come back in URLs */
};

static void on_rtp(void *ctx, const struct rtp_packet *packet, bool lost_before,
                   int64_t received_us)
{
    struct fuzz *f = ctx;
    (void)lost_before;
    (void)rtp_clock_pts(&f->clock, (enum track)(packet->ssrc & 1), packet->timestamp, received_us);
}

static int on_ready(void *ctx, const struct sdp_track *video, const struct sdp_track *audio)
{
    struct fuzz *f = ctx;
    char text[SDP_FMTP_MAX + 1024];
    int pt;
    (void)sdp_write_track(video, text, sizeof(text), &pt);
    assert(pt >= 0 && pt <= 127 && video->clock_rate > 0);
    f->receivers[TRACK_VIDEO] =
        rtp_receiver_new(video->payload_type & 1, video->clock_rate, &video->types, on_rtp, f);
    if (audio != NULL)
        f->receivers[TRACK_AUDIO] =
            rtp_receiver_new(false, audio->clock_rate, &audio->types, on_rtp, f);
    return f->refuse ? -95 : 0;
}

static void on_data(void *ctx, enum track track, bool rtcp, const uint8_t *data, size_t len)
{
    struct fuzz *f = ctx;
    struct rtp_sender_report report;
    uint8_t buf[RTP_REPORT_MAX];
    bool bye;
    int64_t pts, wall_us;
    struct rtp_receiver *r = f->receivers[track];
    if (r == NULL)
        return;
    if (!rtcp) {
        rtp_receiver_packet(r, data, len, 1000000);
    } else if (rtp_receiver_rtcp(r, data, len, 1000000, &report, &bye)) {
        (void)rtp_clock_report(&f->clock, track, report.ntp, report.timestamp, &pts, &wall_us);
        size_t n = rtp_receiver_report(r, 2000000, buf);
        rtsp_session_send_rtcp(f->session, track, buf, n);
    }
}

static void take_output(const struct fuzz *f)
{
    size_t len;
    const uint8_t *out = rtsp_session_output(f->session, &len);
    assert(len <= RTSP_OUTPUT_MAX);
    /* The password goes out hashed or in Base64 only. */
    assert(f->given_away || len == 0 || memmem(out, len, PASSWORD, strlen(PASSWORD)) == NULL);
    rtsp_session_sent(f->session, len);
}

static void feed(struct fuzz *f, const uint8_t *data, size_t len, int64_t now_us)
{
    while (len > 0) {
        size_t room;
        uint8_t *space = rtsp_session_space(f->session, &room);
        assert(room > 0);
        room = room < len ? room : len;
        memcpy(space, data, room);
        rtsp_session_filled(f->session, room, now_us);
        data += room;
        len -= room;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    static const uint32_t rates[TRACK_COUNT] = {90000, 8000};
    struct fuzz f = {.refuse = (data[0] & 4) != 0,
                     .given_away = memmem(data, size, PASSWORD, strlen(PASSWORD)) != NULL};
    const struct rtsp_session_params params = {
        .url = "rtsp://10.0.0.9/cam?x=1",
        .user = (data[0] & 8) != 0 ? "" : "admin",
        .password = (data[0] & 8) != 0 ? "" : PASSWORD,
        .way = (data[0] & 1) == 0    ? RTSP_WAY_TCP
               : (data[0] & 32) != 0 ? RTSP_WAY_MULTICAST
                                     : RTSP_WAY_UDP,
        .options_first = (data[0] & 2) != 0,
        .udp_ports = {5000, (data[0] & 16) != 0 ? 5002 : 0},
    };
    int64_t now_us = 1000;
    rtp_clock_init(&f.clock, rates);
    f.session = rtsp_session_new(&params, &(struct rtsp_session_events){on_ready, on_data, &f});
    rtsp_session_start(f.session, now_us);
    take_output(&f);
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        len = len < size - at ? len : size - at;
        if (len == 0 && rtsp_session_deadline(f.session) != INT64_MAX) {
            now_us = rtsp_session_deadline(f.session);
            rtsp_session_timeout(f.session, now_us);
        }
        feed(&f, data + at, len, now_us);
        take_output(&f);
        at += len;
    }
    rtsp_session_teardown(f.session);
    take_output(&f);
    rtsp_session_eof(f.session, "");
    enum http_error error;
    const char *detail;
    enum rtsp_verdict verdict = rtsp_session_verdict(f.session, &error, &detail);
    assert(verdict != RTSP_VERDICT_NONE);
    assert((error != HTTP_ERROR_NONE) == (verdict == RTSP_VERDICT_FAILED));
    assert(f.given_away || strstr(detail, PASSWORD) == NULL);
    rtsp_session_free(&f.session);
    rtp_receiver_free(&f.receivers[TRACK_VIDEO]);
    rtp_receiver_free(&f.receivers[TRACK_AUDIO]);
    return 0;
}
