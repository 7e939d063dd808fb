#ifndef TEST_CAMERAS_FEED_H
#define TEST_CAMERAS_FEED_H

#include <gst/gst.h>

#include "test/cameras/loop_file.h"
#include "test/cameras/switches.h"

/**
 * Add a source element and a payloader that send one loop for ever, in real time, without encoding.
 *
 * The payloader pulls (appsrc requests data); the RTP sinks wait for the clock.
 *
 * @param bin       receives the elements.  Borrowed.
 * @param name      the payloader's name, "pay0" or "pay1".  Borrowed.
 * @param loop      Shared: must live as long as the process.
 * @param switches  Borrowed.
 * @param start_ns  position in the endless time line that becomes time 0 of the session.
 * @return 0; -ENOSYS: GStreamer lacks an element; -EINVAL: unknown codec.
 */
int feed_add(GstBin *bin, const char *name, const struct loop_file *loop,
             const struct switches *switches, int64_t start_ns);

#endif
