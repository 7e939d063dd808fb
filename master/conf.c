#include "master/conf.h"

#include "common/version.h"
#include "master/conf_file.h"
#include "master/conf_option.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (16u << 20)

static const struct {
    const char *flag;
    const char *argument;
    const char *key; /* of [server]; NULL: handled by itself */
    const char *help;
} flags[] = {
    {"--config", "FILE", NULL, "read this configuration file"},
    {"--bind", "ADDR", "bind", "address to listen on"},
    {"--flv-port", "N", "flv_port", "port of the streams"},
    {"--snapshot-port", "N", "snapshot_port", "port of snapshots and operations"},
    {"--log-level", "LEVEL", "log_level", "error, warn, info, debug or trace"},
    {"--check-config", NULL, NULL, "print what is configured and exit"},
    {"--version", NULL, NULL, "print the version and exit"},
    {"--help", NULL, NULL, "print this and exit"},
};

#define FLAG_COUNT (sizeof(flags) / sizeof(flags[0]))

void conf_init(struct conf *conf)
{
    char unused[64] = "";
    struct conf_text ignored = {.buf = unused, .size = sizeof(unused)};
    memset(conf, 0, sizeof(*conf));
    for (size_t i = 0; i < conf_option_count; i++) {
        int rc = conf_option_set(conf, &conf_options[i], conf_options[i].initial, &ignored);
        assert(rc == 0);
    }
}

void conf_free(struct conf *conf)
{
    for (size_t i = 0; i < conf->camera_count; i++)
        explicit_bzero(&conf->cameras[i], sizeof(conf->cameras[i])); /* passwords */
    free(conf->cameras);
    conf->cameras = NULL;
    conf->camera_count = 0;
    explicit_bzero(&conf->access, sizeof(conf->access));
}

struct ipc_access conf_access(const struct conf *conf)
{
    struct ipc_access access = {.mode = IPC_ACCESS_LIST};
    if (strcmp(conf->access.cameras, "any") == 0)
        access.mode = IPC_ACCESS_ANY;
    else if (strcmp(conf->access.cameras, "named") == 0)
        access.mode = IPC_ACCESS_NAMED;
    else
        memcpy(access.list, conf->access.cameras, sizeof(access.list));
    return access;
}

const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->camera_count; i++) {
        if (strcmp(conf->cameras[i].name, name) == 0)
            return &conf->cameras[i];
    }
    return NULL;
}

static int load_file(struct conf *conf, const char *path, struct conf_text *text)
{
    int rc = 0;
    size_t len = 0;
    char *bytes = NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        rc = -errno;
        goto out;
    }
    bytes = malloc(FILE_MAX);
    if (bytes == NULL) {
        rc = -ENOMEM;
        goto out;
    }
    len = fread(bytes, 1, FILE_MAX, file);
    if (ferror(file))
        rc = -errno;
    else if (len == FILE_MAX)
        rc = -EFBIG;
    else
        rc = conf_read(conf, path, bytes, len, text->buf, text->size);
    explicit_bzero(bytes, len);
out:
    if (rc != 0 && text->buf[0] == '\0')
        conf_text_put(text, "%s: %s", path, strerror(-rc));
    free(bytes);
    if (file != NULL)
        (void)fclose(file);
    return rc;
}

/* --- environment and flags ---------------------------------------------------------------- */

/* Set an option that the user knows as a variable or flag. */
static int set_named(struct conf *conf, const struct conf_option *option, const char *name,
                     const char *value, struct conf_text *text)
{
    size_t before = text->len;
    conf_text_put(text, "%s: ", name);
    int rc = conf_option_set(conf, option, value, text);
    if (rc == 0) {
        text->len = before;
        text->buf[before] = '\0';
    }
    return rc;
}

static void variable_name(const struct conf_option *option, char *out, size_t size)
{
    bool server = strcmp(option->section, "server") == 0;
    (void)snprintf(out, size, "CAM_HTTPFLV_%s%s%s", server ? "" : option->section,
                   server ? "" : "_", option->key);
    for (char *c = out; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
}

/* Other CAM_HTTPFLV_ variables are left alone: Kubernetes makes some for a service of that name. */
static int load_environment(struct conf *conf, struct conf_text *text)
{
    for (size_t i = 0; i < conf_option_count; i++) {
        char name[64];
        variable_name(&conf_options[i], name, sizeof(name));
        const char *value = getenv(name);
        if (value != NULL && set_named(conf, &conf_options[i], name, value, text) != 0)
            return -EINVAL;
    }
    return 0;
}

/* What the command line asks for; values point into argv. */
struct arguments {
    const char *value[FLAG_COUNT];
    const char *config;
    enum conf_result action;
};

static int parse_arguments(struct arguments *args, int argc, char *const *argv,
                           struct conf_text *text)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        size_t name_len = strcspn(arg, "=");
        size_t f = 0;
        while (f < FLAG_COUNT &&
               (strlen(flags[f].flag) != name_len || strncmp(flags[f].flag, arg, name_len) != 0))
            f++;
        if (f == FLAG_COUNT || (flags[f].argument == NULL && arg[name_len] == '=')) {
            conf_text_put(text, "%s: unknown option;", arg);
            for (f = 0; f < FLAG_COUNT; f++)
                conf_text_put(text, "%s %s", f > 0 ? "," : "", flags[f].flag);
            conf_text_put(text, " are accepted");
            return -EINVAL;
        }
        const char *value = "";
        if (flags[f].argument != NULL) {
            value = arg[name_len] == '=' ? arg + name_len + 1 : argv[i + 1 < argc ? ++i : i];
            if (value == arg) {
                conf_text_put(text, "%s: %s is needed after it", arg, flags[f].argument);
                return -EINVAL;
            }
        }
        args->value[f] = value;
        if (strcmp(flags[f].flag, "--config") == 0)
            args->config = value;
        else if (strcmp(flags[f].flag, "--check-config") == 0 && args->action == CONF_RUN)
            args->action = CONF_CHECKED;
        else if (strcmp(flags[f].flag, "--version") == 0)
            args->action = CONF_VERSION;
        else if (strcmp(flags[f].flag, "--help") == 0)
            args->action = CONF_HELP;
    }
    return 0;
}

