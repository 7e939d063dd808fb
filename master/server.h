/*
 * Runs the master from start to end: opens its parts, reloads the configuration, drains.  Master,
 * loop thread.
 */
#ifndef MASTER_SERVER_H
#define MASTER_SERVER_H

struct conf;

/* After SIGTERM, viewers are disconnected within this time. */
#define SERVER_GRACE_MS 5000

/**
 * Run until SIGTERM or SIGINT has been answered.  SIGHUP reloads the configuration: limits, access
 * and cameras take effect, viewers stay; a faulty configuration is logged and changes nothing.
 *
 * @param conf  replaced by a reload; the caller frees it.
 * @param argv  as conf_load() takes it.  Borrowed.
 * @return exit status of the process.
 */
int server_run(struct conf *conf, int argc, char *const *argv);

#endif /* MASTER_SERVER_H */
