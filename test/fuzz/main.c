/* Replays files through a fuzz target, in builds without libFuzzer: fuzz_x FILE... */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    int rc = 1;
    uint8_t *data = NULL;
    FILE *f = fopen(path, "rb");

    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        goto out;
    long size = ftell(f);
    rewind(f);
    /* Exactly as large as the input, so that a sanitizer sees the first byte past it. */
    data = size < 0 ? NULL : malloc(size > 0 ? (size_t)size : 1);
    if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size)
        goto out;
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    rc = 0;

out:
    if (rc != 0)
        perror(path);
    free(data);
    if (f != NULL)
        (void)fclose(f);
    return rc;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) != 0)
            return 1;
    }
    return 0;
}
