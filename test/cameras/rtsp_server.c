/*
 * Sample RTSP cameras: serves loop files (loops.py) as endless live cameras over TCP and UDP.
 * Test side only, a separate process.  The main loop owns requests, sessions and the log; media
 * flow on GStreamer's streaming threads (feed.c).  It never encodes.
 *
 * Every session has its own pipeline and begins with a key frame at once.  The query of its URL can
 * change its behaviour: see README.md in this directory.
 */
#include <glib-unix.h>
#include <gst/rtsp-server/rtsp-server.h>
#include <gst/sdp/gstsdpmessage.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/cameras/feed.h"

#define ROLE "viewer"
#define FRAME_RATE 25
#define SESSION_KEY "sample-session"
#define LOOP_SLOTS 32
#define CLIENT_LINGER_S 5

static const char *const sizes[] = {"720p", "1080p", "2k", "4k"};
static const char *const video_codecs[] = {"H264", "H265"};
static const char *const audio_codecs[] = {"AAC", "G711A", "G711U", "G722", "G726", "OPUS"};

struct options {
    char *loops, *bind, *user, *password, *auth, *log;
    int port;
    GstRTSPAuthMethod scheme; /* for every URL whose query names none */
};

static struct options options;
static FILE *event_log;
static int64_t epoch_us;
static unsigned session_count;

/* One session of one camera; lives as long as its pipeline. */
struct session {
    unsigned id;
    char *path;
    struct switches switches;
    int64_t play_us; /* 0 until PLAY */
    bool logged_end;
};

/* --- event log: one JSON object per line ----------------------------------------------- */

static void log_event(const char *event, unsigned id, const char *path, const char *more)
{
    char *safe = g_uri_escape_string(path ? path : "", "/=&?.,:", FALSE);

    fprintf(event_log, "{\"event\":\"%s\",\"time\":%.6f,\"id\":%u,\"path\":\"%s\"%s}\n", event,
            (double)g_get_real_time() / 1e6, id, safe, more);
    fflush(event_log);
    g_free(safe);
}

static void log_session_end(struct session *session)
{
    char more[64];

    if (!session->play_us || session->logged_end)
        return;
    session->logged_end = true;
    snprintf(more, sizeof(more), ",\"seconds\":%.3f",
             (double)(g_get_monotonic_time() - session->play_us) / 1e6);
    log_event("end", session->id, session->path, more);
}

/* --- loop files, opened when first wanted ----------------------------------------------- */

static const struct loop_file *find_loop(const char *name)
{
    static struct {
        char name[32];
        struct loop_file loop;
    } slots[LOOP_SLOTS];
    static size_t used;
    char *path;
    int err;

    for (size_t i = 0; i < used; i++) {
        if (strcmp(slots[i].name, name) == 0)
            return &slots[i].loop;
    }
    if (used == LOOP_SLOTS)
        return NULL;
    path = g_strdup_printf("%s/%s.loop", options.loops, name);
    err = loop_file_open(path, &slots[used].loop);
    g_free(path);
    if (err)
        return NULL;
    g_strlcpy(slots[used].name, name, sizeof(slots[used].name));
    return &slots[used++].loop;
}

/* --- media: a GstRTSPMedia that edits its SDP as the switches say --------------------- */

typedef GstRTSPMedia SampleMedia;
typedef GstRTSPMediaClass SampleMediaClass;
GType sample_media_get_type(void); /* the macro's definition is not static */
G_DEFINE_TYPE(SampleMedia, sample_media, GST_TYPE_RTSP_MEDIA)

static void session_free(gpointer data)
{
    struct session *session = data;

    log_session_end(session);
    g_free(session->path);
    g_free(session);
}

static struct session *media_session(GstRTSPMedia *media)
{
    GstElement *element = gst_rtsp_media_get_element(media);
    struct session *session = g_object_get_data(G_OBJECT(element), SESSION_KEY);

    gst_object_unref(element);
    return session;
}

/* Remove the parameter sets from a fmtp value ("96 name=value;name=value").  Caller owns. */
static char *strip_sprop(const char *fmtp)
{
    char **fields = g_strsplit(fmtp, ";", -1);
    GString *kept = g_string_new(NULL);
    char *type = g_strndup(fmtp, strcspn(fmtp, " "));

    g_string_append(kept, type);
    for (size_t i = 0; fields[i]; i++) {
        const char *field = i == 0 ? fields[i] + strcspn(fields[i], " ") : fields[i];

        if (!strstr(field, "sprop-"))
            g_string_append_printf(kept, "%s%s", kept->str[strlen(type)] ? ";" : " ",
                                   g_strstrip((char *)(guintptr)field));
    }
    g_free(type);
    g_strfreev(fields);
    return g_string_free(kept, FALSE);
}

