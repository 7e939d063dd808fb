/*
 * Reads the RTSP headers Transport, Session and RTP-Info (RFC 2326 sections 12.39, 12.37, 12.33),
 * leniently.  Worker; pure.
 */
#ifndef WORKER_RTSP_HEADERS_H
#define WORKER_RTSP_HEADERS_H

#include "worker/rtsp/rtsp_message.h"

struct rtsp_transport_header {
    bool interleaved;
    uint8_t channels[2]; /* RTP, RTCP */
    bool has_server_ports;
    uint16_t server_ports[2];
    char source[64];      /* address; "" if not given */
    char destination[64]; /* multicast: the group; "" if not given */
    uint16_t ports[2];    /* port=, or else client_port=: RTP, RTCP; 0: not given */
};

struct rtsp_session_header {
    char id[1024];      /* "" if none, or too long */
    unsigned timeout_s; /* 0: not given */
};

struct rtsp_rtp_info {
    struct rtsp_slice entry; /* one track's entry */
    bool has_rtptime;
    uint32_t rtptime;
};

/** Parse a Transport header (RFC 2326 section 12.39).  What is missing or wrong is 0. */
void rtsp_parse_transport(struct rtsp_slice value, struct rtsp_transport_header *h);
/** Parse a Session header (section 12.37). */
void rtsp_parse_session(struct rtsp_slice value, struct rtsp_session_header *h);

/** Remove the next entry of an RTP-Info header from the front of *rest.  @return false at the end.
 */
bool rtsp_next_rtp_info(struct rtsp_slice *rest, struct rtsp_rtp_info *info);

#endif /* WORKER_RTSP_HEADERS_H */
