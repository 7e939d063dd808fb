/*
 * The master from start to end: opens what it is made of, reads the configuration again, drains.
 * Master, loop thread.
 */
#ifndef MASTER_SERVER_H
#define MASTER_SERVER_H

struct conf;

/* SIGTERM: running viewers are closed within this. */
#define SERVER_GRACE_MS 5000

/**
 * Run until SIGTERM or SIGINT has been answered.  SIGHUP reads the configuration again: limits,
 * access and cameras apply, running viewers stay; a bad one is an error line and changes nothing.
 *
 * @param conf  replaced by a reload; the caller frees it.
 * @param argv  as conf_load() takes it.  Borrowed.
 * @return exit status of the process.
 */
int server_run(struct conf *conf, int argc, char *const *argv);

#endif /* MASTER_SERVER_H */
