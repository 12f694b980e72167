// SPDX-License-Identifier: MIT

// What Go's goroutines cost: the same as tests/bench/cases, without Lua.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func us(since time.Time, n int) float64 {
	return float64(time.Since(since).Nanoseconds()) / 1e3 / float64(n)
}

func ms(since time.Time) float64 {
	return float64(time.Since(since).Nanoseconds()) / 1e6
}

func spawnRunJoin(n int) float64 {
	var wg sync.WaitGroup
	name, x := "web-01", 42
	began := time.Now()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			s := name + strconv.Itoa(x)
			_ = s
			wg.Done()
		}()
	}
	wg.Wait()
	return us(began, n)
}

func await(n int) float64 {
	began := time.Now()
	for i := 0; i < n; i++ {
		result := make(chan string, 1)
		go func() { result <- "r" }()
		<-result
	}
	return us(began, n)
}

func sleepers(n int, d time.Duration) float64 {
	var wg sync.WaitGroup
	began := time.Now()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			time.Sleep(d)
			wg.Done()
		}()
	}
	wg.Wait()
	return ms(began)
}

func pool(n int) float64 {
	var wg sync.WaitGroup
	tasks := make(chan func() int, 256)
	began := time.Now()
	wg.Add(4)
	for w := 0; w < 4; w++ {
		go func() {
			for task := range tasks {
				task()
			}
			wg.Done()
		}()
	}
	for i := 0; i < n; i++ {
		i := i
		tasks <- func() int { return i }
	}
	close(tasks)
	wg.Wait()
	return float64(n) / time.Since(began).Seconds()
}

func main() {
	scale, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		panic(err)
	}
	n := int(20000 * scale)
	fmt.Printf("go_spawn_run_join_us %.3f\n", spawnRunJoin(n))
	fmt.Printf("go_await_us %.3f\n", await(n))
	fmt.Printf("go_pool_tasks_per_s %.0f\n", pool(5*n))
	fmt.Printf("go_sleepers_extra_ms %.3f\n", sleepers(n/2, 2*time.Second)-2000)
	fmt.Printf("go_sleep_20_of_250_ms %.3f\n", sleepers(20, 250*time.Millisecond))
	fmt.Printf("go_sleep_1000_of_1_s_ms %.3f\n", sleepers(1000, time.Second))
}
