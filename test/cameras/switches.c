/*
 * Sample cameras: reads a session's switches from the query of its URL.  Test side only, pure.
 */
#include "test/cameras/switches.h"

#include <string.h>

/* @return the value of name in the query, or NULL.  Caller owns. */
static char *query_value(const GstRTSPUrl *url, const char *name)
{
    char **pairs, *value = NULL;
    size_t n = strlen(name);

    if (!url || !url->query)
        return NULL;
    pairs = g_strsplit(url->query, "&", -1);
    for (size_t i = 0; pairs[i] && !value; i++) {
        if (strncmp(pairs[i], name, n) == 0 && pairs[i][n] == '=')
            value = g_strdup(pairs[i] + n + 1);
    }
    g_strfreev(pairs);
    return value;
}

static bool query_is(const GstRTSPUrl *url, const char *name, const char *wanted)
{
    char *value = query_value(url, name);
    bool is = g_strcmp0(value, wanted) == 0;

    g_free(value);
    return is;
}

static double query_number(const GstRTSPUrl *url, const char *name)
{
    char *value = query_value(url, name);
    double number = value ? g_ascii_strtod(value, NULL) : 0;

    g_free(value);
    return number;
}

void switches_parse(const GstRTSPUrl *url, struct switches *s)
{
    char *variant = query_value(url, "loop");

    memset(s, 0, sizeof(*s));
    g_strlcpy(s->variant, variant ? variant : "", sizeof(s->variant));
    g_free(variant);
    s->no_video = query_is(url, "video", "none");
    s->no_audio = query_is(url, "audio", "none");
    s->silent = query_is(url, "silent", "1");
    s->join_live = query_is(url, "join", "live");
    s->no_sprop = query_is(url, "sdp", "nosprop");
    s->g726_aal2 = query_is(url, "g726", "aal2");
    s->g726_mislabelled = query_is(url, "g726", "mislabelled");
    s->g726_kbit = (int)query_number(url, "g726_kbit");
    s->start_frame = (int64_t)query_number(url, "start");
    s->stop_after_ms = (int64_t)(query_number(url, "stop_after") * 1e3);
    s->close_after_ms = (int64_t)(query_number(url, "close_after") * 1e3);
    s->audio_ppm = (int)query_number(url, "audio_ppm");
    s->no_reports = query_is(url, "reports", "none");
}

GstRTSPAuthMethod switches_parse_scheme(const char *text)
{
    if (g_strcmp0(text, "basic") == 0)
        return GST_RTSP_AUTH_BASIC;
    if (g_strcmp0(text, "digest") == 0)
        return GST_RTSP_AUTH_DIGEST;
    if (g_strcmp0(text, "both") == 0)
        return GST_RTSP_AUTH_BASIC | GST_RTSP_AUTH_DIGEST;
    return GST_RTSP_AUTH_NONE;
}

GstRTSPAuthMethod switches_auth_scheme(const GstRTSPUrl *url, GstRTSPAuthMethod unasked)
{
    char *asked = query_value(url, "auth");
    GstRTSPAuthMethod scheme = asked ? switches_parse_scheme(asked) : unasked;

    g_free(asked);
    return scheme;
}
