/* cam-httpflv-worker: the master starts it as the nursery and passes its channel's descriptor. */
#include "common/log.h"
#include "common/sandbox_mode.h"
#include "worker/process/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static int usage(void)
{
    (void)fprintf(stderr, "cam-httpflv-worker is started by cam-httpflv, not by hand:\n"
                          "cam-httpflv-worker CHANNEL_FD LOG_LEVEL LOG_FORMAT SANDBOX\n");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    argv = uv_setup_args(argc, argv); /* workers show their camera in the process list */
    enum log_level level;
    enum sandbox_mode sandbox;
    char *end;
    if (argc == 2 && strcmp(argv[1], "--check") == 0) {
        log_open(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
        return nursery_check();
    }
    if (argc != 4 || log_level_parse(argv[2], &level) != 0 ||
        sandbox_mode_parse(argv[3], &sandbox) != 0)
        return usage();
    long channel = strtol(argv[1], &end, 10);
    if (*end != '\0' || channel < 3 || fcntl((int)channel, F_SETFD, FD_CLOEXEC) == -1)
        return usage();
    log_open(level, LOG_FORMAT_TEXT);
    log_send_to_master();
    log_set_process("nursery");
    /* Terminals and systemd send these to every process, but only the master acts on them. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN); /* the master may be gone when we write */
    (void)uv_set_process_title("cam-httpflv: nursery");
    return nursery_run((int)channel, sandbox);
}
