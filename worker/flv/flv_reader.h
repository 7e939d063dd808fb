/*
 * Reads an FLV stream pushed to it in pieces of any size, and hands tracks and packets to a sink.
 * Worker, the source's thread; no I/O.  Adobe FLV 10.1 annex E; Enhanced RTMP v1.
 *
 * Video: H.264 (id 7), HEVC (id 12, and enhanced hvc1).  Audio: AAC, G.711 A and mu, MP3, and MP3
 * at 8 kHz; other audio counts as none.
 *
 * Tracks are announced once both configurations are known.  Before that, tags are held back (at
 * most FLV_READER_HELD_MAX bytes).  A stream whose onMetaData speaks of video but not of audio, and
 * that has sent no audio configuration before its first picture, is announced without audio then;
 * otherwise audio is waited for until video has advanced by one second, or the hold is full.  Audio
 * that appears later is ignored on this connection.
 *
 * A changed video sequence header in mid-stream reaches the sink as an Annex B packet of its
 * parameter sets in front of the next frame; if codec, length size or the audio configuration
 * changes, the tracks are announced again.
 *
 * A damaged tag header is skipped over to the next place where a tag fits, at
 * most FLV_READER_SKIP_MAX bytes on; the next packet of each track says lost_before.
 */
#ifndef WORKER_FLV_READER_H
#define WORKER_FLV_READER_H

#include "worker/media/media_sink.h"

#define FLV_READER_TAG_MAX (8u << 20)   /* a bigger tag counts as damaged */
#define FLV_READER_HELD_MAX (16u << 20) /* while tracks are not settled */
#define FLV_READER_SKIP_MAX (1u << 20)

struct flv_reader;

/** @param sink  copied.  @return never NULL.  Caller owns; flv_reader_free(). */
struct flv_reader *flv_reader_new(const struct media_sink *sink);
void flv_reader_free(struct flv_reader **reader);

/**
 * Take the next bytes.
 *
 * @param data         Borrowed.
 * @param received_us  clock_us() of their arrival.
 * @param alive        set to true if the sink took a packet for a sign of life; else untouched.
 * @return 0; -EPROTO this is not FLV; -ENOTSUP video codec not supported; -ENOMEM.  After an error
 *         the reader is of no use.
 */
int flv_reader_push(struct flv_reader *reader, const uint8_t *data, size_t len, int64_t received_us,
                    bool *alive);

/** The stream has ended: announce and deliver what is held back. */
int flv_reader_finish(struct flv_reader *reader, bool *alive);

/** Has there been a tag of that track? */
bool flv_reader_has_seen(const struct flv_reader *reader, enum track track);

#endif /* WORKER_FLV_READER_H */
