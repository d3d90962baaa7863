// A server as Go programs are shipped: one static file in an image that has nothing else.
//
// GET / answers with what many goroutines have counted together, so that the scheduler, its signals and the garbage collector have work.
package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

func count(size int) int64 {
	var total int64
	var group sync.WaitGroup
	for worker := 0; worker < 50; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			sum := sha256.Sum256(make([]byte, size*worker))
			runtime.Gosched()
			atomic.AddInt64(&total, int64(len(sum)))
		}(worker)
	}
	group.Wait()
	return total
}

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(answer, "counted %d\n", count(10))
	})
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		fmt.Println("asked to end")
		os.Exit(5)
	}()
	if len(os.Args) > 1 {
		fmt.Printf("counted %d\n", count(1000))
		return
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":8000", nil))
	os.Exit(1)
}
