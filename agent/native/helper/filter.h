#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>

/* For this process and all that it starts: 0, or -1 with errno. */
int filter_calls(bool may_use_io_uring);

#endif
