/* The program's version, shown by --version, the log and the metrics. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define CAM_HTTPFLV_VERSION "0.2.0"

#endif /* COMMON_VERSION_H */
