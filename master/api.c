#include "master/api.h"

#include "common/clock.h"
#include "common/codec_name.h"
#include "common/url.h"
#include "common/url_redact.h"
#include "master/camera_table.h"
#include "master/conf_camera.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A codec's name; its FourCC if the table has no name; null without a codec. */
static json_t *codec_json(uint32_t fourcc)
{
    char text[5] = {(char)(fourcc >> 24), (char)(fourcc >> 16), (char)(fourcc >> 8), (char)fourcc};

    if (fourcc == 0)
        return json_null();
    if (codec_name(fourcc) != NULL)
        return json_string(codec_name(fourcc));
    for (size_t i = 3; i > 0 && text[i] == ' '; i--)
        text[i] = '\0';
    json_t *name = json_string(text);
    return name != NULL ? name : json_null(); /* not UTF-8 */
}

/* Why there is no sound; null while there is, or nothing is known. */
static json_t *no_audio_json(uint32_t why)
{
    static const char *const words[] = {
#define X(U, word) word,
        IPC_NO_AUDIO_REASONS(X)
#undef X
    };
    return why == IPC_NO_AUDIO_NONE || why >= IPC_NO_AUDIO_COUNT ? json_null()
                                                                 : json_string(words[why]);
}

/* RFC 3339, of a moment of clock_us(); null for 0. */
static json_t *time_json(int64_t at_us)
{
    char text[32];
    struct tm tm;
    time_t at = (time_t)(clock_unix_of_us(at_us) / 1000000);

    if (at_us == 0 || gmtime_r(&at, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(text);
}

/* How long the camera is not asked again: it rejected the password, or its workers die. */
static int64_t pause_ms(const struct camera *cam)
{
    if (cam->worker == NULL && camera_quarantine_ms(cam) > 0)
        return camera_quarantine_ms(cam);
    return cam->health.reason == HTTP_ERROR_CAMERA_UNAUTHORIZED ? camera_table_refusal_ms(cam) : 0;
}

static json_t *next_try_json(const struct camera *cam)
{
    int64_t wait_ms = pause_ms(cam);
    return wait_ms > 0 ? time_json(clock_us() + (wait_ms + 999) * 1000) : json_null();
}

static json_t *error_json(enum http_error error)
{
    return error == HTTP_ERROR_NONE ? json_null() : json_string(http_error_code(error));
}

static json_t *text_json(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

/* What keeps the viewers who asked by name with the name's former camera. */
static json_t *moving_json(const struct camera *cam)
{
    if (!cam->moves)
        return json_null();
    return json_string(cam->move_error == HTTP_ERROR_NONE ? "waiting"
                                                          : http_error_code(cam->move_error));
}

struct member {
    const char *name;
    json_t *value; /* Moved; NULL: out of memory, or a string that is not UTF-8 */
};

/* @return NULL if a value is NULL, or out of memory. */
static json_t *object_of(const struct member *members, size_t count)
{
    json_t *object = json_object();
    bool whole = object != NULL;

    for (size_t i = 0; i < count; i++)
        whole &= json_object_set_new(object, members[i].name, members[i].value) == 0;
    if (whole)
        return object;
    json_decref(object);
    return NULL;
}

#define OBJECT_OF(members) object_of(members, sizeof(members) / sizeof((members)[0]))

/* How a camera is. */
static json_t *state_json(const struct camera *cam)
{
    const struct camera_health *h = &cam->health;
    const struct camera *serving = camera_serving(cam);
    const struct member members[] = {
        {"state", json_string(ipc_camera_state_name(camera_state(serving)))},
        {"since", time_json(serving->state_since_us)},
        {"reason", error_json(h->reason)},
        {"down_since", time_json(h->down_since_us)},
        {"last_frame_at", time_json(h->last_frame_us)},
        {"viewers", json_integer(camera_stats(cam).viewers)},
    };
    return OBJECT_OF(members);
}

/* One object of two. @param part  likewise Moved. */
static json_t *with(json_t *part, json_t *object)
{
    if (object == NULL || part == NULL || json_object_update(object, part) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(part);
    return object;
}

/* What all lists say of a camera. @param c  NULL: it has no name. */
static json_t *health_json(const struct conf_camera *c, const struct camera *cam)
{
    const struct member members[] = {
        {"title", text_json(c != NULL ? c->title : "")},
        {"group", text_json(c != NULL ? c->group : "")},
    };
    return with(state_json(cam), OBJECT_OF(members));
}

/* The name of the camera whose sub-stream this is, or null. */
static json_t *sub_of_json(const struct conf *conf, const struct conf_camera *c)
{
    const struct conf_camera *whole = c != NULL ? conf_camera_main(conf, c) : NULL;
    return whole != NULL ? json_string(whole->name) : json_null();
}

/* Why the last attempt failed; a password that may not be sent again counts as rejected. */
static enum http_error last_error(const struct camera *cam)
{
    bool refused = clock_ms() < cam->refused_until_ms ||
                   (cam->worker == NULL && camera_state(cam) == IPC_CAMERA_IDLE);

    if (cam->state.error == HTTP_ERROR_NONE && refused)
        return HTTP_ERROR_CAMERA_UNAUTHORIZED;
    return (enum http_error)cam->state.error;
}

static json_t *stream_json(const struct conf *conf, const struct camera *cam)
{
    const struct camera *serving = camera_serving(cam);
    const struct ipc_stats *s = &serving->stats;
    const struct conf_camera *c = cam->named ? conf_find_camera(conf, cam->id) : NULL;
    bool streaming = camera_state(serving) == IPC_CAMERA_STREAMING;
    const struct member members[] = {
        {"id", json_string(cam->id)},
        {"name", cam->named ? json_string(cam->id) : json_null()},
        {"sub_of", sub_of_json(conf, c)},
        {"camera_url", json_string(cam->shown)},
        {"cam_type", json_string(url_transport_name(cam->transport))},
        {"video_codec", codec_json(s->video_codec)},
        {"audio_codec", codec_json(s->audio_codec)},
        {"no_audio", no_audio_json(s->no_audio)},
        {"width", json_integer(s->width)},
        {"height", json_integer(s->height)},
        {"frame_rate", json_real(s->frame_rate_mhz / 1000.0)},
        {"bit_rate", json_integer(streaming ? (json_int_t)serving->bit_rate_bps : 0)},
        {"last_error", error_json(last_error(cam))},
        {"restarts", json_integer(cam->state.restarts)},
        {"next_try", next_try_json(cam)},
        {"moving", moving_json(serving)},
    };
    return with(health_json(c, cam), OBJECT_OF(members));
}

/* A configured camera that the server does not remember: nobody has asked for it. */
static struct camera unwatched(const struct conf_camera *c)
{
    struct camera cam = {.transport = c->transport, .named = true};
    (void)snprintf(cam.id, sizeof(cam.id), "%s", c->name);
    (void)url_redact(&c->url, cam.shown);
    return cam;
}

static json_t *unwatched_json(const struct conf *conf, const struct conf_camera *c)
{
    const struct camera cam = unwatched(c);
    return stream_json(conf, &cam);
}

/* @param json  Moved; NULL: out of memory. */
static char *text_of(json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* A camera's sub-stream; null without one. */
static json_t *sub_json(const struct conf *conf, const struct camera_set *set,
                        const struct conf_camera *c)
{
    const struct conf_camera *sub = conf_camera_sub(conf, c);
    if (sub == NULL)
        return json_null();
    const struct camera nobody = unwatched(sub);
    const struct camera *known = camera_set_find(set, sub->key, sub->transport);
    const struct member members[] = {
        {"camera_url", json_string(nobody.shown)},
        {"cam_type", json_string(url_transport_name(sub->transport))},
    };
    return with(state_json(known != NULL ? known : &nobody), OBJECT_OF(members));
}

static json_t *camera_json(const struct conf *conf, const struct camera_set *set,
                           const struct conf_camera *c)
{
    const struct camera nobody = unwatched(c);
    const struct camera *known = camera_set_find(set, c->key, c->transport);
    const struct member members[] = {
        {"name", json_string(c->name)},
        {"camera_url", json_string(nobody.shown)},
        {"cam_type", json_string(url_transport_name(c->transport))},
        {"always_on", json_boolean(c->always_on)},
        {"saved", json_boolean(c->saved)},
        {"sub", sub_json(conf, set, c)},
    };
    return with(health_json(c, known != NULL ? known : &nobody), OBJECT_OF(members));
}

char *api_cameras(const struct conf *conf, const struct camera_set *set)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < conf->camera_count; i++)
        (void)json_array_append_new(list, camera_json(conf, set, &conf->cameras[i]));
    const struct member members[] = {
        {"cameras", list},
        {"manage", json_boolean(conf->access.manage)},
    };
    return text_of(OBJECT_OF(members));
}

char *api_camera(const struct conf *conf, const struct camera_set *set,
                 const struct conf_camera *camera)
{
    return text_of(camera_json(conf, set, camera));
}

char *api_streams(const struct conf *conf, const struct camera_set *set)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < set->count; i++)
        (void)json_array_append_new(list, stream_json(conf, set->list[i]));
    for (size_t i = 0; list != NULL && i < conf->camera_count; i++) {
        if (camera_set_lacks(set, &conf->cameras[i]))
            (void)json_array_append_new(list, unwatched_json(conf, &conf->cameras[i]));
    }
    const struct member members[] = {
        {"time", time_json(clock_us())},
        {"streams", list},
    };
    return text_of(OBJECT_OF(members));
}

char *api_streams_of(const struct conf *conf, const char *label, const struct conf_camera *c,
                     const struct camera *cam)
{
    json_t *list = json_array();

    if (list != NULL && cam != NULL)
        (void)json_array_append_new(list, stream_json(conf, cam));
    else if (list != NULL && c != NULL)
        (void)json_array_append_new(list, unwatched_json(conf, c));
    const struct member members[] = {
        {"camera", json_string(label)},
        {"title", text_json(c != NULL ? c->title : "")},
        {"time", time_json(clock_us())},
        {"streams", list},
    };
    return text_of(OBJECT_OF(members));
}

char *api_stream(const struct conf *conf, const struct camera *cam)
{
    return text_of(stream_json(conf, cam));
}

char *api_stream_unwatched(const struct conf *conf, const struct conf_camera *c)
{
    return text_of(unwatched_json(conf, c));
}

char *api_signature(const char *label, int64_t expires_s, const char *signature)
{
    bool made = signature != NULL;
    const struct member members[] = {
        {"camera", json_string(label)},
        {"expires", made ? json_integer(expires_s) : json_null()},
        {"signature", made ? json_string(signature) : json_null()},
    };
    return text_of(OBJECT_OF(members));
}
