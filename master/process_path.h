/* Where this program's file is.  Master; reads /proc. */
#ifndef MASTER_PROCESS_PATH_H
#define MASTER_PROCESS_PATH_H

#include <stddef.h>

/** The file itself, even if another one has its name now; without /proc, the path by which it was
 * started.  @return 0 or negative errno. */
int process_path_self(char *out, size_t size);

/** The path by which it was started, made absolute: there the next version is put.  Symbolic links
 * are left, so that they may point elsewhere by then.  Call it before the working directory
 * changes.  @return 0 or negative errno. */
int process_path_started(char *out, size_t size);

#endif /* MASTER_PROCESS_PATH_H */
