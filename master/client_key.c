#include "master/client_key.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

struct client_key client_key_of(const struct sockaddr *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t ipv6_host[8] = {[7] = 1}; /* never zero: ::/64 is a client, too */
    uint8_t bytes[16] = {0};
    struct client_key key;
    if (address->sa_family == AF_INET) {
        memcpy(bytes, mapped, sizeof(mapped));
        memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        if (memcmp(bytes, mapped, sizeof(mapped)) != 0)
            memcpy(bytes + 8, ipv6_host, 8);
    }
    memcpy(key.bits, bytes, sizeof(bytes));
    return key;
}

bool client_key_parse(const char *text, struct client_key *key)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        *key = client_key_of((const struct sockaddr *)&in);
    else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
        *key = client_key_of((const struct sockaddr *)&in6);
    else
        return false;
    return true;
}

bool client_key_equal(const struct client_key *a, const struct client_key *b)
{
    return a->bits[0] == b->bits[0] && a->bits[1] == b->bits[1];
}

bool client_key_is_none(const struct client_key *key)
{
    return key->bits[0] == 0 && key->bits[1] == 0;
}

/* SplitMix64's finisher over both halves. */
uint64_t client_key_hash(const struct client_key *key, uint64_t seed)
{
    uint64_t h = seed;
    for (int i = 0; i < 2; i++) {
        h += key->bits[i] + 0x9e3779b97f4a7c15u;
        h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
        h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
        h ^= h >> 31;
    }
    return h;
}
