package harness

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process has taken of its machine.
type Usage struct {
	CPU        time.Duration
	Resident   int // bytes now
	Peak       int // bytes at most, since ForgetPeak
	Files      int // open files and connections
	Goroutines int
}

// ticksPerSecond is what Linux counts CPU time in, on all machines that Go knows.
const ticksPerSecond = 100

// Usage asks the kernel, and the process itself for its goroutines.
func (g *Gate) Usage() Usage {
	g.tb.Helper()
	return Usage{
		CPU:        g.CPU(),
		Resident:   g.status("VmRSS:"),
		Peak:       g.status("VmHWM:"),
		Files:      g.files(),
		Goroutines: int(g.Metric("go_goroutines")),
	}
}

// CPU is the CPU time that the process has taken so far.
func (g *Gate) CPU() time.Duration {
	g.tb.Helper()
	text := g.proc("stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var ticks int
	for _, field := range fields[11:13] { // utime and stime; the first is the state
		n, err := strconv.Atoi(field)
		if err != nil {
			g.tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// ForgetPeak has the kernel count the peak memory from now on.
func (g *Gate) ForgetPeak() {
	g.tb.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.PID()), []byte("5"), 0); err != nil {
		g.tb.Fatal(err)
	}
}

// Heap is how much of Go's heap is in use, once garbage is collected.
func (g *Gate) Heap() int {
	g.tb.Helper()
	g.Admin(http.MethodGet, "/debug/pprof/heap?gc=1", "", "")
	return int(g.Metric("go_memstats_heap_inuse_bytes"))
}

func (g *Gate) status(name string) int {
	g.tb.Helper()
	for line := range strings.Lines(g.proc("status")) {
		if value, found := strings.CutPrefix(line, name); found {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				g.tb.Fatal(err)
			}
			return kib << 10
		}
	}
	g.tb.Fatalf("the kernel does not tell %s", name)
	return 0
}

func (g *Gate) files() int {
	g.tb.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.PID()))
	if err != nil {
		g.tb.Fatal(err)
	}
	return len(entries)
}

func (g *Gate) proc(file string) string {
	g.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", g.PID(), file))
	if err != nil {
		g.tb.Fatal(err)
	}
	return string(text)
}

// OwnCPU is the CPU time that this process has taken so far.
func OwnCPU() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
