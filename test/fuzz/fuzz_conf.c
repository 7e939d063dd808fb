/* Any text as a configuration file: accepted or refused with a reason that names the line. */
#include "master/conf_file.h"
#include "master/conf_load.h"
#include "master/conf_option.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf conf;
    char text[CONF_TEXT_MAX];

    conf_option_set_defaults(&conf);
    int rc = conf_read(&conf, "f", (const char *)data, size, text, sizeof(text));
    if (rc != 0) {
        assert(strncmp(text, "f:", 2) == 0);
    } else {
        assert(text[0] == '\0');
        assert(conf.server.flv_port <= 65535);
        for (size_t i = 0; i < conf.camera_count; i++) {
            assert(conf.cameras[i].url.host[0] != '\0');
            assert(conf_find_camera(&conf, conf.cameras[i].name) == &conf.cameras[i]);
        }
    }
    conf_free(&conf);
    return 0;
}
