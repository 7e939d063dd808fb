/*
 * Does journald read stderr?  If so, a line begins with its priority (sd-daemon(3)) and has no time
 * of its own.  Set once, before threads start; any thread may read it.
 */
#ifndef COMMON_LOG_JOURNAL_H
#define COMMON_LOG_JOURNAL_H

#include "common/log_level.h"

#include <stdbool.h>

/**
 * Find out whether journald reads a descriptor (systemd.exec(5)).
 *
 * @param fd      stderr.  Borrowed.
 * @param stream  $JOURNAL_STREAM, `DEVICE:INODE`; NULL: not set.
 */
void log_journal_detect(int fd, const char *stream);

/** Does journald read the descriptor given to log_journal_detect()? */
bool log_journal_reads(void);

/** @return `<3>` to `<7>`, the beginning of a line; "" if journald does not read the lines. */
const char *log_journal_prefix(enum log_level level);

#endif /* COMMON_LOG_JOURNAL_H */
