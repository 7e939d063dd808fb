/* What a source needs to know about the camera that it connects to.  Worker. */
#ifndef WORKER_SOURCE_PARAMS_H
#define WORKER_SOURCE_PARAMS_H

#include "common/ipc.h"
#include "common/url.h"

#include <stdbool.h>
#include <stdint.h>

#define SOURCE_DETAIL_MAX 256

/* What one connection to a camera learns for the next. */
struct source_memory {
    bool other_transport; /* media came over the transport that was not requested */
    bool options_first;   /* RTSP: the camera wants OPTIONS before any other request */
    bool first_known;     /* RTSP: options_first was right once */
    bool both_tried;      /* RTSP: neither first request was answered in one attempt */
    bool only_options;    /* RTSP: it hangs up on keep-alives that are not OPTIONS */
    bool no_keepalive;    /* RTSP: it hangs up on those, too */
    const char *misnamed; /* RTSP: "H264" or "H265", what it calls the other one; NULL: neither */
};

struct source_params {
    const struct camera_url *url; /* never log it.  Borrowed until closed() of source_close(). */
    enum ipc_transport transport;
    /* connect_timeout_ms holds until the first accepted media packet, stall_timeout_ms from each
     * one to the next.  Borrowed until closed() of source_close(); may change. */
    const struct ipc_limits *limits;
    bool tls_insecure;            /* accept any certificate */
    struct source_memory *memory; /* NULL: none.  Borrowed until closed() of source_close(). */
    struct ipc_access access;     /* which hosts and addresses may be connected to */
};

#endif