static int load_flags(struct conf *conf, const struct arguments *args, struct conf_text *text)
{
    for (size_t f = 0; f < FLAG_COUNT; f++) {
        if (args->value[f] == NULL || flags[f].key == NULL)
            continue;
        const struct conf_option *option = conf_option_find("server", flags[f].key);
        assert(option != NULL);
        if (set_named(conf, option, flags[f].flag, args->value[f], text) != 0)
            return -EINVAL;
    }
    return 0;
}

static void write_help(struct conf_text *text)
{
    const char *section = "";
    conf_text_put(text, "Usage: cam-httpflv [OPTION]...\n"
                        "Serves RTSP and RTMP cameras as HTTP-FLV streams and JPEG snapshots.\n\n");
    for (size_t f = 0; f < FLAG_COUNT; f++) {
        char both[64];
        (void)snprintf(both, sizeof(both), "%s %s", flags[f].flag,
                       flags[f].argument != NULL ? flags[f].argument : "");
        conf_text_put(text, "  %-20s %s\n", both, flags[f].help);
    }
    conf_text_put(
        text, "\nA flag beats the environment, which beats the file.  Keys of the file, with their "
              "defaults:\n");
    for (size_t i = 0; i < conf_option_count; i++) {
        char name[64];
        variable_name(&conf_options[i], name, sizeof(name));
        if (strcmp(section, conf_options[i].section) != 0)
            conf_text_put(text, "\n[%s]\n", conf_options[i].section);
        section = conf_options[i].section;
        conf_text_put(text, "  %s = %s\n      %s\n      environment: %s\n", conf_options[i].key,
                      conf_options[i].initial, conf_options[i].help, name);
    }
    conf_text_put(text, "\n[camera \"NAME\"]\n"
                        "  url = URL\n"
                        "      of the camera, with user name and password; asked for as ?cam=NAME\n"
                        "  type = rtsp-tcp, rtsp-udp or rtmp\n"
                        "      transport; by default that of the URL\n"
                        "  always_on = no\n"
                        "      yes: stay connected without viewers\n");
}

static void write_configuration(struct conf_text *text, const struct conf *conf)
{
    const char *section = "";
    for (size_t i = 0; i < conf_option_count; i++) {
        if (strcmp(section, conf_options[i].section) != 0)
            conf_text_put(text, "[%s]\n", conf_options[i].section);
        section = conf_options[i].section;
        conf_text_put(text, "%s = ", conf_options[i].key);
        conf_option_write(conf, &conf_options[i], text);
        conf_text_put(text, "\n");
    }
    conf_text_put(text, "; named cameras: %zu\n", conf->camera_count);
}

int conf_load(struct conf *conf, int argc, char *const *argv, char *text, size_t textlen)
{
    struct arguments args = {.action = CONF_RUN};
    struct conf_text out = {.buf = text, .size = textlen};
    text[0] = '\0';
    conf_init(conf);

    int rc = parse_arguments(&args, argc, argv, &out);
    if (rc == 0 && args.action != CONF_HELP && args.action != CONF_VERSION) {
        if (args.config != NULL)
            rc = load_file(conf, args.config, &out);
        if (rc == 0)
            rc = load_environment(conf, &out);
        if (rc == 0)
            rc = load_flags(conf, &args, &out);
    }
    if (rc != 0) {
        conf_free(conf);
        return rc;
    }
    if (args.action == CONF_HELP)
        write_help(&out);
    else if (args.action == CONF_VERSION)
        conf_text_put(&out, "cam-httpflv %s", CAM_HTTPFLV_VERSION);
    else if (args.action == CONF_CHECKED)
        write_configuration(&out, conf);
    if (out.len > 0 && text[out.len - 1] == '\n')
        text[out.len - 1] = '\0';
    return (int)args.action;
}
