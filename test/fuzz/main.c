/* Replays corpus files through a fuzz target, for builds without libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    /* Exactly as large as the input, so that ASan sees a read beyond its end. */
    uint8_t *whole = malloc(INPUT_MAX);
    size_t size = whole != NULL ? fread(whole, 1, INPUT_MAX, file) : 0;
    uint8_t *data = whole != NULL ? realloc(whole, size > 0 ? size : 1) : NULL;
    (void)fclose(file);
    if (data == NULL)
        return 1;
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%s: %d inputs\n", argv[0], argc - 1);
    return failed;
}
