/*
 * Holds one thing of each kind below the folder that it is given, says `ready`, and then a dot every tenth of a second:
 * `file` as descriptor 3, a mapping of `mapped`, a listening socket `sockets/door` (4), a deleted file of `ghosts` (5),
 * a datagram socket of the network (6), and `place` as its working directory.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SIZE 4096

static void check(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

static void listen_at(const char *folder) {
  struct sockaddr_un door = {.sun_family = AF_UNIX};
  snprintf(door.sun_path, sizeof door.sun_path, "%s/door", folder);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  check(bind(fd, (void *)&door, sizeof door), folder);
  check(listen(fd, 5), "listen");
}

int main(int argc, char **argv) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  check(argc == 3 ? chdir(argv[1]) : -1, "folder");
  check(open("file", O_RDWR), "file");
  listen_at("sockets");
  check(open("ghosts/ghost", O_RDWR | O_CREAT, 0600), "ghost");
  check(unlink("ghosts/ghost"), "unlink");
  check(bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&any, sizeof any), "datagrams");
  int mapped = open("mapped", O_RDWR);
  check(mapped, "mapped");
  if (mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0) == MAP_FAILED) check(-1, "mmap");
  close(mapped);
  listen_at("crtools-put-root.own");
  listen_at(argv[2]);
  check(chdir("place"), "place");
  for (puts("ready"); fflush(stdout) == 0; usleep(100000)) putchar('.');
}
