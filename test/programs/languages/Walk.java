// Java, moved while it computes: Walk FOLDER ROUNDS, as the programs of test/programs/kinds.
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

public class Walk {
  static long work(int seed) {
    // Enough for the compiler at run time, with garbage for the collector.
    List<Integer> numbers = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) numbers.add((i * 31 + seed) % 1000);
    return numbers.stream().mapToLong(Integer::longValue).sum();
  }

  public static void main(String[] args) throws Exception {
    final int rounds = Integer.parseInt(args[1]);
    final long expected = work(5);
    final AtomicLong ticks = new AtomicLong();
    var timer = Executors.newSingleThreadScheduledExecutor();
    timer.scheduleAtFixedRate(ticks::incrementAndGet, 5, 5, TimeUnit.MILLISECONDS);
    ExecutorService pool = Executors.newFixedThreadPool(8);
    System.out.println("ready");
    for (int round = 1; round <= rounds; round++) {
      do {
        List<Future<Long>> sums = new ArrayList<>();
        for (int i = 0; i < 16; i++) sums.add(pool.submit(() -> work(5)));
        for (Future<Long> sum : sums) if (sum.get() != expected) fail("the sum is " + sum.get());
        Thread.sleep(10);
      } while (!Files.exists(Path.of(args[0], "go-" + round)));
      final long before = ticks.get();
      final long late = System.nanoTime() + 30_000_000_000L;
      while (ticks.get() < before + 3) {
        if (System.nanoTime() > late) fail("the timer goes on");
        Thread.sleep(1);
      }
      System.out.println("round " + round + " ok");
    }
    System.out.println("done");
    System.exit(7);
  }

  static void fail(String what) {
    System.out.println("not so: " + what);
    System.exit(1);
  }
}
