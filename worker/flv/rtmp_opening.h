/*
 * Lets libavformat open RTMP whose media come in aggregate messages only (Adobe RTMP 1.0, 7.1.6).
 * It waits for a message of audio, video or metadata first, and an aggregate does not end that.  So
 * the first aggregate is passed off as video, and the reader is told.  Worker, a source's own
 * thread; read_ahead.c shows what recv() returns.
 *
 * libavformat reads the header of a message by its members (7: time in three bytes, length in
 * three, type in one), which shows where the type is.
 */
#ifndef WORKER_RTMP_OPENING_H
#define WORKER_RTMP_OPENING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Private to rtmp_opening.c, except `renamed`.  Zeroed before use. */
struct rtmp_opening {
    unsigned threes; /* calls in a row that asked for three bytes and got them */
    bool renamed;    /* the first video message is an aggregate */
};

/** The calling thread opens a connection.  opening: Borrowed until rtmp_opening_end(). */
void rtmp_opening_begin(struct rtmp_opening *opening);
/** It is open, or failed.  Fine if it has not begun. */
void rtmp_opening_end(void);

/**
 * Look at what a call of recv() in the calling thread returned, and change it if need be.
 *
 * @param asked  how many bytes the call asked for.
 * @param got    how many bytes it returned; 0 or less: none.
 */
void rtmp_opening_look(void *data, size_t asked, ssize_t got);

#endif /* WORKER_RTMP_OPENING_H */
