/*
 * The user that the server runs as.  Master, once, when the ports are open and before anything is
 * forked.
 */
#ifndef MASTER_IDENTITY_H
#define MASTER_IDENTITY_H

/**
 * Become another user for good, with that user's groups.  Logs what is wrong; says so, too, when
 * the process is root and stays it.
 *
 * @param user   a name; "": stay who we are.
 * @param group  instead of the user's own; "": the user's own.
 * @return 1 another user, 0 the same as before, negative errno: the server should not run.
 */
int identity_change(const char *user, const char *group);

#endif /* MASTER_IDENTITY_H */
