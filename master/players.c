#include "master/players.h"

#include "common/url_text.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
/*
 * Players that cannot play HEVC in FLV, in neither dialect, before some version of theirs.  The
 * names are those that the programs of Debian 12 and 13 sent, and what each did with an HEVC camera.
 * Not here, because their names have no version: mpv 0.35 ("libmpv", as good as the FFmpeg that it
 * was built with) and GStreamer's curlhttpsrc ("GStreamer curlhttpsrc libcurl/7.88.1").
 */
static const struct {
    const char *name;
    unsigned major, minor; /* of the first version that is served HEVC */
} limits[] = {
    /* ffplay, ffprobe and OpenCV with FFmpeg 5.1.9, "Lavf/59.27.100": "Video codec (0) is not
     * implemented".  FFmpeg 6.1 (libavformat 60.16) reads it; 7.1 was seen to. */
    {"Lavf", 60, 16},
    /* VLC 3.0.24, "VLC/3.0.24 LibVLC/3.0.24": no picture.  Programs that embed it put their own
     * name in the place of the first. */
    {"LibVLC", 4, 0},
    {"VLC", 4, 0},
    /* GStreamer 1.22.0 and 1.26.2, "GStreamer souphttpsrc 1.26.2 libsoup/3.6.5": flvdemux finds no
     * track.  Later versions were not tried. */
    {"GStreamer souphttpsrc", 1, 27},
    /* Kodi was not run.  Kodi 20 has FFmpeg 4.4 built in (xbmc issue 22238), 21 has 6.0 (pull 250 of
     * flathub/tv.kodi.Kodi), 22 will have 7 (xbmc pull 24972).  Its name is "Kodi/20.0-RC2
     * (Macintosh; Mac OS X 12_6) App_Bitness/64 Version/20.0-RC2-…" (xbmc pull 22457).  One that a
     * distribution built with its own, newer FFmpeg gets H.264, too. */
    {"Kodi", 22, 0},
};
/* clang-format on */

/* Does text begin with a version that is older than major.minor? */
static bool is_older(const char *text, unsigned major, unsigned minor)
{
    char *rest;
    text += *text == '/' || *text == ' ';
    if (!char_is_digit(*text))
        return false;
    unsigned long found = strtoul(text, &rest, 10);
    unsigned long part =
        rest[0] == '.' && char_is_digit(rest[1]) ? strtoul(rest + 1, &rest, 10) : 0;
    return found < major || (found == major && part < minor);
}

bool players_need_h264(const char *user_agent)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t len = strlen(limits[i].name);
        const char *at = user_agent;
        while ((at = strstr(at, limits[i].name)) != NULL) {
            bool is_name = at == user_agent || !char_is_alnum(at[-1]);
            at += len;
            if (is_name && is_older(at, limits[i].major, limits[i].minor))
                return true;
        }
    }
    return false;
}
