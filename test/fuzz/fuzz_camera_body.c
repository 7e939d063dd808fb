/* Any body of PUT /api/cameras/NAME: what is accepted must survive being written to the file of
 * saved cameras and read again. */
#include "master/camera_body.h"
#include "master/camera_file.h"
#include "master/conf_camera.h"
#include "master/conf_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ipc_access any = {.mode = IPC_ACCESS_ANY};
    struct conf_camera camera;
    struct camera_fault fault = {.error = HTTP_ERROR_NONE};
    if (camera_body_read("x", (const char *)data, size, &any, &camera, &fault) != 0) {
        assert(fault.error != HTTP_ERROR_NONE && fault.message[0] != '\0');
        return 0;
    }
    struct conf saved = {.camera_count = 0}, again = {.camera_count = 0};
    char text[1024];
    size_t len = 0;
    assert(conf_camera_add(&saved, &camera) != NULL);
    char *bytes = camera_file_format(&saved, &len);
    assert(bytes != NULL);
    assert(conf_read_cameras(&again, "f", bytes, len, text, sizeof(text)) == 0);
    assert(again.camera_count == 1);
    again.cameras[0].saved = true;
    assert(memcmp(&again.cameras[0], &camera, sizeof(camera)) == 0);
    free(bytes);
    conf_clear_cameras(&saved);
    conf_clear_cameras(&again);
    return 0;
}
