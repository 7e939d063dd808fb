#include "master/conf_file.h"

#include "common/url_trim.h"
#include "master/conf_camera.h"
#include "master/conf_option.h"
#include "master/conf_text.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES (IPC_URL_MAX + 256)
#define SECTION_MAX 128
#define ACCEPTED_MAX 1024

/*
 * inih splits the lines.  It reports neither line numbers nor sections without keys, and cuts
 * section names at 49 bytes, so this reader keeps track of lines and sections itself.
 */
struct reader {
    struct conf *conf;
    const char *name; /* the file's */
    const char *next; /* unread text */
    size_t left;
    unsigned line;
    char section[SECTION_MAX]; /* "server", or `camera "name"` */
    bool cameras_alone;        /* other sections are refused */
    bool in_camera;            /* the last of conf->cameras is being read */
    bool has_url;
    unsigned section_line;
    unsigned type_line;
    char type[16];
    unsigned sub_line; /* 0: there is none */
    unsigned sub_type_line;
    char sub_type[16];
    struct camera_url sub;
    int error;
    struct conf_text text;
};

static int fail(struct reader *r, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct reader *r, unsigned line, const char *fmt, ...)
{
    va_list args;
    conf_text_put(&r->text, "%s:%u: ", r->name, line);
    va_start(args, fmt);
    conf_text_put_va(&r->text, fmt, args);
    va_end(args);
    r->error = -EINVAL;
    return r->error;
}

static struct conf_camera *last_camera(struct reader *r)
{
    return &r->conf->cameras[r->conf->camera_count - 1];
}

static int finish_sub(struct reader *r, struct conf_camera *camera)
{
    if (r->sub_line == 0 && r->sub_type[0] != '\0')
        return fail(r, r->sub_type_line, "[%s] sub_type: sub = URL is needed with it", r->section);
    if (r->sub_line == 0)
        return 0;
    if (strlen(camera->name) > (size_t)CONF_SUB_NAME_MAX)
        return fail(r, r->sub_line, "[%s] sub: names of up to %d characters can have one",
                    r->section, CONF_SUB_NAME_MAX);
    camera->sub_transport = url_default_transport(r->sub.scheme);
    if (r->sub_type[0] != '\0' &&
        url_transport_parse(r->sub_type, r->sub.scheme, &camera->sub_transport) != 0)
        return fail(r, r->sub_type_line, "[%s] sub_type: " URL_TRANSPORTS_ACCEPTED, r->section);
    (void)url_format(&r->sub, camera->sub_key);
    r->sub = (struct camera_url){0}; /* read_all() wipes it */
    return 0;
}

/* Check what only a complete [camera "name"] section can show. */
static int finish_camera(struct reader *r)
{
    if (!r->in_camera)
        return 0;
    r->in_camera = false;
    struct conf_camera *camera = last_camera(r);
    if (!r->has_url)
        return fail(r, r->section_line, "[%s] url is missing", r->section);
    camera->transport = url_default_transport(camera->url.scheme);
    if (r->type[0] != '\0' &&
        url_transport_parse(r->type, camera->url.scheme, &camera->transport) != 0)
        return fail(r, r->type_line, "[%s] type: " URL_TRANSPORTS_ACCEPTED, r->section);
    return finish_sub(r, camera);
}

static int begin_camera(struct reader *r, const char *name)
{
    struct conf *conf = r->conf;
    struct conf_camera camera = {.name = ""};
    if (!conf_camera_name_ok(name))
        return fail(r, r->line, "[%s] name: " CONF_CAMERA_NAME_ACCEPTED, r->section);
    if (conf_find_camera(conf, name) != NULL)
        return fail(r, r->line, "[%s] appears twice", r->section);
    if (conf->camera_count == CONF_CAMERAS_MAX)
        return fail(r, r->line, "up to %d cameras are accepted", CONF_CAMERAS_MAX);
    memcpy(camera.name, name, strlen(name));
    if (conf_camera_add(conf, &camera) == NULL)
        return fail(r, r->line, "out of memory");
    r->in_camera = true;
    r->has_url = false;
    r->type[0] = r->sub_type[0] = '\0';
    r->sub_line = 0;
    r->section_line = r->line;
    return 0;
}

