/*
 * Finds the tags in an FLV stream that comes in pieces of any size.  Worker, the source's thread;
 * no I/O.  Adobe FLV 10.1 E.2, E.3.
 *
 * Tags of other types, and encrypted ones, are skipped.  After a damaged tag header it searches for
 * the next valid tag, for at most FLV_READER_SKIP_MAX bytes.
 */
#ifndef WORKER_FLV_FRAMING_H
#define WORKER_FLV_FRAMING_H

#include "worker/flv/flv_tag.h"

#define FLV_READER_SKIP_MAX (1u << 20)

/* A buffer that grows. */
struct flv_buffer {
    uint8_t *data; /* AV_INPUT_BUFFER_PADDING_SIZE more than capacity */
    size_t len;
    size_t capacity;
};

/** Append; len 0 is fine.  @return 0 or -ENOMEM. */
int flv_buffer_append(struct flv_buffer *buffer, const void *data, size_t len);
void flv_buffer_free(struct flv_buffer *buffer);

struct flv_framing_events {
    /* A whole tag.  Borrowed.  A result other than 0 ends flv_framing_push() with that result. */
    int (*on_tag)(void *ctx, struct flv_tag *tag);
    /* Bytes are skipped: tags may be missing. */
    void (*on_loss)(void *ctx);
    void *ctx;
};

/* What comes next: the file header, a PreviousTagSize, a tag, or something unknown. */
enum flv_framing_state { FRAMING_HEADER, FRAMING_TRAILER, FRAMING_TAGS, FRAMING_LOST };

/* Plain: lives in its user by value, zeroed except events. */
struct flv_framing {
    struct flv_framing_events events;
    enum flv_framing_state state;
    struct flv_buffer in;
    size_t consumed;    /* bytes of `in` */
    size_t skipped;     /* bytes, while FRAMING_LOST */
    size_t tag_size;    /* of the newest tag, header included */
    bool confirmed;     /* the PreviousTagSize after it was right */
    uint32_t stream_id; /* of the newest tag */
};

/**
 * Take the next bytes.
 *
 * @param received_us  clock_us() of their arrival; set in the tags that they complete.
 * @return 0; -EPROTO this is not FLV; -ENOMEM; on_tag()'s result.
 */
int flv_framing_push(struct flv_framing *framing, const uint8_t *data, size_t len,
                     int64_t received_us);
void flv_framing_free(struct flv_framing *framing);

#endif /* WORKER_FLV_FRAMING_H */
