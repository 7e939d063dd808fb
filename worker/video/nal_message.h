/*
 * The NAL units of a message: what one tag of FLV holds (Adobe FLV 10.1 E.4.3.2).  Worker, the
 * source's thread; pure.
 *
 * They should stand behind lengths (ISO/IEC 14496-15 5.3.4.2).  Some publishers write start codes
 * in place of all lengths, or of all but the first, or lengths of 4 bytes whatever their
 * configuration says, or pad a message with zeros.
 */
#ifndef WORKER_NAL_MESSAGE_H
#define WORKER_NAL_MESSAGE_H

#include "worker/video/nal.h"

/* What is in a message.  Only nal_message_read() writes the members. */
struct nal_message {
    enum AVCodecID codec;
    unsigned length_size; /* of its NAL units; 0: they follow start codes */
    bool broken;          /* a length exceeds the message */
    unsigned slices;
    struct nal slice;  /* the first one */
    unsigned pictures; /* begun by a slice; at least 1 */
    size_t first_len;  /* bytes of the first one; 0: it cannot be told where it ends */
};

/* Walks over the NAL units of a message that are no NAL_DISCARD. */
struct nal_message_cursor {
    struct nal_cursor all;
    struct nal_cursor inner; /* NAL units behind the first one of a length */
};

/**
 * Find out how a message is written, and what it holds.
 *
 * @param length_size  what the configuration says, 1 to 4.
 * @param data         Borrowed; message->slice points into it.
 */
void nal_message_read(struct nal_message *message, enum AVCodecID codec, unsigned length_size,
                      const uint8_t *data, size_t len);

/**
 * Find out what the first picture holds of a message, or of what is left of it: nothing of the
 * others counts then.
 *
 * @param message  as nal_message_read() left it; its first_len becomes 1 or more.
 * @param len      1 or more.
 */
void nal_message_read_picture(struct nal_message *message, const uint8_t *data, size_t len);

/** Begin a walk over the data that nal_message_read() has read. */
void nal_message_begin(struct nal_message_cursor *cursor, const uint8_t *data, size_t len);

/** @return false at the end, or at a length that exceeds the message. */
bool nal_message_next(const struct nal_message *message, struct nal_message_cursor *cursor,
                      struct nal *nal);

#endif /* WORKER_NAL_MESSAGE_H */