/* Read a line that begins with `[`. */
static int begin_section(struct reader *r, const char *line)
{
    const char *end = strchr(line, ']');
    int rc = finish_camera(r);
    if (rc != 0)
        return rc;
    size_t len = end != NULL ? (size_t)(end - line) - 1 : 0;
    const char *after = end != NULL ? end + 1 + strspn(end + 1, " \t\r\n") : "";
    if (end == NULL || len >= sizeof(r->section) ||
        (*after != '\0' && *after != ';' && *after != '#'))
        return fail(r, r->line, "[section], alone on its line, is accepted");
    memcpy(r->section, line + 1, len);
    r->section[len] = '\0';

    if (!r->cameras_alone && conf_section_known(r->section))
        return 0;
    static const char camera[] = "camera \"";
    if (strncmp(r->section, camera, sizeof(camera) - 1) == 0 && r->section[len - 1] == '"' &&
        len > sizeof(camera) - 1) {
        char name[SECTION_MAX];
        memcpy(name, r->section + sizeof(camera) - 1, len - sizeof(camera));
        name[len - sizeof(camera)] = '\0';
        return begin_camera(r, name);
    }
    char text[ACCEPTED_MAX] = "";
    struct conf_text accepted = {.buf = text, .size = sizeof(text)};
    if (r->cameras_alone)
        return fail(r, r->line, "[%s]: [camera \"name\"] is accepted in this file", r->section);
    conf_section_put_all(&accepted);
    return fail(r, r->line, "[%s]: %s and [camera \"name\"] are accepted", r->section, text);
}

