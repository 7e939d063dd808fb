#include "worker/rtsp/rtsp_no_audio.h"

#include "common/log.h"

static const char *text_of(enum ipc_no_audio why)
{
    switch (why) {
    case IPC_NO_AUDIO_ENCRYPTED:
        return "it is encrypted (SRTP)";
    case IPC_NO_AUDIO_REFUSED:
        return "the camera refuses to set it up";
    case IPC_NO_AUDIO_NOT_ASKED_FOR:
        return "no UDP ports are free for it, or its address is too long";
    default:
        return "its codec is not supported";
    }
}

void rtsp_no_audio_tell(const struct rtsp_session *session, const struct rtsp_media *media,
                        const struct media_sink *sink)
{
    enum ipc_no_audio why = rtsp_session_no_audio(session);
    if (why == IPC_NO_AUDIO_NONE && !rtsp_media_has(media, TRACK_AUDIO))
        why = IPC_NO_AUDIO_UNSUPPORTED_CODEC;
    if (why == IPC_NO_AUDIO_NONE || why == IPC_NO_AUDIO_NOT_ANNOUNCED)
        return;
    log_warnx(NULL, "rtsp: sound is left out: %s", text_of(why));
    sink->on_no_audio(sink->ctx, why);
}
