/*
 * Tells why sound that a camera offers is left out.  Worker, loop thread.
 */
#ifndef WORKER_RTSP_NO_AUDIO_H
#define WORKER_RTSP_NO_AUDIO_H

#include "worker/rtsp/rtsp_media.h"

/** Tell the log and the sink, unless there is sound or the camera offers none. */
void rtsp_no_audio_tell(const struct rtsp_session *session, const struct rtsp_media *media,
                        const struct media_sink *sink);

#endif /* WORKER_RTSP_NO_AUDIO_H */
