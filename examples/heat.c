/*
 * How heat spreads over a square plate: two burners below it, its edges kept cold.
 *
 *   heat [STEPS]
 *
 * Three workers compute a step, each a band of rows. Eight sensors on the plate raise an alarm, once each, when it gets
 * too hot where they are. A second process, the auditor, gets every reading through a pipe and answers at the end with a
 * digest of them all. What is printed depends on nothing but STEPS.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 400
#define SWEEPS 300 /* of the plate in a step; even, so that each step ends where it began: in plate[0] */
#define WORKERS 3
#define SENSORS 8
#define CONDUCTION 0.2
#define TOO_HOT 10.0
#define OUTLOOK_STEP 26

struct reading {
  int step, row, column, alarms;
  double mean, hottest;
};

struct sensor {
  int row, column;
};

static double plate[2][SIZE][SIZE];
static const struct sensor sensors[SENSORS] = {
    {100, 104}, {100, 110}, {290, 300}, {110, 125}, {100, 145}, {100, 174}, {200, 200}, {20, 380},
};
static int tripped[SENSORS];

/* How many sensors have tripped: changes rarely. */
int alarms;
/* The second process. */
pid_t auditor;

static pthread_barrier_t begin, swept, end;
static int finished;

/* ---- The auditor ---- */

struct book {
  int count;
  double last_mean, largest_rise;
  uint64_t digest;
};

static int read_all(int file, void *to, size_t size) {
  for (size_t got = 0; got < size;) {
    ssize_t count = read(file, (char *)to + got, size - got);
    if (count == 0) return 0;
    if (count < 0 && errno != EINTR) exit(1);
    if (count > 0) got += count;
  }
  return 1;
}

static void write_all(int file, const void *from, size_t size) {
  for (size_t put = 0; put < size;) {
    ssize_t count = write(file, (const char *)from + put, size - put);
    if (count < 0 && errno != EINTR) exit(1);
    if (count > 0) put += count;
  }
}

static uint64_t mix(uint64_t digest, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (digest ^ bits) * 0x100000001b3u;
}

static void enter(struct book *book, const struct reading *reading) {
  double rise = reading->mean - book->last_mean;
  if (rise > book->largest_rise) book->largest_rise = rise;
  book->last_mean = reading->mean;
  book->digest = mix(book->digest, reading->mean);
  book->digest = mix(book->digest, reading->hottest);
  book->count++;
}

static void audit(int readings, int verdict) {
  struct book book = {.digest = 0xcbf29ce484222325u};
  struct reading reading;
  while (read_all(readings, &reading, sizeof reading)) enter(&book, &reading);
  write_all(verdict, &book, sizeof book);
  _exit(0);
}

/* Forks it: readings go to to[1], its verdict comes from from[0]. */
static void start_auditor(int to[2], int from[2]) {
  if (pipe(to) || pipe(from)) exit(1);
  auditor = fork();
  if (auditor < 0) exit(1);
  if (auditor == 0) {
    close(to[1]);
    close(from[0]);
    audit(to[0], from[1]);
  }
  close(to[0]);
  close(from[1]);
}

/* ---- The workers ---- */

static void relax(double (*from)[SIZE], double (*to)[SIZE], int first, int last) {
  for (int row = first; row < last; row++)
    for (int column = 1; column < SIZE - 1; column++) {
      double here = from[row][column];
      double around = from[row - 1][column] + from[row + 1][column] + from[row][column - 1] + from[row][column + 1];
      to[row][column] = here + CONDUCTION * (around - 4 * here);
    }
}

/* The burners hold what is above them at a constant temperature. */
static void heat(double (*at)[SIZE]) {
  for (int row = -4; row <= 4; row++)
    for (int column = -4; column <= 4; column++) {
      at[100 + row][96 + column] = 90;
      at[290 + row][280 + column] = 60;
    }
}

static void *work(void *argument) {
  long me = (long)argument;
  int band = (SIZE - 2) / WORKERS + 1;
  int first = 1 + (int)me * band;
  int last = first + band < SIZE - 1 ? first + band : SIZE - 1;
  for (;;) {
    pthread_barrier_wait(&begin);
    if (finished) return NULL;
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
      relax(plate[sweep % 2], plate[1 - sweep % 2], first, last);
      /* One of them is told that it is the last. */
      if (pthread_barrier_wait(&swept) == PTHREAD_BARRIER_SERIAL_THREAD) heat(plate[1 - sweep % 2]);
      pthread_barrier_wait(&swept);
    }
    pthread_barrier_wait(&end);
  }
}

