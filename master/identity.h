/*
 * The user that the server runs as.  Master, once, when the ports are open and before anything is
 * forked.
 */
#ifndef MASTER_IDENTITY_H
#define MASTER_IDENTITY_H

/**
 * Become another user for good, with that user's groups.  Logs errors, and a warning when the
 * process stays root.
 *
 * @param user   a name; "": keep the present user.
 * @param group  instead of the user's own; "": the user's own.
 * @return 1: another user; 0: the same as before; negative errno: the server should not run.
 */
int identity_change(const char *user, const char *group);

#endif /* MASTER_IDENTITY_H */
