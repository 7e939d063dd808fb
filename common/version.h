/* The version of the program, as --version and the protocols tell it. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define CAM_HTTPFLV_VERSION "0.2.0"

#endif /* COMMON_VERSION_H */
