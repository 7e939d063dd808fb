#include "master/conf_load.h"

#include "common/version.h"
#include "master/camera_file.h"
#include "master/conf_camera.h"
#include "master/conf_file.h"
#include "master/conf_option.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (16u << 20)

/* @return the file's bytes, which may hold passwords; NULL and a negative errno in *error. */
static char *read_file(FILE *file, size_t *len, int *error)
{
    char *bytes = malloc(FILE_MAX);
    *error = -ENOMEM;
    if (bytes == NULL)
        return NULL;
    *len = fread(bytes, 1, FILE_MAX, file);
    if (!ferror(file) && *len < FILE_MAX)
        return bytes;
    *error = ferror(file) ? -errno : -EFBIG;
    explicit_bzero(bytes, *len);
    free(bytes);
    return NULL;
}

static int load_file(struct conf *conf, const char *path, struct conf_text *text)
{
    int rc = 0;
    size_t len = 0;
    struct stat status = {0};
    FILE *file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &status) == -1)
        rc = -errno;
    char *bytes = rc == 0 ? read_file(file, &len, &rc) : NULL;
    if (bytes != NULL) {
        rc = conf_read(conf, path, bytes, len, text->buf, text->size);
        conf->file.path = path;
        conf->file.mode = status.st_mode & 07777;
        conf->file.secrets = conf_has_secrets(conf);
        explicit_bzero(bytes, len);
        free(bytes);
    }
    if (rc != 0 && text->buf[0] == '\0')
        conf_text_put(text, "%s: %s", path, strerror(-rc));
    if (file != NULL)
        (void)fclose(file);
    return rc;
}

/* --- environment --------------------------------------------------------- */

