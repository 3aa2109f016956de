/*
 * An MPI program: all its processes add up their numbers, again and again, and each looks whether the sum is right. The
 * first says every few rounds how far they are, and whether the file that is named is there, which is the end.
 */
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>

/* A round that is slow enough for a machine that has two cores for all ranks. */
#define ROUND_US 20000
#define ROUNDS_A_LINE 10

static long long sum_of(long long mine) {
  long long sum = 0;
  MPI_Allreduce(&mine, &sum, 1, MPI_LONG_LONG, MPI_SUM, MPI_COMM_WORLD);
  return sum;
}

int main(int argc, char **argv) {
  int rank, size;
  char host[65];
  if (argc != 2) return 2;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  gethostname(host, sizeof host);
  printf("rank %d of %d on %s\n", rank, size, host);
  fflush(stdout);
  for (long long round = 0, over = 0; !over; round++) {
    const long long right = size * (size - 1LL) / 2 + size * round, sum = sum_of(rank + round);
    if (sum != right) {
      printf("not so: rank %d has %lld in round %lld, which is %lld\n", rank, sum, round, right);
      fflush(stdout);
      MPI_Abort(MPI_COMM_WORLD, 3);
    }
    over = sum_of(rank == 0 && access(argv[1], F_OK) == 0);
    if (rank == 0 && round % ROUNDS_A_LINE == 0) printf("round %lld\n", round);
    if (rank == 0 && over) printf("right to the end\n");
    fflush(stdout);
    usleep(ROUND_US);
  }
  MPI_Finalize();
  return 0;
}
