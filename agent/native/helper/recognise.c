/*
 * What a frozen job's processes refer to, and whether each reference is still the same after a restore:
 *
 *   note --notes FILE --traits FILE [--abroad] -- INIT [PID...]
 *                   writes it down, one line a thing; what the kernel keeps of them besides into the other (traits.c)
 *   recognise --notes FILE --traits FILE --run CGROUP --attach CGROUP [--abroad] [WHOSE] -- INIT [PID...]
 *                   compares it with that, and makes again what can be (recreate.c); with WHOSE also judges what a
 *                   user's job may have (excess-rights.c)
 *
 * `recognise` prints the first reference that is not as it should be, and nothing where all are:
 *
 *   other PROCESS SLOT NOTED FOUND     another thing is there
 *   gone PROCESS SLOT NOTED -          nothing is there
 *   new PROCESS SLOT - FOUND           it was not there
 *   power PROCESS WHAT                 a user's job has no right to it
 *   trait PROCESS THREAD WHAT NOTED FOUND WHY
 *                                      it has another value; WHY it could not be made again, `-` if that was not tried
 *
 * A line is PROCESS, SLOT, TOKEN, NAME, apart by tabs: the process as the job numbers it; `fd 5`, `map 7f00…-7f01…`,
 * `exe`, `cwd` or `root`; what must be the same again (identity.c); and what /proc calls it, for people.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/shown.h"
#include "helper.h"
#include "identity.h"
#include "traits.h"
#include "text.h"

/* What a host's own mount shows of an inode number is not mixed with a device: these bits are the same everywhere. */
#define LOW_BITS ((1ULL << SHOWN_DEVICE_SHIFT) - 1)

static FILE *notes;
static bool is_abroad;
/* As they are on this node. */
static struct traits own;

static bool collect(const struct reference *ref) {
  read_locks(ref, &own);
  read_fill(ref, &own);
  read_options(ref, &own);
  read_watches(ref, &own);
  return true;
}

static bool write_down(const struct reference *ref) {
  collect(ref);
  return fprintf(notes, "%d\t%s\t%s\t%s\n", ref->inner, ref->slot, ref->token, ref->name) > 0;
}

/* All but what `each_reference` visits. */
static void collect_others(char **pids) {
  read_threads(pids, &own);
  read_sysv(pids[0], &own);
  sort_traits(&own);
}

static FILE *create(const char *path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  return fd < 0 ? NULL : fdopen(fd, "w");
}

int note(char **argv) {
  char **pids = after_dashes(argv);
  is_abroad = flag(argv, "--abroad");
  if (!(notes = create(required(argv, "--notes")))) return say_error("note", errno);
  look_for_locks(pids);
  each_reference(pids, is_abroad, write_down);
  if (ferror(notes) || fclose(notes)) return say_error("note", errno);
  collect_others(pids);
  FILE *traits = create(required(argv, "--traits"));
  if (!traits || !write_traits(traits, &own) || fclose(traits)) return say_error("note", errno);
  return 0;
}

/* The next noted line in its parts; false at the end, and for what is none. */
static bool next_noted(char *part[4]) {
  static char *line;
  static size_t room;
  if (getline(&line, &room, notes) <= 0) return false;
  line[strcspn(line, "\n")] = 0;
  char *rest = line;
  for (int i = 0; i < 4; i++)
    if (!(part[i] = i < 3 ? strsep(&rest, "\t") : rest)) return false;
  return true;
}

static bool say_line(const char *what, int inner, const char *slot, const char *noted, const char *found) {
  printf("%s\t%d\t%s\t%s\t%s\n", what, inner, slot, noted, found);
  return false;
}

/* Through the mount of the home's files and on a host's own mount of the same: what both show of the number. */
static bool is_same_file(const char *noted, const char *found) {
  unsigned long long inode[2];
  unsigned type[2], device[2];
  char kind[2][8];
  if (!strcmp(noted, found)) return true;
  if (sscanf(noted, "%7s %o %llx %x", kind[0], &type[0], &inode[0], &device[0]) != 4) return false;
  if (sscanf(found, "%7s %o %llx %x", kind[1], &type[1], &inode[1], &device[1]) != 4) return false;
  const bool hosts = !strcmp(kind[0], "host's") || !strcmp(kind[1], "host's");
  return hosts && type[0] == type[1] && device[0] == device[1] && ((inode[0] ^ inode[1]) & LOW_BITS) == 0;
}