/* Set an option; errors call it by the variable or flag that the user knows. */
static int set_named(struct conf *conf, const struct conf_option *option, const char *name,
                     const char *value, struct conf_text *text)
{
    size_t before = text->len;
    conf_text_put(text, "%s: ", name);
    int rc = conf_option_set(conf, option, value, text);
    if (rc == 0)
        conf_text_cut(text, before);
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

/* Ignores other CAM_HTTPFLV_ variables: Kubernetes sets some for a service of that name. */
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

/* --- flags ---------------------------------------------------------------- */

#define FLAG_CONFIG 0 /* the index of --config */
#define FLAG_CHECK_UPGRADE 6

static const struct {
    const char *flag;
    const char *argument;    /* NULL: takes none */
    const char *key;         /* the [server] option that it sets and whose help it shows; or NULL */
    enum conf_result result; /* what the flag requests */
    const char *help;
} flags[] = {
    {"--config", "FILE", NULL, CONF_RUN, "read this configuration file"},
    {"--bind", "ADDR", "bind", CONF_RUN, NULL},
    {"--flv-port", "N", "flv_port", CONF_RUN, NULL},
    {"--snapshot-port", "N", "snapshot_port", CONF_RUN, NULL},
    {"--log-level", "LEVEL", "log_level", CONF_RUN, NULL},
    {"--check-config", NULL, NULL, CONF_CHECKED, "print the configuration in force and exit"},
    {"--check-upgrade", "VERSION", NULL, CONF_UPGRADE,
     "for SIGUSR2: can this program take over from a running one?"},
    {"--version", NULL, NULL, CONF_VERSION, "print the version and exit"},
    {"--help", NULL, NULL, CONF_HELP, "print this and exit"},
};

#define FLAG_COUNT (sizeof(flags) / sizeof(flags[0]))

/* What the command line asks for. */
struct arguments {
    const char *value[FLAG_COUNT]; /* each flag's value; NULL: not given.  Borrowed from argv. */
    enum conf_result result;
};

/* @return the index of the flag that equals the first len bytes of arg, or FLAG_COUNT. */
static size_t find_flag(const char *arg, size_t len)
{
    size_t f = 0;
    while (f < FLAG_COUNT &&
           (strlen(flags[f].flag) != len || strncmp(flags[f].flag, arg, len) != 0))
        f++;
    return f;
}

static int refuse_flag(const char *arg, struct conf_text *text)
{
    conf_text_put(text, "%s: unknown option;", arg);
    for (size_t f = 0; f < FLAG_COUNT; f++)
        conf_text_put(text, "%s %s", f > 0 ? "," : "", flags[f].flag);
    conf_text_put(text, " are accepted");
    return -EINVAL;
}

static int parse_arguments(struct arguments *args, int argc, char *const *argv,
                           struct conf_text *text)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        size_t name_len = strcspn(arg, "=");
        bool has_value = arg[name_len] == '=';
        size_t f = find_flag(arg, name_len);
        if (f == FLAG_COUNT || (flags[f].argument == NULL && has_value))
            return refuse_flag(arg, text);
        if (flags[f].argument == NULL) {
            args->value[f] = "";
        } else if (has_value) {
            args->value[f] = arg + name_len + 1;
        } else if (i + 1 < argc) {
            args->value[f] = argv[++i];
        } else {
            conf_text_put(text, "%s: %s is missing", arg, flags[f].argument);
            return -EINVAL;
        }
        if (flags[f].result > args->result)
            args->result = flags[f].result;
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

/* --- saved cameras -------------------------------------------------------- */

static int load_saved(struct conf *conf, struct conf_text *text)
{
    struct conf saved;
    if (!conf->access.manage)
        return 0;
    if (conf->access.token[0] == '\0') {
        conf_text_put(text, "[access] manage = yes: [access] token is needed with it");
        return -EINVAL;
    }
    int rc = camera_file_read(conf->access.manage_file, &saved, text);
    if (rc == 0 && conf_camera_set_saved(conf, &saved) != 0) {
        conf_text_put(text, "%s: out of memory", conf->access.manage_file);
        rc = -ENOMEM;
    }
    conf_clear_cameras(&saved);
    return rc;
}

/* --- texts ---------------------------------------------------------------- */

static void write_flags(struct conf_text *text)
{
    for (size_t f = 0; f < FLAG_COUNT; f++) {
        const char *argument = flags[f].argument != NULL ? flags[f].argument : "";
        const char *help = flags[f].help;
        if (flags[f].key != NULL)
            help = conf_option_find("server", flags[f].key)->help;
        int width = 19 - (int)strlen(flags[f].flag);
        conf_text_put(text, "  %s %-*s %s\n", flags[f].flag, width, argument, help);
    }
}

/* Write a heading if the option begins a new section.  @return its section. */
static const char *write_section(struct conf_text *text, const char *last,
                                 const struct conf_option *option, const char *before)
{
    if (strcmp(last, option->section) != 0)
        conf_text_put(text, "%s[%s]\n", before, option->section);
    return option->section;
}

static void write_options(struct conf_text *text)
{
    const char *section = "";
    for (size_t i = 0; i < conf_option_count; i++) {
        const struct conf_option *option = &conf_options[i];
        char name[64];
        variable_name(option, name, sizeof(name));
        section = write_section(text, section, option, "\n");
        conf_text_put(text, "  %s = %s\n      %s\n      ", option->key, option->initial,
                      option->help);
        conf_option_put_accepted(option, text);
        conf_text_put(text, "\n      environment: %s\n", name);
    }
}

static void write_help(struct conf_text *text)
{
    conf_text_put(text, "Usage: cam-httpflv [OPTION]...\n"
                        "Serves RTSP and RTMP cameras as HTTP-FLV streams and JPEG snapshots.\n\n");
    write_flags(text);
    conf_text_put(text, "\nA flag overrides the environment, which overrides the file.\n"
                        "Keys of the file, with their defaults:\n");
    write_options(text);
    conf_text_put(text, "\n[camera \"NAME\"]\n");
#define X(key, value, help) "  " #key " = " value "\n      " help "\n"
    conf_text_put(text, "%s", CONF_CAMERA_KEYS(X));
#undef X
}

static void write_configuration(struct conf_text *text, const struct conf *conf)
{
    const char *section = "";
    for (size_t i = 0; i < conf_option_count; i++) {
        section = write_section(text, section, &conf_options[i], "");
        conf_text_put(text, "%s = ", conf_options[i].key);
        conf_option_write(conf, &conf_options[i], text);
        conf_text_put(text, "\n");
    }
    conf_text_put(text, "; named cameras: %zu\n", conf->camera_count);
}

/* --- all of it ------------------------------------------------------------ */

int conf_load(struct conf *conf, int argc, char *const *argv, char *text, size_t textlen)
{
    struct arguments args = {.result = CONF_RUN};
    struct conf_text out = {.buf = text, .size = textlen};
    text[0] = '\0';
    conf_option_set_defaults(conf);

    int rc = parse_arguments(&args, argc, argv, &out);
    if (rc == 0 && args.result <= CONF_UPGRADE) {
        if (args.value[FLAG_CONFIG] != NULL)
            rc = load_file(conf, args.value[FLAG_CONFIG], &out);
        if (rc == 0)
            rc = load_environment(conf, &out);
        if (rc == 0)
            rc = load_flags(conf, &args, &out);
        if (rc == 0)
            rc = load_saved(conf, &out);
    }
    if (rc != 0) {
        conf_free(conf);
        return rc;
    }
    if (args.result == CONF_HELP)
        write_help(&out);
    else if (args.result == CONF_UPGRADE)
        conf_text_put(&out, "%s", args.value[FLAG_CHECK_UPGRADE]);
    else if (args.result == CONF_VERSION)
        conf_text_put(&out, "cam-httpflv %s", CAM_HTTPFLV_VERSION);
    else if (args.result == CONF_CHECKED)
        write_configuration(&out, conf);
    if (out.len > 0 && text[out.len - 1] == '\n')
        conf_text_cut(&out, out.len - 1);
    return (int)args.result;
}

int conf_load_again(struct conf *conf, const char *path, int argc, char *const *argv, char *text,
                    size_t textlen)
{
    struct stat status;
    if (path == NULL || stat(path, &status) == -1 || S_ISREG(status.st_mode))
        return conf_load(conf, argc, argv, text, textlen);
    *conf = (struct conf){0};
    (void)snprintf(text, textlen, "%s: only a regular file can be read again", path);
    return -EINVAL;
}
