/*
 * pthread_mutex_unlock(3) for a thread that is not given the processor after it: with
 * -Dpthread_mutex_unlock=late_unlock, what other threads do meanwhile is done often, and not once in a million times.
 */
#undef pthread_mutex_unlock
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

int late_unlock(pthread_mutex_t *mutex);

int late_unlock(pthread_mutex_t *mutex) {
  int result = pthread_mutex_unlock(mutex);
  if (random() % 3 == 0) usleep((useconds_t)(random() % 1000));
  return result;
}
