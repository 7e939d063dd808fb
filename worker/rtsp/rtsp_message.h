/*
 * Splits the bytes of an RTSP connection into items: responses, the camera's requests, and
 * interleaved frames (RFC 2326 sections 6, 7 and 10.12).  Skips garbage between items.  Worker;
 * pure, no I/O.
 */
#ifndef WORKER_RTSP_MESSAGE_H
#define WORKER_RTSP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTSP_HEADERS_MAX 64
#define RTSP_HEAD_MAX 16384                    /* start line and headers */
#define RTSP_BODY_MAX 65536                    /* an SDP description */
#define RTSP_GARBAGE_MAX (1u << 20)            /* garbage bytes in a row: more is an error */
#define RTSP_READER_BYTES ((size_t)128 * 1024) /* room for the largest item and one read */

enum rtsp_item { RTSP_ITEM_RESPONSE, RTSP_ITEM_REQUEST, RTSP_ITEM_FRAME };

/* Bytes in the reader's buffer: not terminated, valid until the next call on the reader. */
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
    int status;               /* response: 100..999, 0 if unreadable */
    struct rtsp_slice method; /* request: its method */
    struct rtsp_header headers[RTSP_HEADERS_MAX];
    size_t header_count;
    struct rtsp_slice body;
    uint8_t channel; /* frame: its interleaved channel */
    const uint8_t *frame;
    size_t frame_len;
};

struct rtsp_reader {
    uint8_t *buf;         /* RTSP_READER_BYTES */
    int payload_types[2]; /* expected RTP payload types, to tell frames from garbage; -1: any */
    size_t start;         /* where the unread bytes begin */
    size_t end;
    size_t release;   /* bytes of the last item, to skip at the next call */
    bool out_of_sync; /* looking for the next item */
    size_t garbage;   /* bytes skipped in a row */
    uint64_t skipped; /* bytes of garbage since the start */
};

/** @return 0, or -ENOMEM.  Caller owns; rtsp_reader_free(). */
int rtsp_reader_init(struct rtsp_reader *reader);
void rtsp_reader_free(struct rtsp_reader *reader);

/**
 * Where to put arriving bytes.  Invalidates the last item.
 *
 * @param len  set to the room in bytes, never 0.
 * @return Borrowed, until the next call.
 */
uint8_t *rtsp_reader_space(struct rtsp_reader *reader, size_t *len);

/** len bytes were put there. */
void rtsp_reader_filled(struct rtsp_reader *reader, size_t len);

/**
 * Get the next complete item.
 *
 * @param m  filled on 1; its slices are Borrowed until the next call on the reader.
 * @return 1; 0 when more bytes are needed; -EMSGSIZE for a message above the limits; -EPROTO when
 *         only garbage comes.
 */
int rtsp_reader_next(struct rtsp_reader *reader, struct rtsp_message *m);

/**
 * Find a header's value, ignoring the name's case.
 *
 * @param from  index to start at; on success set to where to continue.  NULL: find the first.
 * @return false if there is none.
 */
bool rtsp_message_header(const struct rtsp_message *m, const char *name, size_t *from,
                         struct rtsp_slice *value);

/** Copy a slice, NUL-terminated and cut to size. */
void rtsp_slice_copy(char *buf, size_t size, struct rtsp_slice slice);

/** Read leading decimal digits.  @return false if there are none, or the number exceeds max. */
bool rtsp_slice_number(struct rtsp_slice slice, uint64_t max, uint64_t *value);

/** Does the slice equal text, ignoring case? */
bool rtsp_slice_equals(struct rtsp_slice slice, const char *text);

/** Where text first occurs in the slice, ignoring case; NULL if nowhere. */
const char *rtsp_slice_find(struct rtsp_slice slice, const char *text);

#endif /* WORKER_RTSP_MESSAGE_H */
