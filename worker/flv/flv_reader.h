/*
 * Reads an FLV stream pushed to it in pieces of any size, and hands tracks and packets to a sink.
 * Worker, the source's thread; no I/O.  Adobe FLV 10.1 annex E; Enhanced RTMP v2.
 *
 * Video: H.264 (id 7, avc1), HEVC (id 12, hvc1; the parameter sets decide if they show the other
 * codec), Sorenson H.263 (id 2), Screen Video (3, 6), VP6 (4, 5), VP8 (vp08), VP9 (vp09), AV1 (id
 * 13, av01).  Audio: AAC, G.711 A-law and mu-law, MP3, MP3 at 8 kHz, PCM, ADPCM, Nellymoser,
 * Opus (13); in the enhanced dialect AAC, Opus, FLAC, AC-3, E-AC-3, MP3; flv_sound.h says what
 * format they have.  If tags have several tracks, the first one to come is read.  Other audio is
 * left out and logged once.
 *
 * Tracks are announced once both configurations are known.  Before that, tags are held back (at
 * most FLV_READER_HELD_MAX bytes).  If onMetaData mentions video but not audio, and no audio
 * configuration comes before the first picture, the tracks are announced then, without audio.
 * Otherwise the reader waits for audio until one second after the first picture's arrival, or until
 * the hold is full.  Audio that onMetaData or a tag has promised by then is announced as AAC of no
 * particular format: the ingest puts silence in its place, so that players have the track.  When
 * the configuration comes after all, the sound alone is announced again.
 *
 * When the video sequence header changes in mid-stream, the sink gets its parameter sets as an
 * Annex B packet before the next frame; if codec, length size or the audio configuration changes,
 * the tracks are announced again.
 *
 * After a damaged tag (flv_framing.h) each track's next packet says lost_before.
 */
#ifndef WORKER_FLV_READER_H
#define WORKER_FLV_READER_H

#include "worker/media/media_sink.h"

#define FLV_READER_HELD_MAX (16u << 20) /* bytes held back before tracks are settled */

struct flv_reader;

/** @param sink  copied.  @return never NULL.  Caller owns; flv_reader_free(). */
struct flv_reader *flv_reader_new(const struct media_sink *sink);
void flv_reader_free(struct flv_reader **reader);

/**
 * Take the next bytes.
 *
 * @param data         Borrowed.
 * @param received_us  clock_us() of their arrival.
 * @param alive        set to true if the sink took a packet as a sign of life; else untouched.
 * @return 0; -EPROTO this is not FLV; -ENOTSUP video codec not supported; -ENOMEM.  After an error
 *         the reader must not be used again.
 */
int flv_reader_push(struct flv_reader *reader, const uint8_t *data, size_t len, int64_t received_us,
                    bool *alive);

/** The first video tag will be an aggregate of tags (rtmp_opening.h). */
void flv_reader_expect_aggregate(struct flv_reader *reader);

/** Nothing has come for a moment: announce the tracks if they have been waited for long enough.
 * Parameters and result as flv_reader_push(). */
int flv_reader_tick(struct flv_reader *reader, int64_t now_us, bool *alive);

/** The stream has ended: announce the tracks and deliver the tags held back. */
int flv_reader_finish(struct flv_reader *reader, bool *alive);

/** Has there been a tag of that track? */
bool flv_reader_has_seen(const struct flv_reader *reader, enum track track);

#endif /* WORKER_FLV_READER_H */