static void edit_sdp_media(GstSDPMedia *media, const struct switches *switches)
{
    for (guint i = 0; i < gst_sdp_media_attributes_len(media); i++) {
        const GstSDPAttribute *old = gst_sdp_media_get_attribute(media, i);
        GstSDPAttribute edited;
        char *value = NULL;

        if (switches->no_sprop && strcmp(old->key, "fmtp") == 0 && strstr(old->value, "sprop-"))
            value = strip_sprop(old->value);
        else if (switches->g726_aal2 && strcmp(old->key, "rtpmap") == 0 &&
                 strstr(old->value, " G726-"))
            value = g_strdup_printf("%.*s AAL2-%s", (int)strcspn(old->value, " "), old->value,
                                    strchr(old->value, ' ') + 1);
        if (!value)
            continue;
        gst_sdp_attribute_set(&edited, old->key, value);
        gst_sdp_media_replace_attribute(media, i, &edited);
        g_free(value);
    }
}

static gboolean sample_media_setup_sdp(GstRTSPMedia *media, GstSDPMessage *sdp, GstSDPInfo *info)
{
    const struct session *session = media_session(media);

    if (!GST_RTSP_MEDIA_CLASS(sample_media_parent_class)->setup_sdp(media, sdp, info))
        return FALSE;
    if (!session)
        return TRUE;
    for (guint i = 0; i < gst_sdp_message_medias_len(sdp); i++)
        edit_sdp_media((GstSDPMedia *)(guintptr)gst_sdp_message_get_media(sdp, i),
                       &session->switches);
    return TRUE;
}

static void sample_media_class_init(SampleMediaClass *klass)
{
    klass->setup_sdp = sample_media_setup_sdp;
}

static void sample_media_init(SampleMedia *media)
{
    (void)media;
}

/* --- factory: one per camera; makes a pipeline for every session ---------------------------- */

typedef struct {
    GstRTSPMediaFactory parent;
    const char *size, *video, *audio;
} SampleFactory;
typedef GstRTSPMediaFactoryClass SampleFactoryClass;
GType sample_factory_get_type(void);
G_DEFINE_TYPE(SampleFactory, sample_factory, GST_TYPE_RTSP_MEDIA_FACTORY)

static int64_t session_start_ns(const struct switches *switches)
{
    if (switches->join_live)
        return (g_get_monotonic_time() - epoch_us) * 1000;
    return switches->start_frame * (INT64_C(1000000000) / FRAME_RATE);
}

static const struct loop_file *video_loop(const SampleFactory *factory, const struct switches *s)
{
    char name[64];

    snprintf(name, sizeof(name), "%s-%s%s%s", factory->size, factory->video, *s->variant ? "-" : "",
             s->variant);
    return find_loop(name);
}

static const struct loop_file *audio_loop(const SampleFactory *factory, const struct switches *s)
{
    char name[32], rate[16] = "";

    if (strcmp(factory->audio, "G726") != 0)
        return find_loop(factory->audio);
    if (s->g726_kbit)
        snprintf(rate, sizeof(rate), "-%d", s->g726_kbit);
    snprintf(name, sizeof(name), "G726%s%s", rate,
             s->g726_aal2 || s->g726_mislabelled ? "-aal2" : "");
    return find_loop(name);
}

static GstElement *sample_factory_create_element(GstRTSPMediaFactory *base, const GstRTSPUrl *url)
{
    SampleFactory *factory = (SampleFactory *)base;
    struct session *session = g_new0(struct session, 1);
    struct switches *switches = &session->switches;
    GstElement *bin = gst_bin_new(NULL);
    const struct loop_file *video, *audio;
    int64_t start_ns;
    int streams = 0, err = 0;

    session->id = ++session_count;
    session->path = g_strdup(url->abspath);
    g_object_set_data_full(G_OBJECT(bin), SESSION_KEY, session, session_free);
    switches_parse(url, switches);
    start_ns = session_start_ns(switches);
    video = switches->no_video ? NULL : video_loop(factory, switches);
    audio = switches->no_audio ? NULL : audio_loop(factory, switches);
    if (video)
        err = feed_add(GST_BIN(bin), streams++ ? "pay1" : "pay0", video, switches, start_ns);
    if (!err && audio)
        err = feed_add(GST_BIN(bin), streams++ ? "pay1" : "pay0", audio, switches, start_ns);
    if (err || !streams || (!video && !switches->no_video)) {
        gst_object_unref(bin);
        return NULL;
    }
    return bin;
}

