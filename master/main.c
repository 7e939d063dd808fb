/* cam-httpflv: reads its configuration and runs the server. */
#include "common/log.h"
#include "common/log_journal.h"
#include "common/memory_guard.h"
#include "master/conf_advice.h"
#include "master/conf_load.h"
#include "master/priority.h"
#include "master/server.h"
#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_advice(const struct conf *conf)
{
    char buf[CONF_ADVICE_MAX] = "";
    struct conf_text text = {.buf = buf, .size = sizeof(buf)};
    if (conf_advise_file(conf, &text))
        (void)fprintf(stderr, "cam-httpflv: warning: %s\n", buf);
    conf_text_cut(&text, 0);
    if (conf_advise_saved(conf, &text))
        (void)fprintf(stderr, "cam-httpflv: warning: %s\n", buf);
    conf_text_cut(&text, 0);
    if (conf_advise_access(conf, conf->server.bind, &text))
        (void)fprintf(stderr, "cam-httpflv: warning: %s\n", buf);
}

/* If descriptors 0 to 2 were closed, sockets would get these numbers and receive our stderr. */
static int fill_stdio(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd == -1)
        return -errno;
    (void)close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    if (fill_stdio() != 0)
        return EXIT_FAILURE;
    int guarded = memory_guard(); /* before it holds a password */
    static struct conf conf;
    static char text[CONF_TEXT_MAX];
    log_journal_detect(STDERR_FILENO, getenv("JOURNAL_STREAM"));
    int rc = conf_load(&conf, argc, argv, text, sizeof(text));
    if (rc < 0) {
        (void)fprintf(stderr, "%scam-httpflv: %s\n", log_journal_prefix(LOG_LEVEL_ERROR), text);
        return EXIT_FAILURE;
    }
    if (rc == CONF_CHECKED)
        print_advice(&conf);
    if (rc != CONF_RUN && rc != CONF_UPGRADE) {
        (void)puts(text);
        conf_free(&conf);
        return EXIT_SUCCESS;
    }
    log_open(conf.server.log_level, conf.server.log_format);
    log_set_process("master");
    if (guarded != 0)
        log_warnx(NULL, "cannot forbid core dumps: %s", strerrordesc_np(-guarded));
    if (rc != CONF_UPGRADE)
        priority_raise();
    int status = rc == CONF_UPGRADE ? upgrade_check(&conf, text) : server_run(&conf, argc, argv);
    conf_free(&conf);
    return status;
}
