/*
 * What players can do, by the name that they give themselves (User-Agent, RFC 9110 section 10.1.5).
 * Master, loop thread; pure.
 */
#ifndef MASTER_PLAYERS_H
#define MASTER_PLAYERS_H

#include <stdbool.h>

/**
 * Is this a player that cannot show HEVC in FLV?
 *
 * @param user_agent  as sent, or "".
 * @return false for players that play it, and for unknown ones.
 */
bool players_need_h264(const char *user_agent);

#endif /* MASTER_PLAYERS_H */