/* References are noted in the order of the processes and, of each, of its places, descriptors and mappings. */
static int order_of(const char *slot) { return starts_with(slot, "map ") ? 2 : starts_with(slot, "fd ") ? 1 : 0; }

/* Is what was noted as the first of them missing, or is `ref` new? */
static bool is_before(int inner, const char *slot, const struct reference *ref) {
  if (inner != ref->inner) return inner < ref->inner;
  if (order_of(slot) != order_of(ref->slot)) return order_of(slot) < order_of(ref->slot);
  const int base = order_of(slot) == 2 ? 16 : 10;
  return strtoul(strchr(slot, ' ') ?: slot, NULL, base) < strtoul(strchr(ref->slot, ' ') ?: ref->slot, NULL, base);
}

static bool is_recognised(const struct reference *ref) {
  char *part[4];
  if (!next_noted(part)) return say_line("new", ref->inner, ref->slot, "-", ref->name);
  const int inner = atoi(part[0]);
  if (inner == ref->inner && !strcmp(part[1], ref->slot)) {
    if (!is_same_file(part[2], ref->token)) return say_line("other", inner, part[1], part[3], ref->name);
    return is_permitted(ref);
  }
  if (is_before(inner, part[1], ref)) return say_line("gone", inner, part[1], part[3], "-");
  return say_line("new", ref->inner, ref->slot, "-", ref->name);
}

static bool has_failed;

static bool recognise_one(const struct reference *ref) {
  collect(ref);
  return !(has_failed = !is_recognised(ref));
}

/* --- traits ------------------------------------------------------------------------------------------------------- */

static bool tell_difference(const struct trait *noted, const struct trait *found, void *error) {
  const struct trait *one = noted ? noted : found;
  const int why = *(int *)error;
  if (may_differ(noted, found)) return true;
  printf("trait\t%d\t%d\t%s\t%s\t%s\t%s\n", one->process, one->thread, one->slot, noted ? noted->value : NONE,
         found ? found->value : NONE, why ? strerror(why) : NONE);
  return false;
}

static bool is_beyond_rights(void) {
  for (size_t i = 0; i < own.count; i++) {
    const char *what = beyond_rights(&own.all[i]);
    if (what) return printf("power\t%d\t%s\n", own.all[i].process, what) > 0;
  }
  return false;
}

static bool is_no_difference(const struct trait *noted, const struct trait *found, void *more) {
  (void)more;
  const struct trait *one = noted ? noted : found;
  return may_differ(noted, found) && !is_slot(one, "CPUs") && !is_slot(one, OPTION);
}

static void look_again(char **pids) {
  clear_traits(&own);
  forget_sockets();
  look_for_locks(pids);
  each_reference(pids, is_abroad, collect);
  collect_others(pids);
}

static int recognise_traits(char **argv, char **pids, bool is_users) {
  struct traits noted = {0};
  int error = 0;
  FILE *traits = fopen(required(argv, "--traits"), "re");
  if (!traits || !read_traits(traits, &noted)) return say_error("traits", traits ? EINVAL : errno);
  fclose(traits);
  const struct place place = {pids, required(argv, "--run"), required(argv, "--attach"), is_users};
  if (!each_difference(&noted, &own, is_no_difference, NULL)) {
    error = make_again(&place, &noted, &own);
    look_again(pids);
  }
  if (is_users && is_beyond_rights()) return 0;
  each_difference(&noted, &own, tell_difference, &error);
  return 0;
}

int recognise(char **argv) {
  char *part[4];
  char **pids = after_dashes(argv);
  is_abroad = flag(argv, "--abroad");
  if (!(notes = fopen(required(argv, "--notes"), "re"))) return say_error("recognise", errno);
  if (!has_own_powers(argv, pids)) return 0;
  look_for_locks(pids);
  each_reference(pids, is_abroad, recognise_one);
  if (!has_failed && next_noted(part)) has_failed = !say_line("gone", atoi(part[0]), part[1], part[3], "-");
  if (has_failed) return 0;
  collect_others(pids);
  return recognise_traits(argv, pids, option(argv, "--uid") != NULL);
}