/* ini_reader: the next line, at most size - 1 bytes of it. */
static char *read_line(char *out, int size, void *opaque)
{
    struct reader *r = opaque;
    if (r->left == 0 || r->error != 0)
        return NULL;
    const char *newline = memchr(r->next, '\n', r->left);
    size_t len = newline != NULL ? (size_t)(newline - r->next) : r->left;
    size_t used = newline != NULL ? len + 1 : len;
    r->line++;
    if (len >= (size_t)size) {
        (void)fail(r, r->line, "lines of up to %d bytes are accepted", size - 1);
        return NULL;
    }
    if (memchr(r->next, '\0', len) != NULL) {
        (void)fail(r, r->line, "NUL byte");
        return NULL;
    }
    memcpy(out, r->next, len);
    out[len] = '\0';
    r->next += used;
    r->left -= used;

    const char *text = out;
    if (r->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* byte order mark, skipped by inih too */
    text += strspn(text, " \t\r\v\f");
    if (*text == '[' && begin_section(r, text) != 0)
        return NULL;
    return out;
}

/* --- the keys of a [camera "name"] section --------------------------------- */

static int set_url(struct reader *r, const char *value)
{
    struct conf_camera *camera = last_camera(r);
    const char *reason;
    struct span url = url_trim((struct span){value, strlen(value)}, false);
    r->has_url = true;
    if (url_parse(&camera->url, url.at, url.len, &reason) != 0)
        return fail(r, r->line, "[%s] url: %s", r->section, reason);
    (void)url_format(&camera->url, camera->key);
    return 0;
}

static int set_type(struct reader *r, const char *value)
{
    r->type_line = r->line;
    /* too long is as wrong as unknown, and finish_camera() refuses both */
    (void)snprintf(r->type, sizeof(r->type), "%s", value[0] != '\0' ? value : "-");
    return 0;
}

/* An empty value is none: the example file has it. */
static int set_sub(struct reader *r, const char *value)
{
    const char *reason;
    struct span url = url_trim((struct span){value, strlen(value)}, false);
    r->sub_line = url.len > 0 ? r->line : 0;
    if (url.len > 0 && url_parse(&r->sub, url.at, url.len, &reason) != 0)
        return fail(r, r->line, "[%s] sub: %s", r->section, reason);
    return 0;
}

static int set_sub_type(struct reader *r, const char *value)
{
    r->sub_type_line = r->line;
    (void)snprintf(r->sub_type, sizeof(r->sub_type), "%s", value);
    return 0;
}

/* @param out  CONF_TITLE_MAX bytes. */
static int set_text(struct reader *r, const char *key, const char *value, char *out)
{
    if (conf_camera_set_text(out, value))
        return 0;
    return fail(r, r->line, "[%s] %s: " CONF_CAMERA_TITLE_ACCEPTED, r->section, key);
}

static int set_title(struct reader *r, const char *value)
{
    return set_text(r, "title", value, last_camera(r)->title);
}

static int set_group(struct reader *r, const char *value)
{
    return set_text(r, "group", value, last_camera(r)->group);
}

static int set_always_on(struct reader *r, const char *value)
{
    struct conf_camera *camera = last_camera(r);
    camera->always_on = strcmp(value, "yes") == 0;
    if (!camera->always_on && strcmp(value, "no") != 0)
        return fail(r, r->line, "[%s] always_on: yes or no is accepted", r->section);
    return 0;
}

static const struct {
    const char *key;
    int (*set)(struct reader *r, const char *value); /* @return as fail() */
} camera_keys[] = {
#define X(name, value, help) {#name, set_##name},
    CONF_CAMERA_KEYS(X)
#undef X
};

static int set_camera_key(struct reader *r, const char *key, const char *value)
{
    char text[ACCEPTED_MAX] = "";
    struct conf_text accepted = {.buf = text, .size = sizeof(text)};
    for (size_t i = 0; i < sizeof(camera_keys) / sizeof(camera_keys[0]); i++) {
        if (strcmp(key, camera_keys[i].key) == 0)
            return camera_keys[i].set(r, value);
        conf_text_put_item(&accepted, camera_keys[i].key);
    }
    return fail(r, r->line, "[%s] %s: unknown key; %s are accepted", r->section, key, text);
}

/* --- reading ---------------------------------------------------------------- */

/* ini_handler: @return nonzero on success.  The section is the reader's: see struct reader. */
static int on_key(void *opaque, const char *inih_section, const char *key, const char *value)
{
    struct reader *r = opaque;
    (void)inih_section;
    if (r->error != 0)
        return 0;
    if (r->in_camera)
        return set_camera_key(r, key, value) == 0;
    if (r->section[0] == '\0') {
        (void)fail(r, r->line, "%s: a [section] must come before it", key);
        return 0;
    }
    const struct conf_option *option = conf_option_find(r->section, key);
    char text[ACCEPTED_MAX] = "";
    struct conf_text accepted = {.buf = text, .size = sizeof(text)};
    if (option == NULL) {
        conf_section_put_keys(r->section, &accepted);
        (void)fail(r, r->line, "[%s] %s: unknown key; %s are accepted", r->section, key, text);
        return 0;
    }
    if (conf_option_set(r->conf, option, value, &accepted) != 0)
        (void)fail(r, r->line, "[%s] %s: %s", r->section, key, text);
    return r->error == 0;
}

static int read_all(struct reader r)
{
    ini_max_line = LINE_MAX_BYTES;
    ini_allow_multiline = false; /* an indented key is a key */
    ini_stop_on_first_error = true;
    r.text.buf[0] = '\0';
    int bad_line = ini_parse_stream(read_line, &r, on_key, &r);
    if (r.error == 0 && bad_line > 0)
        (void)fail(&r, (unsigned)bad_line, "key = value is accepted");
    if (r.error == 0 && bad_line < 0)
        (void)fail(&r, r.line, "out of memory");
    if (r.error == 0)
        (void)finish_camera(&r);
    if (r.error == 0 && conf_camera_make_subs(r.conf) != 0)
        (void)fail(&r, r.line, "out of memory");
    explicit_bzero(&r.sub, sizeof(r.sub)); /* a password */
    return r.error;
}

int conf_read(struct conf *conf, const char *name, const char *bytes, size_t len, char *text,
              size_t textlen)
{
    return read_all((struct reader){.conf = conf,
                                    .name = name,
                                    .next = bytes,
                                    .left = len,
                                    .text = {.buf = text, .size = textlen}});
}

int conf_read_cameras(struct conf *conf, const char *name, const char *bytes, size_t len,
                      char *text, size_t textlen)
{
    return read_all((struct reader){.conf = conf,
                                    .name = name,
                                    .next = bytes,
                                    .left = len,
                                    .cameras_alone = true,
                                    .text = {.buf = text, .size = textlen}});
}
