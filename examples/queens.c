/*
 * Places queens on ever larger boards, one to a row, none attacking another. The search recurses; when it has found a
 * placement it leaves all its frames at once with longjmp. In between it counts all placements on one board.
 *
 *   queens [LARGEST] [COUNTED]
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 16

struct board {
  int size, column[MOST];
  long tried;
};

/* How many boards turned out to be the hardest so far: changes rarely. */
int records;
long hardest;
static jmp_buf placed;

static int attacked(const struct board *board, int row, int column) {
  for (int above = 0; above < row; above++) {
    int other = board->column[above];
    if (other == column || abs(other - column) == row - above) return 1;
  }
  return 0;
}

static void place(struct board *board, int row) {
  if (row == board->size) longjmp(placed, 1);
  for (int column = 0; column < board->size; column++) {
    board->tried++;
    if (attacked(board, row, column)) continue;
    board->column[row] = column;
    place(board, row + 1);
  }
}

static int solve(struct board *board) {
  if (setjmp(placed)) return 1;
  place(board, 0);
  return 0;
}

static long count(struct board *board, int row) {
  if (row == board->size) return 1;
  long found = 0;
  for (int column = 0; column < board->size; column++)
    if (!attacked(board, row, column)) {
      board->column[row] = column;
      found += count(board, row + 1);
    }
  return found;
}

static void show(const struct board *board) {
  printf("%2d after %6ld:", board->size, board->tried);
  for (int row = 0; row < board->size; row++) printf(" %d", board->column[row]);
  printf("\n");
}

static int examine(int size, int round) {
  struct board board = {.size = size};
  int found = solve(&board);
  long tried = board.tried;
  int harder = tried > hardest;
  if (round == 0 && found) show(&board);
  if (harder) hardest = tried;
  if (harder) records++;
  return found;
}

int main(int argc, char **argv) {
  int largest = argc > 1 ? atoi(argv[1]) : 14;
  int counted = argc > 2 ? atoi(argv[2]) : 14;
  long solved = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int size = 4; size < 10; size++) solved += examine(size, 0);
  for (int round = 1; round <= 40000; round++) solved += examine(8, round);
  struct board board = {.size = counted};
  long ways = count(&board, 0);
  printf("%d queens: %ld ways\n", counted, ways);
  for (int round = 1; round <= 600000; round++) solved += examine(8, round);
  for (int size = 10; size <= largest; size++) solved += examine(size, 0);
  for (int round = 1; round <= 20000; round++) solved += examine(8, round);
  printf("solved %ld, records %d, hardest %ld\n", solved, records, hardest);
  return 0;
}
