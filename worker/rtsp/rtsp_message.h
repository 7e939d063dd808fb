/*
 * What arrives on an RTSP connection, cut into items: responses, requests of the camera, and
 * interleaved frames (RFC 2326 sections 6, 7 and 10.12).  Finds its way back over garbage between
 * frames.  Worker; pure, no I/O.
 */
#ifndef WORKER_RTSP_MESSAGE_H
#define WORKER_RTSP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTSP_HEADERS_MAX 64
#define RTSP_HEAD_MAX 16384                    /* start line and headers */
#define RTSP_BODY_MAX 65536                    /* an SDP description */
#define RTSP_GARBAGE_MAX (1u << 20)            /* in a row, before the peer is given up */
#define RTSP_READER_BYTES ((size_t)128 * 1024) /* room for the largest item and one read */

enum rtsp_item { RTSP_ITEM_RESPONSE, RTSP_ITEM_REQUEST, RTSP_ITEM_FRAME };

/* Bytes within the reader's buffer: not terminated, valid until the next call on the reader. */
struct rtsp_slice {
    const char *data;
    size_t len;
};

struct rtsp_header {
    struct rtsp_slice name;
    struct rtsp_slice value; /* without white space around it */
};

struct rtsp_message {
    enum rtsp_item item;
    int status;               /* of a response, 100..999 */
    struct rtsp_slice method; /* of a request */
    struct rtsp_header headers[RTSP_HEADERS_MAX];
    size_t header_count;
    struct rtsp_slice body;
    uint8_t channel; /* of a frame */
    const uint8_t *frame;
    size_t frame_len;
};

struct rtsp_reader {
    uint8_t *buf;         /* RTSP_READER_BYTES */
    int payload_types[2]; /* of RTP that may come, to tell frames from garbage; -1: any */
    size_t start;         /* of what is not consumed yet */
    size_t end;
    size_t release;   /* bytes of the item given out last */
    bool out_of_sync; /* looking for the next item */
    size_t garbage;   /* bytes skipped in a row */
    uint64_t skipped; /* bytes of garbage since the start */
};

/** @return 0, or -ENOMEM.  rtsp_reader_free(). */
int rtsp_reader_init(struct rtsp_reader *reader);
void rtsp_reader_free(struct rtsp_reader *reader);

/**
 * Where to put bytes that arrive.  Ends the life of the last item.
 *
 * @param len  room in bytes, never 0.
 * @return Borrowed, until the next call.
 */
uint8_t *rtsp_reader_space(struct rtsp_reader *reader, size_t *len);

/** So many bytes were put there. */
void rtsp_reader_filled(struct rtsp_reader *reader, size_t len);

/**
 * The next complete item.
 *
 * @param m  filled on 1; its slices are Borrowed until the next call on the reader.
 * @return 1; 0 when more bytes are needed; -EMSGSIZE for a message above the limits, -EPROTO when
 *         nothing but garbage comes.
 */
int rtsp_reader_next(struct rtsp_reader *reader, struct rtsp_message *m);

/**
 * Value of a header, names without regard to case.
 *
 * @param from  index to start at; on success set to where to go on.  NULL: the first one.
 * @return false if there is none.
 */
bool rtsp_message_header(const struct rtsp_message *m, const char *name, size_t *from,
                         struct rtsp_slice *value);

/** A copy with a NUL, cut to size. */
void rtsp_slice_copy(char *buf, size_t size, struct rtsp_slice slice);

/** Leading decimal digits.  @return false if there are none, or the number exceeds max. */
bool rtsp_slice_number(struct rtsp_slice slice, uint64_t max, uint64_t *value);

/** Equal to text, without regard to case? */
bool rtsp_slice_equals(struct rtsp_slice slice, const char *text);

/** Where text begins in slice, without regard to case; NULL if nowhere. */
const char *rtsp_slice_find(struct rtsp_slice slice, const char *text);

#endif /* WORKER_RTSP_MESSAGE_H */
