#include "worker/process/sandbox_landlock.h"

#include "common/fd.h"
#include "common/sandbox_kernel.h"
#include "worker/process/sandbox_build.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's header ends at ABI 2. */
#define ACCESS_TRUNCATE (1ull << 14)  /* ABI 3 */
#define ACCESS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4; unused: filters ports only; see address_guard.h */
    uint64_t scoped;             /* ABI 6 */
};

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_TREE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* Files, or directories with everything below. */
static const char *const readable[] = {
    /* names: resolv.conf(5), nsswitch.conf(5), gai.conf(5), services(5) */
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf",
    "/etc/services", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf",
    /* certificates, which OpenSSL and GnuTLS open when they need them */
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates", "/etc/ca-certificates", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    /* local time; libavutil's random seeds; libuv's spare descriptor for accept(); CPU count */
    "/etc/localtime", "/dev/urandom", "/dev/null", "/sys/devices/system/cpu/online",
#if SANDBOX_SANITIZER
    "/proc", "/proc/self/exe", "/usr/lib", "/lib", /* the report's symbols */
#endif
};

/* sandbox_landlock_is_outdated() notices when one of these is replaced. */
static const char *const watched[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"};

#define WATCHED (sizeof(watched) / sizeof(watched[0]))

static bool always_forbidden[WATCHED]; /* unreadable for our user even without Landlock */

static bool is_forbidden(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool forbidden = fd == -1 && errno == EACCES;
    fd_close(&fd);
    return forbidden;
}

/* A missing file needs no rule. */
static int allow_reading(int ruleset, const char *path)
{
    struct stat st;
    int rc = 0;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd == -1)
        return 0;
    if (fstat(fd, &st) == 0) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = S_ISDIR(st.st_mode) ? READ_TREE : READ_FILE, .parent_fd = fd};
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == -1)
            rc = -errno;
    }
    fd_close(&fd);
    return rc;
}

/* Allow the certificate paths built into OpenSSL, or those that an operator set instead. */
static int allow_certificates(int ruleset)
{
    const char *file = getenv(X509_get_default_cert_file_env());
    const char *directory = getenv(X509_get_default_cert_dir_env());
    int rc = allow_reading(ruleset, file != NULL ? file : X509_get_default_cert_file());
    if (rc == 0)
        rc = allow_reading(ruleset, directory != NULL ? directory : X509_get_default_cert_dir());
    return rc;
}

static int create_ruleset(int abi)
{
    /* All access rights of ABI 1, one bit each; later rights follow one by one. */
    struct ruleset all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    size_t size = sizeof(all.handled_access_fs);
    if (abi >= 2)
        all.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        all.handled_access_fs |= ACCESS_TRUNCATE;
    if (abi >= 5)
        all.handled_access_fs |= ACCESS_IOCTL_DEV;
    if (abi >= 6) {
        all.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
        size = sizeof(all);
    }
    int fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    return fd == -1 ? -errno : fd;
}

int sandbox_landlock_enter(void)
{
    int rc = 0;
    int ruleset = create_ruleset(sandbox_kernel_landlock_abi());
    if (ruleset < 0)
        return ruleset;
    for (size_t i = 0; i < WATCHED; i++)
        always_forbidden[i] = is_forbidden(watched[i]);
    for (size_t i = 0; rc == 0 && i < sizeof(readable) / sizeof(readable[0]); i++)
        rc = allow_reading(ruleset, readable[i]);
    if (rc == 0)
        rc = allow_certificates(ruleset);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
        rc = -errno;
    fd_close(&ruleset);
    return rc;
}

bool sandbox_landlock_is_outdated(void)
{
    for (size_t i = 0; i < WATCHED; i++) {
        if (!always_forbidden[i] && is_forbidden(watched[i]))
            return true;
    }
    return false;
}
