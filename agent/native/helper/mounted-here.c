#include <stdio.h>
#include <string.h>

#include "helper.h"

bool is_mounted_here(const char *device) {
  static char *known;
  static size_t size;
  char wanted[48];
  if (!known) {
    FILE *info = fopen("/proc/self/mountinfo", "re");
    if (!info || getdelim(&known, &size, 0, info) < 0) known = "";
    if (info) fclose(info);
  }
  snprintf(wanted, sizeof wanted, " %s ", device);
  return strstr(known, wanted) != NULL;
}