static void on_unprepared(GstRTSPMedia *media, gpointer user)
{
    struct session *session = media_session(media);

    (void)user;
    if (session)
        log_session_end(session);
}

/* Delay the first RTCP report for longer than any session lasts. */
static void silence_reports(GstRTSPMedia *media, gpointer user)
{
    (void)user;
    for (guint i = 0; i < gst_rtsp_media_n_streams(media); i++) {
        GObject *rtp = gst_rtsp_stream_get_rtpsession(gst_rtsp_media_get_stream(media, i));

        if (!rtp)
            continue;
        g_object_set(rtp, "rtcp-min-interval", (guint64)(24 * 3600) * GST_SECOND, NULL);
        g_object_unref(rtp);
    }
}

static void sample_factory_configure(GstRTSPMediaFactory *factory, GstRTSPMedia *media)
{
    GST_RTSP_MEDIA_FACTORY_CLASS(sample_factory_parent_class)->configure(factory, media);
    g_signal_connect(media, "unprepared", G_CALLBACK(on_unprepared), NULL);
    if (media_session(media)->switches.no_reports)
        g_signal_connect(media, "prepared", G_CALLBACK(silence_reports), NULL);
}

static void sample_factory_class_init(SampleFactoryClass *klass)
{
    klass->create_element = sample_factory_create_element;
    klass->configure = sample_factory_configure;
}

static void sample_factory_init(SampleFactory *factory)
{
    gst_rtsp_media_factory_set_media_gtype(&factory->parent, sample_media_get_type());
    gst_rtsp_media_factory_add_role(&factory->parent, ROLE, GST_RTSP_PERM_MEDIA_FACTORY_ACCESS,
                                    G_TYPE_BOOLEAN, TRUE, GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
                                    G_TYPE_BOOLEAN, TRUE, NULL);
}

static void mount_camera(GstRTSPMountPoints *mounts, const char *size, const char *video,
                         const char *audio)
{
    SampleFactory *factory = g_object_new(sample_factory_get_type(), NULL);
    char path[64];

    factory->size = size;
    factory->video = video;
    factory->audio = audio;
    snprintf(path, sizeof(path), "/%s-%s-%s.mp4", size, video, audio);
    gst_rtsp_mount_points_add_factory(mounts, path, &factory->parent);
}

/* --- authentication ------------------------------------------------------------------------ */

typedef GstRTSPAuth SampleAuth;
typedef GstRTSPAuthClass SampleAuthClass;
GType sample_auth_get_type(void);
G_DEFINE_TYPE(SampleAuth, sample_auth, GST_TYPE_RTSP_AUTH)

/* Refuse Basic credentials if we did not offer Basic, as a camera does; the parent class takes both
 * schemes whatever it offered. */
static gboolean sample_auth_authenticate(GstRTSPAuth *auth, GstRTSPContext *ctx)
{
    gchar *header = NULL;

    if (gst_rtsp_message_get_header(ctx->request, GST_RTSP_HDR_AUTHORIZATION, &header, 0) ==
            GST_RTSP_OK &&
        g_ascii_strncasecmp(header, "Basic", 5) == 0 &&
        !(switches_auth_scheme(ctx->uri, options.scheme) & GST_RTSP_AUTH_BASIC))
        return FALSE;
    return GST_RTSP_AUTH_CLASS(sample_auth_parent_class)->authenticate(auth, ctx);
}

static gboolean sample_auth_check(GstRTSPAuth *auth, GstRTSPContext *ctx, const gchar *check)
{
    GstRTSPAuthMethod scheme = switches_auth_scheme(ctx->uri, options.scheme);

    if (scheme == GST_RTSP_AUTH_NONE || !g_str_has_prefix(check, "auth.check.media.factory."))
        return TRUE;
    gst_rtsp_auth_set_supported_methods(auth, scheme);
    return GST_RTSP_AUTH_CLASS(sample_auth_parent_class)->check(auth, ctx, check);
}

