/*
 * A home's inode numbers as every node sees them. Two of its file systems may have the same, and another node shows
 * them as one: outside of the root's the device goes into the upper bits, so that no two files look like one with two
 * names.
 */
#ifndef SHOWN_H
#define SHOWN_H

#include <stdint.h>
#include <sys/stat.h>

/* From this bit on it is the device. */
#define SHOWN_DEVICE_SHIFT 48

static inline uint64_t shown_inode(const struct stat *status, dev_t root_device) {
  if (status->st_dev == root_device) return status->st_ino;
  uint64_t device = (status->st_dev * 0x9e3779b97f4a7c15ULL) >> SHOWN_DEVICE_SHIFT;
  return status->st_ino ^ ((device | 1) << SHOWN_DEVICE_SHIFT);
}

#endif
