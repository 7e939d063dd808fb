#include "master/identity.h"

#include "common/log.h"
#include "common/memory_guard.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

static int stay(const char *group)
{
    if (group[0] != '\0') {
        log_errorx(NULL, "[server] group = %s: a user is needed with it", group);
        return -EINVAL;
    }
    if (geteuid() == 0)
        log_warnx(NULL, "running as root: set [server] user to have it run as another");
    return 0;
}

static int become(const char *user, uid_t uid, gid_t gid)
{
    if (initgroups(user, gid) == -1 || setresgid(gid, gid, gid) == -1 ||
        setresuid(uid, uid, uid) == -1) {
        int rc = -errno;
        log_error(NULL, "cannot become user %s", user);
        return rc;
    }
    (void)memory_guard(); /* a change of user sets fs.suid_dumpable in its place */
    return 1;
}

int identity_change(const char *user, const char *group)
{
    if (user[0] == '\0')
        return stay(group);
    const struct passwd *passwd = getpwnam(user);
    if (passwd == NULL) {
        log_errorx(NULL, "[server] user = %s: there is no such user", user);
        return -ENOENT;
    }
    uid_t uid = passwd->pw_uid;
    gid_t gid = passwd->pw_gid;
    if (group[0] != '\0') {
        const struct group *entry = getgrnam(group);
        if (entry == NULL) {
            log_errorx(NULL, "[server] group = %s: there is no such group", group);
            return -ENOENT;
        }
        gid = entry->gr_gid;
    }
    if (geteuid() == uid && getegid() == gid)
        return 0;
    if (geteuid() != 0) {
        log_errorx(NULL, "[server] user = %s: only root can become another user", user);
        return -EPERM;
    }
    int rc = become(user, uid, gid);
    if (rc == 1)
        log_info(NULL, "running as user %s (uid %u, gid %u)", user, (unsigned)uid, (unsigned)gid);
    return rc;
}