static void sample_auth_class_init(SampleAuthClass *klass)
{
    klass->authenticate = sample_auth_authenticate;
    klass->check = sample_auth_check;
}

static void sample_auth_init(SampleAuth *auth)
{
    (void)auth;
}

static GstRTSPAuth *make_auth(void)
{
    GstRTSPAuth *auth = g_object_new(sample_auth_get_type(), NULL);
    GstRTSPToken *token =
        gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, ROLE, NULL);
    char *basic = gst_rtsp_auth_make_basic(options.user, options.password);

    gst_rtsp_auth_add_basic(auth, basic, token);
    gst_rtsp_auth_add_digest(auth, options.user, options.password, token);
    g_free(basic);
    gst_rtsp_token_unref(token);
    return auth;
}

/* --- clients --------------------------------------------------------------------------------- */

static gboolean close_client(gpointer user)
{
    gst_rtsp_client_close(user);
    return G_SOURCE_REMOVE;
}

static const char *session_transport(GstRTSPSessionMedia *media)
{
    for (guint i = 0; i < 2; i++) {
        GstRTSPStreamTransport *stream = gst_rtsp_session_media_get_transport(media, i);

        if (stream)
            return gst_rtsp_stream_transport_get_transport(stream)->lower_transport ==
                           GST_RTSP_LOWER_TRANS_TCP
                       ? "tcp"
                       : "udp";
    }
    return "none";
}

static void on_play(GstRTSPClient *client, GstRTSPContext *ctx, gpointer user)
{
    struct session *session = ctx->media ? media_session(ctx->media) : NULL;
    char more[128];

    (void)user;
    if (!session || session->play_us)
        return;
    session->play_us = g_get_monotonic_time();
    snprintf(more, sizeof(more), ",\"transport\":\"%s\"", session_transport(ctx->sessmedia));
    log_event("start", session->id, session->path, more);
    if (session->switches.close_after_ms > 0)
        g_timeout_add_full(G_PRIORITY_DEFAULT, (guint)session->switches.close_after_ms,
                           close_client, g_object_ref(client), g_object_unref);
}

/* Log every error answer, so that a test can count, say, rejected passwords. */
static void on_send_message(GstRTSPClient *client, GstRTSPContext *ctx, gpointer p, gpointer user)
{
    GstRTSPMessage *message = p;
    GstRTSPStatusCode code;
    char more[64];

    (void)client;
    (void)user;
    if (gst_rtsp_message_get_type(message) != GST_RTSP_MESSAGE_RESPONSE ||
        gst_rtsp_message_parse_response(message, &code, NULL, NULL) != GST_RTSP_OK || code < 400)
        return;
    snprintf(more, sizeof(more), ",\"status\":%d,\"method\":\"%s\"", code,
             ctx ? gst_rtsp_method_as_text(ctx->method) : "");
    log_event("error", 0, ctx && ctx->uri ? ctx->uri->abspath : "", more);
}

/* Set TCP_NODELAY: else the first key frame waits 40 ms for the delayed ACK of PLAY's answer. */
static void on_describe(GstRTSPClient *client, GstRTSPContext *ctx, gpointer user)
{
    GSocket *socket = gst_rtsp_connection_get_write_socket(ctx->conn);

    (void)client;
    (void)user;
    if (socket)
        g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
}

static gboolean unref_client(gpointer user)
{
    g_object_unref(user);
    return G_SOURCE_REMOVE;
}

/*
 * When sending fails, GStreamer 1.22 schedules the client's close without holding a reference
 * (do_send_data() in rtsp-client.c).  The client may be freed by then, so a killed reader would
 * crash the server.  Therefore every client outlives its connection by CLIENT_LINGER_S.
 */
static void on_closed(GstRTSPClient *client, gpointer user)
{
    (void)user;
    log_event("disconnect", 0, "", "");
    g_timeout_add_seconds(CLIENT_LINGER_S, unref_client, client);
}

static void on_client(GstRTSPServer *server, GstRTSPClient *client, gpointer user)
{
    (void)server;
    (void)user;
    g_object_ref(client); /* on_closed() releases it after CLIENT_LINGER_S */
    log_event("connect", 0, "", "");
    g_signal_connect(client, "describe-request", G_CALLBACK(on_describe), NULL);
    g_signal_connect(client, "play-request", G_CALLBACK(on_play), NULL);
    g_signal_connect(client, "send-message", G_CALLBACK(on_send_message), NULL);
    g_signal_connect(client, "closed", G_CALLBACK(on_closed), NULL);
}

