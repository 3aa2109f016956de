/*
 * Sorts words by several orders, called through pointers, while a timer's signal keeps interrupting it. The handler
 * lowers a flag that the program raises; what is printed does not depend on when the signals came, only on that they did.
 *
 *   sorter [ROUNDS]
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define WORDS 4000
#define LETTERS 8
#define TICK_US 8000

struct word {
  char text[LETTERS];
  uint32_t weight;
};

typedef int order(const void *, const void *);
static int by_text(const void *, const void *), by_weight(const void *, const void *), by_end(const void *, const void *);

static const struct {
  const char *name;
  order *compare;
} orders[] = {{"text", by_text}, {"weight", by_weight}, {"end", by_end}};

static struct word words[WORDS];
static uint32_t state = 2463534242u;
/* Rises once, when eleven twelfths of the rounds are over. */
int milestones;
static volatile sig_atomic_t waiting_for_tick;
static volatile long ticks;

static void tick(int signal) {
  (void)signal;
  ticks++;
  waiting_for_tick = 0;
}

static uint32_t draw(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static int by_text(const void *left, const void *right) { return memcmp(left, right, LETTERS); }

static int by_weight(const void *left, const void *right) {
  const struct word *one = left, *other = right;
  if (one->weight != other->weight) return one->weight < other->weight ? -1 : 1;
  return by_text(left, right);
}

static int by_end(const void *left, const void *right) {
  const struct word *one = left, *other = right;
  for (int at = LETTERS - 1; at >= 0; at--)
    if (one->text[at] != other->text[at]) return one->text[at] - other->text[at];
  return 0;
}

static void fill(void) {
  for (int i = 0; i < WORDS; i++) {
    for (int at = 0; at < LETTERS; at++) words[i].text[at] = 'a' + draw() % 26;
    words[i].weight = draw() % 1000;
  }
}

static uint32_t digest(void) {
  uint32_t sum = 2166136261u;
  for (int i = 0; i < WORDS; i++)
    for (int at = 0; at < LETTERS; at++) sum = (sum ^ (unsigned char)words[i].text[at]) * 16777619u;
  return sum;
}

/* Computes until the timer's signal has come. */
static void await_tick(void) {
  waiting_for_tick = 1;
  while (waiting_for_tick) continue;
}

static uint32_t sort_by(int which, int round) {
  order *compare = orders[which].compare;
  fill();
  qsort(words, WORDS, sizeof *words, compare);
  uint32_t sum = digest();
  int first = words[0].text[0];
  if (round % 200 == 0) printf("%4d %-6s %08x %c\n", round, orders[which].name, sum, first);
  await_tick();
  return sum;
}

static uint32_t sort_many(int times) {
  uint32_t sum = 0;
  for (int round = 0; round < times; round++) {
    fill(), qsort(words, WORDS, sizeof *words, by_end);
    sum = sum * 31 + digest();
  }
  return sum;
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 1200;
  uint32_t all = 0;
  struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
  struct itimerval timer = {{0, TICK_US}, {0, TICK_US}};
  setvbuf(stdout, NULL, _IOLBF, 0);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &timer, NULL);
  for (int round = 1; round <= rounds; round++) {
    all = all * 31 + sort_by(round % 3, round);
    if (round == rounds / 2) {
      uint32_t many = sort_many(6000);
      printf("many: %08x\n", many);
    }
    if (round == rounds / 12 * 11) milestones++;
  }
  printf("%d rounds, %08x, %d milestone, ticks came: %s\n", rounds, all, milestones, ticks >= rounds ? "yes" : "no");
  return ticks >= rounds ? 0 : 1;
}
