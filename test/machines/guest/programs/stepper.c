/*
 * A program for a debugger: two lines that take as long as somebody wants. `held` says in a file of the program's folder
 * that it has begun, and waits for another one to come.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { PAUSE_US = 20000 };

static int held(const char *begun, const char *go, int value) {
  close(open(begun, O_CREAT | O_WRONLY, 0644));
  while (access(go, F_OK) != 0) usleep(PAUSE_US);
  return value + 1;
}

int main(void) {
  struct utsname machine;
  int value = 40;
  value = held("begun-1", "go-1", value); /* there */
  uname(&machine); /* arrived */
  value = held("begun-2", "go-2", value); /* and back */
  uname(&machine); /* at home */
  printf("%d\n", value);
  return 0;
}
