// SPDX-License-Identifier: MIT

// What a Lua in Go costs: fib(32), and a function in a state of its own for each goroutine.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"
)

const fib = `local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end fib(32)`

func run(text string) {
	state := lua.NewState()
	defer state.Close()
	if err := state.DoString(text); err != nil {
		panic(err)
	}
}

func main() {
	var wg sync.WaitGroup
	scale, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		panic(err)
	}
	n := int(2000*scale) + 1
	began := time.Now()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			run("local s = 'web-01' .. 42")
			wg.Done()
		}()
	}
	wg.Wait()
	fmt.Printf("gopher_spawn_run_join_us %.3f\n", float64(time.Since(began).Nanoseconds())/1e3/float64(n))
	if scale >= 0.5 {
		began = time.Now()
		run(fib)
		fmt.Printf("gopher_fib_32_ms %.3f\n", float64(time.Since(began).Nanoseconds())/1e6)
	}
}
