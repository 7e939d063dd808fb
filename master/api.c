#include "master/api.h"

#include "common/clock.h"
#include "common/codec_name.h"
#include "common/url.h"
#include "common/url_redact.h"

#include <jansson.h>
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

/* RFC 3339, from a time of clock_ms(). */
static json_t *time_json(int64_t at_ms)
{
    char text[32];
    struct tm tm;
    time_t at = time(NULL) - (time_t)((clock_ms() - at_ms) / 1000);

    if (gmtime_r(&at, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(text);
}

static json_t *next_try_json(const struct camera *cam)
{
    int64_t wait_ms = camera_quarantine_ms(cam);
    return cam->worker == NULL && wait_ms > 0 ? time_json(clock_ms() + wait_ms + 999) : json_null();
}

/* What keeps the viewers who asked by name with the name's former camera. */
static json_t *moving_json(const struct camera *cam)
{
    if (!cam->moves)
        return json_null();
    return json_string(cam->move_error == HTTP_ERROR_NONE ? "waiting"
                                                          : http_error_code(cam->move_error));
}

static json_t *stream_json(const struct camera *cam)
{
    const struct ipc_stats *s = &cam->stats;
    enum ipc_camera_state state = camera_state(cam);
    enum http_error error = (enum http_error)cam->state.error;
    bool streaming = state == IPC_CAMERA_STREAMING;

    if (error == HTTP_ERROR_NONE && clock_ms() < cam->refused_until_ms)
        error = HTTP_ERROR_CAMERA_UNAUTHORIZED;
    return json_pack(
        "{s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:f, s:I, s:i, s:o, "
        "s:i, s:o, s:o}", /**/
        "id", cam->id, "name", cam->named ? json_string(cam->id) : json_null(), "camera_url",
        cam->shown, "cam_type", url_transport_name(cam->transport), "state",
        ipc_camera_state_name(state), "since", time_json(cam->state_since_ms), "video_codec",
        codec_json(s->video_codec), "audio_codec", codec_json(s->audio_codec), "no_audio",
        no_audio_json(s->no_audio), "width", (int)s->width, "height", (int)s->height, "frame_rate",
        s->frame_rate_mhz / 1000.0, "bit_rate", (json_int_t)(streaming ? cam->bit_rate_bps : 0),
        "viewers", (int)s->viewers, "last_error",
        error == HTTP_ERROR_NONE ? json_null() : json_string(http_error_code(error)), "restarts",
        (int)cam->state.restarts, "next_try", next_try_json(cam), "moving", moving_json(cam));
}

/* @param json  Moved; NULL: out of memory. */
static char *text_of(json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* {"name":[…]} as text; the list is Moved. */
static char *wrap(const char *name, json_t *list)
{
    return text_of(list == NULL ? NULL : json_pack("{s:o}", name, list));
}

static json_t *title_json(const char *title)
{
    return title[0] == '\0' ? json_null() : json_string(title);
}

static json_t *camera_json(const struct conf_camera *camera)
{
    char shown[IPC_URL_MAX];
    (void)url_redact(&camera->url, shown);
    return json_pack("{s:s, s:o, s:s, s:s, s:b, s:b}", "name", camera->name, "title",
                     title_json(camera->title), "camera_url", shown, "cam_type",
                     url_transport_name(camera->transport), "always_on", camera->always_on, "saved",
                     camera->saved);
}

char *api_cameras(const struct conf *conf)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < conf->camera_count; i++)
        (void)json_array_append_new(list, camera_json(&conf->cameras[i]));
    return text_of(list == NULL
                       ? NULL
                       : json_pack("{s:o, s:b}", "cameras", list, "manage", conf->access.manage));
}

char *api_camera(const struct conf_camera *camera)
{
    return text_of(camera_json(camera));
}

char *api_streams(const struct camera_list *cameras)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < cameras->count; i++)
        (void)json_array_append_new(list, stream_json(cameras->items[i]));
    return wrap("streams", list);
}

char *api_streams_of(const char *label, const char *title, const struct camera *cam)
{
    json_t *list = json_array();

    if (list != NULL && cam != NULL)
        (void)json_array_append_new(list, stream_json(cam));
    return text_of(list == NULL ? NULL
                                : json_pack("{s:s, s:o, s:o}", "camera", label, "title",
                                            title_json(title), "streams", list));
}

char *api_stream(const struct camera *cam)
{
    return text_of(stream_json(cam));
}

char *api_signature(const char *label, int64_t expires_s, const char *signature)
{
    if (signature == NULL)
        return text_of(json_pack("{s:s, s:n, s:n}", "camera", label, "expires", "signature"));
    return text_of(json_pack("{s:s, s:I, s:s}", "camera", label, "expires", (json_int_t)expires_s,
                             "signature", signature));
}