static void advance(void) {
  pthread_barrier_wait(&begin);
  pthread_barrier_wait(&end);
}

/* ---- What is seen of the plate ---- */

static double mean_of(double (*at)[SIZE]) {
  double sum = 0;
  for (int row = 0; row < SIZE; row++)
    for (int column = 0; column < SIZE; column++) sum += at[row][column];
  return sum / (SIZE * SIZE);
}

/* The farthest from the first burner that is as warm as a hand. */
static void find_front(struct reading *reading) {
  for (int column = 96; column < SIZE; column++)
    if (plate[0][100][column] >= 35) reading->column = column;
  for (int row = 100; row < SIZE; row++)
    if (plate[0][row][96] >= 35) reading->row = row;
}

static int check_sensors(void) {
  int news = 0;
  for (int i = 0; i < SENSORS; i++) {
    const struct sensor *sensor = &sensors[i];
    if (tripped[i] || plate[0][sensor->row][sensor->column] < TOO_HOT) continue;
    tripped[i] = 1;
    news++;
  }
  return news;
}

static struct reading survey(int step) {
  struct reading reading = {.step = step};
  reading.hottest = plate[0][100][96];
  reading.mean = mean_of(plate[0]);
  find_front(&reading);
  int news = check_sensors();
  if (news > 0) alarms += news;
  reading.alarms = alarms;
  return reading;
}

/* The mean temperature far in the future: the plate's, coarsened, swept until it changes no more. Takes seconds. */
static double forecast(int rounds) {
  enum { COARSE = SIZE / 4 };
  static double coarse[COARSE][COARSE];
  for (int round = 0; round < rounds; round++) {
    for (int row = 1; row < COARSE - 1; row++)
      for (int column = 1; column < COARSE - 1; column++)
        coarse[row][column] = (coarse[row - 1][column] + coarse[row + 1][column] + coarse[row][column - 1] +
                               coarse[row][column + 1]) / 4;
    for (int i = -1; i <= 1; i++) {
      coarse[25 + i][24] = coarse[25][24 + i] = 90;
      coarse[72 + i][70] = coarse[72][70 + i] = 60;
    }
  }
  double sum = 0;
  for (int row = 0; row < COARSE; row++)
    for (int column = 0; column < COARSE; column++) sum += coarse[row][column];
  return sum / (COARSE * COARSE);
}

static void print(const struct reading *reading) {
  printf("step %2d  mean %8.5f  front at %d,%d  alarms %d\n", reading->step, reading->mean, reading->row,
         reading->column, reading->alarms);
}

static void simulate(int steps, int readings) {
  for (int step = 1; step <= steps; step++) {
    advance();
    struct reading reading = survey(step);
    print(&reading);
    write_all(readings, &reading, sizeof reading);
    if (step == OUTLOOK_STEP) {
      double outlook = forecast(80000);
      printf("outlook: %.5f in the end\n", outlook);
    }
  }
}

int main(int argc, char **argv) {
  int steps = argc > 1 ? atoi(argv[1]) : 60;
  int to_auditor[2], from_auditor[2];
  setvbuf(stdout, NULL, _IOLBF, 0);
  start_auditor(to_auditor, from_auditor);

  pthread_t workers[WORKERS];
  pthread_barrier_init(&begin, NULL, WORKERS + 1);
  pthread_barrier_init(&swept, NULL, WORKERS);
  pthread_barrier_init(&end, NULL, WORKERS + 1);
  heat(plate[0]);
  for (long i = 0; i < WORKERS; i++) pthread_create(&workers[i], NULL, work, (void *)i);

  simulate(steps, to_auditor[1]);

  finished = 1;
  pthread_barrier_wait(&begin);
  for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);

  struct book book;
  int status;
  close(to_auditor[1]);
  if (!read_all(from_auditor[0], &book, sizeof book)) return 1;
  while (waitpid(auditor, &status, 0) < 0 && errno == EINTR) continue;
  printf("audit: %d readings, digest %016llx\n", book.count, (unsigned long long)book.digest);
  return book.count == steps && status == 0 ? 0 : 1;
}
