#ifndef CORE_FILE_H
#define CORE_FILE_H

#include "standstill.h"

/* Writes what was read of a process as a core file (core(5)) for a debugger: 0, or -1 with errno. */
int write_core(const struct process *process, const char *path);

#endif
