/*
 * Networks as ADDRESS/BITS, and lists of them.  Every process, any thread; pure.
 * An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is an IPv4 address.
 */
#ifndef COMMON_NETWORK_H
#define COMMON_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#define NETWORK_ENTRY_MAX 256 /* list entry, NUL included */

/* An address, or the first bits of one. */
struct network {
    int family; /* AF_INET, AF_INET6 */
    unsigned bits;
    uint8_t bytes[16];
};

/**
 * Copy the next entry of a list separated by commas or spaces; longer entries are cut.
 *
 * @param list  advanced past the entry.
 * @return false at the end of the list.
 */
bool network_list_next(const char **list, char entry[NETWORK_ENTRY_MAX]);

/** @param bytes  the 16 bytes of an IPv6 address.  Borrowed. */
struct network network_from_ipv6(const uint8_t *bytes);

/** Read a literal address. */
bool network_parse_address(const char *text, struct network *out);

/** Read ADDRESS or ADDRESS/BITS.  Modifies entry and restores it before it returns. */
bool network_parse(char *entry, struct network *out);

/** Does the address belong to the network?  False if one is IPv4, the other IPv6. */
bool network_contains(const struct network *net, const struct network *address);

#endif /* COMMON_NETWORK_H */
