/*
 * Who is being sent a text (shared_text.h), and who makes room when clients that read slowly hold
 * too many of them.  Master, loop thread; pure.
 */
#ifndef MASTER_TEXT_READERS_H
#define MASTER_TEXT_READERS_H

#include "master/client_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct text_reader { /* zeroed at first */
    TAILQ_ENTRY(text_reader) link;
    struct client_key client;
    bool reads; /* it is in the list */
};

TAILQ_HEAD(text_reader_list, text_reader); /* whoever began first comes first */

/** The client is sent a text from now on. */
void text_reader_begin(struct text_reader_list *list, struct text_reader *reader,
                       const struct client_key *client);

/** It is sent no text any more; none is fine. */
void text_reader_end(struct text_reader_list *list, struct text_reader *reader);

/**
 * Evict readers until *bytes is at most `most`: those who have read for longest first, of the
 * client that asks for another text before all others.  Takes two walks at most.
 *
 * @param bytes  the texts' length.  A text goes with its last reader.  Borrowed.
 * @param evict  must call text_reader_end(), of this reader alone.
 */
void text_readers_make_room(struct text_reader_list *list, const struct client_key *asker,
                            const size_t *bytes, size_t most,
                            void (*evict)(struct text_reader *reader));

#endif /* MASTER_TEXT_READERS_H */
