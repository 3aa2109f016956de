// Go, moved while it computes: walk FOLDER ROUNDS, as the programs of test/programs/kinds.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

func main() {
	folder := os.Args[1]
	rounds, _ := strconv.Atoi(os.Args[2])
	var turns atomic.Int64
	numbers := make(chan int)
	sums := make(chan int)
	// Many goroutines on few threads, a collector at work, timers.
	for i := 0; i < 1000; i++ {
		go func() {
			for n := range numbers {
				garbage := make([]byte, 10000)
				garbage[n%10000] = 1
				sums <- n * n
			}
		}()
	}
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			turns.Add(1)
		}
	}()
	fmt.Println("ready")
	for round := 1; round <= rounds; round++ {
		for {
			if _, err := os.Stat(fmt.Sprintf("%s/go-%d", folder, round)); err == nil {
				break
			}
			go func() {
				for n := 0; n < 2000; n++ {
					numbers <- n
				}
			}()
			sum := 0
			for n := 0; n < 2000; n++ {
				sum += <-sums
			}
			if sum != 2664667000 {
				fmt.Println("not so: the sum is", sum)
				os.Exit(1)
			}
			runtime.GC()
		}
		before := turns.Load()
		for late := time.Now().Add(30 * time.Second); turns.Load() < before+3; time.Sleep(time.Millisecond) {
			if time.Now().After(late) {
				fmt.Println("not so: the ticker goes on")
				os.Exit(1)
			}
		}
		fmt.Printf("round %d ok\n", round)
	}
	fmt.Println("done")
	os.Exit(7)
}
