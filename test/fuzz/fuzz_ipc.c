/* Any header, length, descriptor count and phase: only what the table allows may pass. */
#include "common/ipc.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct {
        struct ipc_hdr hdr;
        uint32_t nbytes;
        int8_t nfds;
        uint8_t phase;
    } in;
    memset(&in, 0, sizeof(in));
    memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));

    if (ipc_check(&in.hdr, in.nbytes, in.nfds, (enum ipc_phase)in.phase) != 0)
        return 0;
    assert(in.hdr.type < IPC_TYPE_COUNT);
    const struct ipc_desc *desc = &ipc_desc[in.hdr.type];
    assert(in.hdr.len == desc->len && desc->len <= IPC_PAYLOAD_MAX);
    assert(in.nbytes == sizeof(in.hdr) + desc->len);
    assert(in.nfds == desc->fds);
    assert((desc->phases & in.phase) != 0);
    return 0;
}