/* --- main --------------------------------------------------------------------------------------
 */

static gboolean expire_sessions(gpointer user)
{
    GstRTSPSessionPool *pool = gst_rtsp_server_get_session_pool(user);

    gst_rtsp_session_pool_cleanup(pool);
    g_object_unref(pool);
    return G_SOURCE_CONTINUE;
}

static gboolean quit(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

static GstRTSPServer *make_server(void)
{
    GstRTSPServer *server = gst_rtsp_server_new();
    GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(server);
    GstRTSPThreadPool *threads = gst_rtsp_server_get_thread_pool(server);
    GstRTSPAuth *auth = make_auth();
    char service[16];

    snprintf(service, sizeof(service), "%d", options.port);
    gst_rtsp_server_set_address(server, options.bind);
    gst_rtsp_server_set_service(server, service);
    gst_rtsp_server_set_auth(server, auth);
    gst_rtsp_thread_pool_set_max_threads(threads, 0); /* clients run on the main loop */
    for (size_t s = 0; s < G_N_ELEMENTS(sizes); s++) {
        for (size_t v = 0; v < G_N_ELEMENTS(video_codecs); v++) {
            for (size_t a = 0; a < G_N_ELEMENTS(audio_codecs); a++)
                mount_camera(mounts, sizes[s], video_codecs[v], audio_codecs[a]);
        }
    }
    g_signal_connect(server, "client-connected", G_CALLBACK(on_client), NULL);
    g_timeout_add_seconds(2, expire_sessions, server);
    g_object_unref(auth);
    g_object_unref(threads);
    g_object_unref(mounts);
    return server;
}

static bool parse_options(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"loops", 0, 0, G_OPTION_ARG_FILENAME, &options.loops, "directory of the loop files",
         "DIR"},
        {"bind", 0, 0, G_OPTION_ARG_STRING, &options.bind, "address [127.0.0.1]", "ADDR"},
        {"port", 0, 0, G_OPTION_ARG_INT, &options.port, "0 takes a free one [0]", "N"},
        {"user", 0, 0, G_OPTION_ARG_STRING, &options.user, "[admin]", "NAME"},
        {"password", 0, 0, G_OPTION_ARG_STRING, &options.password, "[secret]", "TEXT"},
        {"auth", 0, 0, G_OPTION_ARG_STRING, &options.auth, "for every URL", "basic|digest|both"},
        {"log", 0, 0, G_OPTION_ARG_FILENAME, &options.log, "events, one JSON object a line",
         "FILE"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    GOptionContext *context = g_option_context_new("- sample RTSP cameras");
    GError *error = NULL;
    bool ok;

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, gst_init_get_option_group());
    ok = g_option_context_parse(context, &argc, &argv, &error);
    g_option_context_free(context);
    if (!ok || !options.loops) {
        fprintf(stderr, "sample-rtsp-server: %s\n", error ? error->message : "--loops is missing");
        g_clear_error(&error);
        return false;
    }
    options.bind = options.bind ? options.bind : g_strdup("127.0.0.1");
    options.user = options.user ? options.user : g_strdup("admin");
    options.password = options.password ? options.password : g_strdup("secret");
    options.scheme = switches_parse_scheme(options.auth);
    event_log = options.log ? fopen(options.log, "ae") : stdout;
    if (!event_log)
        fprintf(stderr, "sample-rtsp-server: cannot write %s\n", options.log);
    return event_log != NULL;
}

int main(int argc, char **argv)
{
    GMainLoop *loop;
    GstRTSPServer *server;

    if (!parse_options(argc, argv))
        return 2;
    epoch_us = g_get_monotonic_time();
    loop = g_main_loop_new(NULL, FALSE);
    server = make_server();
    if (gst_rtsp_server_attach(server, NULL) == 0) {
        fprintf(stderr, "sample-rtsp-server: cannot listen on %s:%d\n", options.bind, options.port);
        return 1;
    }
    g_unix_signal_add(SIGTERM, quit, loop);
    g_unix_signal_add(SIGINT, quit, loop);
    printf("listening %d\n", gst_rtsp_server_get_bound_port(server));
    fflush(stdout);
    g_main_loop_run(loop);
    return 0;
}
