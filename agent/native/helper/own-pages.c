/*
 * Pages of this process's own in place of those of the file that it was executed from. That is a file of the job's home: away
 * from there, a page of it that is not in memory can't be had while the home does not answer, and once the home is lost the
 * kernel ends the process for it (SIGBUS, mmap(2)).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "helper.h"

/* This program has about eight: its segments, each cut where rights change (proc_pid_maps(5)). */
#define MOST_MAPPINGS 64

struct mapping {
  void *at;
  size_t size;
  int rights;
};

/* False for a line of what is of no file. */
static bool read_mapping(const char *line, struct mapping *mapping) {
  uintptr_t from, to;
  char rights[5], path;
  if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %c", &from, &to, rights, &path) != 4 || path != '/')
    return false;
  *mapping = (struct mapping){(void *)from, to - from, PROT_NONE};
  if (rights[0] == 'r') mapping->rights |= PROT_READ;
  if (rights[1] == 'w') mapping->rights |= PROT_WRITE;
  if (rights[2] == 'x') mapping->rights |= PROT_EXEC;
  return true;
}

/* All of them, before the first is replaced: 0 where they can't be read, or are more than there is room for. */
static size_t read_mappings(struct mapping *mappings) {
  size_t count = 0;
  char line[4096 + 128];
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps) return 0;
  while (count < MOST_MAPPINGS && fgets(line, sizeof line, maps)) count += read_mapping(line, &mappings[count]);
  fclose(maps);
  if (count < MOST_MAPPINGS) return count;
  errno = E2BIG;
  return 0;
}

/* Between the copy and its being put in place nothing is written here: there is one thread, in calls that only ask the kernel. */
static bool replace(const struct mapping *mapping) {
  if (!(mapping->rights & PROT_READ)) return true;
  void *copy = mmap(NULL, mapping->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) return false;
  memcpy(copy, mapping->at, mapping->size);
  if (mprotect(copy, mapping->size, mapping->rights)) return false;
  return mremap(copy, mapping->size, mapping->size, MREMAP_MAYMOVE | MREMAP_FIXED, mapping->at) != MAP_FAILED;
}

int own_pages(void) {
  struct mapping mappings[MOST_MAPPINGS];
  const size_t count = read_mappings(mappings);
  for (size_t index = 0; index < count; index++)
    if (!replace(&mappings[index])) return -1;
  return count ? 0 : -1;
}
