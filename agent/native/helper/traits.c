/* The list of a job's traits: kept in an order, written down, read again, compared. */
#include "traits.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A million threads would have some ten each; a hostile list ends here. */
#define MOST_TRAITS (16u * 1024 * 1024)
#define MOST_LINE 4096

static void *enough(void *memory) {
  if (memory) return memory;
  perror("memory");
  exit(1);
}

/* One line, for any file's name. */
static char *plain(const char *text) {
  char *copy = enough(strdup(text));
  for (char *at = copy; *at; at++)
    if (*at == '\t' || *at == '\n') *at = ' ';
  return copy;
}

static void append(struct traits *traits, int process, int thread, char *slot, char *value) {
  if (traits->count == traits->room) {
    traits->room = traits->room ? 2 * traits->room : 256;
    traits->all = enough(realloc(traits->all, traits->room * sizeof *traits->all));
  }
  traits->all[traits->count++] = (struct trait){process, thread, slot, value};
}

void add_trait(struct traits *traits, int process, int thread, const char *slot, const char *format, ...) {
  char value[MOST_LINE / 2];
  va_list values;
  va_start(values, format);
  vsnprintf(value, sizeof value, format, values);
  va_end(values);
  append(traits, process, thread, plain(slot), plain(value));
}

void clear_traits(struct traits *traits) {
  for (size_t i = 0; i < traits->count; i++) {
    free(traits->all[i].slot);
    free(traits->all[i].value);
  }
  free(traits->all);
  *traits = (struct traits){0};
}

static int in_order(const void *one, const void *other) {
  const struct trait *a = one, *b = other;
  if (a->process != b->process) return a->process < b->process ? -1 : 1;
  if (a->thread != b->thread) return a->thread < b->thread ? -1 : 1;
  return strcmp(a->slot, b->slot);
}

void sort_traits(struct traits *traits) {
  if (traits->count > 1) qsort(traits->all, traits->count, sizeof *traits->all, in_order);
}

bool write_traits(FILE *to, const struct traits *traits) {
  for (size_t i = 0; i < traits->count; i++) {
    const struct trait *one = &traits->all[i];
    if (fprintf(to, "%d\t%d\t%s\t%s\n", one->process, one->thread, one->slot, one->value) < 0) return false;
  }
  return true;
}

static bool read_trait(char *line, struct traits *traits) {
  char *part[4], *rest = line, *end;
  for (int i = 0; i < 4; i++)
    if (!(part[i] = strsep(&rest, "\t"))) return false;
  if (rest || !*part[2]) return false;
  const long process = strtol(part[0], &end, 10);
  if (*end || process < 0 || process > INT_MAX) return false;
  const long thread = strtol(part[1], &end, 10);
  if (*end || thread < 0 || thread > INT_MAX) return false;
  append(traits, (int)process, (int)thread, enough(strdup(part[2])), enough(strdup(part[3])));
  return true;
}

bool read_traits(FILE *from, struct traits *traits) {
  static char line[MOST_LINE];
  while (fgets(line, sizeof line, from)) {
    const size_t size = strcspn(line, "\n");
    if (line[size] != '\n' || traits->count == MOST_TRAITS) return false;
    line[size] = 0;
    if (!read_trait(line, traits)) return false;
  }
  sort_traits(traits);
  return !ferror(from);
}

bool each_difference(const struct traits *noted, const struct traits *found, differs *differs, void *more) {
  for (size_t i = 0, k = 0; i < noted->count || k < found->count;) {
    const struct trait *was = i < noted->count ? &noted->all[i] : NULL;
    const struct trait *is = k < found->count ? &found->all[k] : NULL;
    const int order = !was ? 1 : !is ? -1 : in_order(was, is);
    if (order <= 0) i++;
    if (order >= 0) k++;
    if (order == 0 && !strcmp(was->value, is->value)) continue;
    if (!differs(order <= 0 ? was : NULL, order >= 0 ? is : NULL, more)) return false;
  }
  return true;
}

bool is_slot(const struct trait *trait, const char *words) { return !strncmp(trait->slot, words, strlen(words)); }
