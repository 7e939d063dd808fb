#include "master/text_readers.h"

void text_reader_begin(struct text_reader_list *list, struct text_reader *reader,
                       const struct client_key *client)
{
    text_reader_end(list, reader);
    reader->client = *client;
    reader->reads = true;
    TAILQ_INSERT_TAIL(list, reader, link);
}

void text_reader_end(struct text_reader_list *list, struct text_reader *reader)
{
    if (reader->reads)
        TAILQ_REMOVE(list, reader, link);
    reader->reads = false;
}

/* @param client  its readers alone; NULL: all. */
static void evict_readers(struct text_reader_list *list, const struct client_key *client,
                          const size_t *bytes, size_t most,
                          void (*evict)(struct text_reader *reader))
{
    struct text_reader *next;
    for (struct text_reader *r = TAILQ_FIRST(list); r != NULL && *bytes > most; r = next) {
        next = TAILQ_NEXT(r, link);
        if (client == NULL || client_key_equal(&r->client, client))
            evict(r);
    }
}

void text_readers_make_room(struct text_reader_list *list, const struct client_key *asker,
                            const size_t *bytes, size_t most,
                            void (*evict)(struct text_reader *reader))
{
    evict_readers(list, asker, bytes, most, evict);
    evict_readers(list, NULL, bytes, most, evict);
}
