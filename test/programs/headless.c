/* A process whose first thread has ended: the one that is left says `ready`, and waits in alone(). */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_t first;

static void alone(void) {
  for (;;) pause();
}

static void *go_on(void *unused) {
  pthread_join(first, NULL);
  printf("ready\n");
  fflush(stdout);
  alone();
  return unused;
}

int main(void) {
  pthread_t other;
  first = pthread_self();
  if (pthread_create(&other, NULL, go_on, NULL)) return 1;
  pthread_exit(NULL);
}
