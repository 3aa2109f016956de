/* A process that waits for its child of vfork(2), which waits in child(): nothing stops the parent. It says `ready`. */
#include <stdio.h>
#include <unistd.h>

static void child(void) {
  for (;;) pause();
}

int main(void) {
  printf("ready\n");
  fflush(stdout);
  if (vfork() == 0) child();
  return 0;
}
