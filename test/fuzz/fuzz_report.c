/* Any reports of a worker, one after the other: what the API says of its camera stays in range, and
 * no counter goes back. */
#include "common/clock.h"
#include "common/ipc.h"
#include "master/api.h"
#include "master/stats_clamp.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NOW_US INT64_C(1700000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_range(const json_t *object, const char *name, json_int_t most)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    assert(value >= 0 && value <= most);
}

static void look(const struct camera *cam)
{
    static const struct conf conf;
    char *text = api_stream(&conf, cam);
    assert(text != NULL);
    json_t *object = json_loads(text, 0, NULL);
    assert(object != NULL);
    assert_range(object, "width", 65535);
    assert_range(object, "height", 65535);
    assert_range(object, "viewers", 3);
    assert_range(object, "bit_rate", INT64_MAX);
    assert_range(object, "restarts", UINT32_MAX);
    assert(json_real_value(json_object_get(object, "frame_rate")) <= 1000);
    json_decref(object);
    free(text);
}

/* As camera_table.c, which gives a worker three viewers here. */
static void report(struct camera *cam, const struct ipc_stats *stats, int64_t elapsed_ms)
{
    struct ipc_stats said = *stats;
    stats_clamp(&said, &cam->stats, elapsed_ms);
    assert(said.bytes_in >= cam->stats.bytes_in && said.frames_in >= cam->stats.frames_in);
    assert(said.clients_refused >= cam->stats.clients_refused);
    if (elapsed_ms > 0)
        cam->bit_rate_bps = (said.bytes_in - cam->stats.bytes_in) * 8000 / (uint64_t)elapsed_ms;
    cam->stats = said;
    camera_health_on_picture(&cam->health, said.picture_us, NOW_US);
    assert(cam->health.last_frame_us >= 0 && cam->health.last_frame_us <= NOW_US);
    if (cam->stats.viewers > 3)
        cam->stats.viewers = 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct worker *const some = (struct worker *)(uintptr_t)1; /* only compared with NULL */
    struct camera cam = {.id = "door", .shown = "rtsp://***@10.0.0.9/s", .worker = some};
    struct {
        uint16_t elapsed_ms;
        struct ipc_state state;
        struct ipc_stats stats;
    } in;
    memset(&in, 0, sizeof(in));
    while (size > 0) {
        size_t used = size < sizeof(in) ? size : sizeof(in);
        memcpy(&in, data, used);
        data += used;
        size -= used;
        if (in.state.state >= IPC_CAMERA_STATE_COUNT || in.state.error >= HTTP_ERROR_COUNT)
            continue; /* worker_link.c kills it */
        cam.state = in.state;
        camera_health_on_state(&cam.health, &in.state, NOW_US);
        report(&cam, &in.stats, in.elapsed_ms);
        look(&cam);
    }
    return 0;
}
