/* Counts, as long as somebody lets it. */
#include <unistd.h>

int main(void) {
  for (int count = 1;; count++)
    usleep(1000); /* counted here */
}
