/* Whether this kernel can hold workers as [server] sandbox asks.  Master, before the loop. */
#ifndef MASTER_SANDBOX_CHECK_H
#define MASTER_SANDBOX_CHECK_H

struct conf;

/** @return 0; -ENOSYS: with sandbox = require no worker would run; the log says what is missing. */
int sandbox_check(const struct conf *conf);

#endif /* MASTER_SANDBOX_CHECK_H */
