/* Makes the file argv[1] and deletes it while it has it open, again and again, until it is killed. */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv) {
  while (argc == 2) {
    const int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
    unlink(argv[1]);
    close(fd);
  }
  return 2;
}
