#include "master/conf_advice.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

bool conf_advise_file(const struct conf *conf, struct conf_text *text)
{
    bool readable = (conf->file.mode & S_IROTH) != 0 && conf->file.secrets;
    bool writable = (conf->file.mode & S_IWOTH) != 0;
    const char *what = readable && writable ? "read the passwords in it and change it"
                       : readable           ? "read the passwords in it"
                                            : "change it";
    if (readable || writable)
        conf_text_put(text, "%s has mode %04o: every user of this machine can %s; run chmod o= %s",
                      conf->file.path, conf->file.mode, what, conf->file.path);
    return text->len > 0;
}

bool conf_advise_saved(const struct conf *conf, struct conf_text *text)
{
    if (conf->hidden_count > 0)
        conf_text_put(text,
                      "%s: %zu of its cameras are not served, because the configuration file has "
                      "cameras of the same names",
                      conf->access.manage_file, conf->hidden_count);
    return text->len > 0;
}

static bool is_loopback(const char *address)
{
    struct in6_addr in6;
    struct in_addr in;
    if (inet_pton(AF_INET, address, &in) == 1)
        return ntohl(in.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, address, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
}

bool conf_advise_access(const struct conf *conf, const char *bind, struct conf_text *text)
{
    bool restricted = conf->access.token[0] != '\0' || conf->access.signing_key[0] != '\0' ||
                      conf->access.cameras.mode != IPC_ACCESS_ANY;
    if (bind != NULL && !is_loopback(bind) && !restricted)
        conf_text_put(text,
                      "listening on %s without a token: anyone who can connect may watch any "
                      "camera that this server can reach ([access] token, cameras)",
                      bind);
    return text->len > 0;
}
