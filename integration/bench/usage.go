package main

import (
	"fmt"
	"os"
	"time"

	"github.com/prometheus/procfs"
)

// usage is what a process and its children have used.
type usage struct {
	cpu      time.Duration
	resident uint64
	peak     uint64 // the most memory since it was last forgotten
}

func (s *subject) usage() (usage, error) {
	var u usage
	processes, err := s.processes()
	if err != nil {
		return u, err
	}
	for _, p := range processes {
		stat, err := p.Stat()
		if err != nil {
			return u, err
		}
		status, err := p.NewStatus()
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(stat.CPUTime() * float64(time.Second))
		u.resident += status.VmRSS
		u.peak += status.VmHWM
	}
	return u, nil
}

// forgetPeak has the kernel count the most memory from now on.
func (s *subject) forgetPeak() error {
	processes, err := s.processes()
	if err != nil {
		return err
	}
	for _, p := range processes {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

// processes are the one that was started and its children, such as nginx's
// workers.
func (s *subject) processes() (procfs.Procs, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	root := s.command.Process.Pid
	var mine procfs.Procs
	for _, p := range all {
		if p.PID == root {
			mine = append(mine, p)
			continue
		}
		if stat, err := p.Stat(); err == nil && stat.PPID == root { // others may have ended
			mine = append(mine, p)
		}
	}
	return mine, nil
}
