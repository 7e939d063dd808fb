#ifndef TEST_CAMERAS_FEED_H
#define TEST_CAMERAS_FEED_H

#include <gst/gst.h>

#include "test/cameras/loop_file.h"
#include "test/cameras/switches.h"

/**
 * A source element and a payloader that send one loop for ever, in live time, without encoding.
 *
 * The payloader pulls (appsrc asks for data), the RTP sinks wait for the clock.
 *
 * @param bin       gets the elements.  Borrowed.
 * @param name      of the payloader, "pay0" or "pay1".  Borrowed.
 * @param loop      Shared: must live as long as the process.
 * @param switches  Borrowed.
 * @param start_ns  position in the endless time line that becomes time 0 of the session.
 * @return 0; -ENOSYS when GStreamer lacks an element (it says which), -EINVAL for an unknown codec.
 */
int feed_add(GstBin *bin, const char *name, const struct loop_file *loop,
             const struct switches *switches, int64_t start_ns);

#endif
