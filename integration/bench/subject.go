package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// subject is a process under test.
type subject struct {
	name    string
	url     string
	admin   string // Caddy's admin endpoint; empty for others
	command *exec.Cmd
	ended   chan struct{}
	said    bytes.Buffer
}

const patience = 30 * time.Second

// start runs a command until the benchmark ends, and waits until it answers on
// the address.
func (b *bench) start(name, address string, command *exec.Cmd) (*subject, error) {
	s := &subject{name: name, url: "http://" + address + "/", command: command, ended: make(chan struct{})}
	command.Env = append(os.Environ(), append(command.Env, "TWENTY_WEBHOOK_SECRET="+secret)...)
	// Logs are written, as in production, and nobody reads them.
	if command.Stderr == nil {
		command.Stderr = &limitedWriter{w: &s.said, left: 64 << 10}
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = command.Wait()
		close(s.ended)
	}()
	b.subjects = append(b.subjects, s)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-s.ended:
			return nil, fmt.Errorf("%s ended at once:\n%s", name, s.said.String())
		default:
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s does not listen on %s after %v:\n%s", name, address, patience, s.said.String())
}

func (s *subject) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.command.Process.Kill()
		<-s.ended
	}
}

// limitedWriter keeps the beginning of what is written, and takes all of it.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	kept := p[:min(len(p), l.left)]
	l.left -= len(kept)
	_, err := l.w.Write(kept)
	return len(p), err
}

// startCaddy runs the binary with a configuration.
func (b *bench) startCaddy(name string, change func(map[string]any)) (*subject, error) {
	address, admin := freeAddress(), freeAddress()
	config, err := b.adapt(address, admin, change)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(b.dir, name+".json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return nil, err
	}
	command := exec.Command(b.binary, "run", "--config", path)
	command.Env = []string{"XDG_DATA_HOME=" + b.dir, "XDG_CONFIG_HOME=" + b.dir}
	s, err := b.start(name, address, command)
	if err == nil {
		s.admin = admin
	}
	return s, err
}

func (b *bench) startNginx() (*subject, error) {
	address := freeAddress()
	template, err := os.ReadFile(filepath.Join(b.options.subjects, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	scripts, err := filepath.Abs(b.options.subjects)
	if err != nil {
		return nil, err
	}
	config := strings.NewReplacer("LISTEN", address, "UPSTREAM", b.upstream, "SUBJECTS", scripts).Replace(string(template))
	prefix := filepath.Join(b.dir, "nginx")
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink("/usr/lib/nginx/modules", filepath.Join(prefix, "modules")); err != nil {
		return nil, err
	}
	path := filepath.Join(prefix, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return nil, err
	}
	return b.start("nginx+njs", address, exec.Command("nginx", "-p", prefix, "-c", path, "-e", "stderr"))
}

func (b *bench) startExpress() (*subject, error) {
	address := freeAddress()
	script := filepath.Join(b.options.subjects, "express", "verifier.mjs")
	return b.start("express", address, exec.Command("node", script, address, b.upstream))
}

// startUpstream serves whatever comes with a short answer, as an app would.
func startUpstream() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	})}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), nil
}

// given are the addresses that freeAddress has returned.
var given = map[string]bool{}

// freeAddress returns an address that nobody has, and never one twice: Caddy shares
// a port with another Caddy without a word.
func freeAddress() string {
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		address := listener.Addr().String()
		_ = listener.Close()
		if !given[address] {
			given[address] = true
			return address
		}
	}
}
