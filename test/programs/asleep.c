/*
 * Threads that sleep in calls that end with EINTR when something stops them for a moment (signal(7)), or begin anew then.
 * It says `ready` when all are about to sleep, and of each call that has returned what it has returned with.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LONG_S 100000

static int a_socket(int kind) {
  int pair[2];
  const struct timeval most = {.tv_sec = LONG_S};
  if (socketpair(AF_UNIX, kind, 0, pair)) return -1;
  setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  return pair[0];
}

static long in_epoll(void) {
  struct epoll_event event;
  return epoll_wait(epoll_create1(0), &event, 1, -1);
}
static long in_epoll_for_long(void) {
  struct epoll_event event;
  return epoll_pwait(epoll_create1(0), &event, 1, LONG_S * 1000, NULL);
}
static long in_sigwait(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return sigwaitinfo(&set, NULL);
}
static long in_semop(void) {
  struct sembuf take = {.sem_op = -1};
  return semop(semget(IPC_PRIVATE, 1, 0600), &take, 1);
}
static long in_recv(void) {
  char byte;
  return recv(a_socket(SOCK_STREAM), &byte, 1, 0);
}
static long in_recvmsg(void) {
  struct msghdr message = {0};
  return recvmsg(a_socket(SOCK_DGRAM), &message, 0);
}
static long in_accept(void) {
  struct sockaddr_un any = {.sun_family = AF_UNIX};
  const struct timeval most = {.tv_sec = LONG_S};
  const int socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
  bind(socket_, (struct sockaddr *)&any, sizeof any.sun_family);
  listen(socket_, 1);
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  return accept(socket_, NULL, NULL);
}
static long in_sleep(void) {
  const struct timespec span = {.tv_sec = LONG_S};
  return nanosleep(&span, NULL);
}
static long in_pause(void) { return pause(); }

static const struct call {
  const char *name;
  long (*sleep)(void);
} calls[] = {
    {"epoll_wait", in_epoll}, {"epoll_pwait", in_epoll_for_long}, {"sigwaitinfo", in_sigwait},
    {"semop", in_semop},      {"recv", in_recv},                  {"recvmsg", in_recvmsg},
    {"accept", in_accept},    {"nanosleep", in_sleep},            {"pause", in_pause},
};

static void *fall_asleep(void *given) {
  const struct call *call = given;
  const long result = call->sleep();
  printf("%s: %ld %s\n", call->name, result, strerror(errno));
  fflush(stdout);
  return NULL;
}

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (size_t nth = 0; nth < sizeof calls / sizeof *calls; nth++) {
    pthread_t thread;
    pthread_create(&thread, NULL, fall_asleep, (void *)&calls[nth]);
  }
  printf("ready\n");
  fflush(stdout);
  for (;;) pause();
}
