/*
 * Lets libavformat read RTMP whose later chunks of a message do not repeat its extended timestamp
 * (Adobe RTMP 1.0, 5.3.1.3).  Those are needed after 4 h 40 min; older servers leave them out, and
 * libavformat takes four bytes of the message for them.  Worker, a source's own thread;
 * read_ahead.c asks before recv() and shows what it returned.
 *
 * libavformat reads the members of a chunk's header one by one (5.3.1), which shows where it is.
 */
#ifndef WORKER_RTMP_STAMPS_H
#define WORKER_RTMP_STAMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RTMP_STAMP_BYTES 4
#define RTMP_STAMPS_STREAMS 16 /* chunk streams; a server that has more is left alone */

/* What the newest chunk of a chunk stream said. */
struct rtmp_chunk_stream {
    uint32_t id;
    uint32_t size;  /* of the message */
    uint32_t left;  /* what has not come of it */
    uint32_t stamp; /* extended timestamp */
    bool extended;
};

/* Private to rtmp_stamps.c.  Zeroed before use. */
struct rtmp_stamps {
    bool lost;       /* it is not understood how this is read */
    unsigned member; /* that is read next, or has been read in part */
    uint32_t need;   /* bytes that are left of it; 0: nothing of it has been read */
    uint32_t width;  /* bytes of it */
    uint32_t value;  /* of what has been read of it */
    unsigned format; /* of the chunk: 0 to 3 */
    bool continues;  /* the chunk does not begin a message */
    unsigned count;
    struct rtmp_chunk_stream streams[RTMP_STAMPS_STREAMS];
    struct rtmp_chunk_stream *stream; /* the chunk's */
};

/** The calling thread connects by RTMP without TLS.  Borrowed until rtmp_stamps_end(). */
void rtmp_stamps_begin(struct rtmp_stamps *stamps);
/** Fine if it has not begun. */
void rtmp_stamps_end(void);

/**
 * Is a call of recv() in the calling thread about to read a repeated timestamp?  If something else
 * comes, it is to be left where it is, and the caller gets the timestamp all the same.
 *
 * @param asked  how many bytes the call asks for.
 * @param stamp  set to what must come, if true.
 */
bool rtmp_stamps_expect(size_t asked, uint8_t stamp[RTMP_STAMP_BYTES]);

/** What a call of recv() in the calling thread asked for and got (0 or less: nothing). */
void rtmp_stamps_look(const void *data, size_t asked, ssize_t got);

#endif /* WORKER_RTMP_STAMPS_H */
