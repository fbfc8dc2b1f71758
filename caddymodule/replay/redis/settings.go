package redis

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

const (
	defaultName    = "default"
	defaultTimeout = 500 * time.Millisecond

	// maxTimeout is far above what a delivery can wait: Twenty gives up after
	// 5 s.
	maxTimeout = 30 * time.Second

	onOutageLocal = "local"
	onOutageDeny  = "deny"

	maxPasswordFile = 64 << 10
)

var (
	namePattern        = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)
	placeholderPattern = regexp.MustCompile(`\{([^{}]*)\}`)
)

// settings are the options of a [Redis], resolved.
type settings struct {
	name      string
	addresses []string
	username  string
	password  string
	db        int
	tls       bool
	master    string
	prefix    string
	timeout   time.Duration
	deny      bool
	logger    *zap.Logger

	// Nil is the machine's.
	roots    *x509.CertPool
	resolver *net.Resolver

	text    string // of all of them, to be compared; no secret
	poolKey string // names what can share connections; no secret
}

// digestKey makes digests of passwords that mean nothing outside this process,
// so that one that comes to a log or an error cannot be tried against a list of
// passwords.
var digestKey = func() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}()

func digest(text string) string {
	mac := hmac.New(sha256.New, digestKey)
	_, _ = io.WriteString(mac, text)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func (r *Redis) resolve(logger *zap.Logger) (*settings, error) {
	s := &settings{
		name: r.GuardName(), db: r.DB, tls: r.TLS, timeout: time.Duration(r.Timeout),
		roots: r.roots, resolver: r.resolver,
	}
	if !namePattern.MatchString(s.name) {
		return nil, fmt.Errorf("name %q is not one of [a-z0-9_-], at most 32 long", s.name)
	}
	var err error
	if s.master, err = expand("master", r.Master); err != nil {
		return nil, err
	}
	if err := s.resolveAddresses(r.Addresses); err != nil {
		return nil, err
	}
	if s.username, err = expand("username", r.Username); err != nil {
		return nil, err
	}
	if s.password, err = r.resolvePassword(logger); err != nil {
		return nil, err
	}
	if s.username != "" && s.password == "" {
		return nil, errors.New("username is given without a password: add 'password {env.NAME}' or password_file")
	}
	if s.prefix, err = expand("prefix", r.Prefix); err != nil {
		return nil, err
	}
	if s.prefix == "" {
		s.prefix = "twentygate:" + s.name + ":"
	}
	if strings.ContainsAny(s.prefix, "{}") {
		// Braces are a hash tag: all keys would go to one node of a Cluster.
		return nil, errors.New("prefix has braces: take a text without them")
	}
	switch {
	case s.db < 0:
		return nil, fmt.Errorf("db is %d: it must be 0 or more", s.db)
	case s.db > 0 && s.cluster():
		return nil, errors.New("db is given together with several addresses, which are a Cluster, and a Cluster has only db 0: remove db, or give one address, or name the master if the addresses are Sentinels")
	case s.timeout < 0:
		return nil, errors.New("timeout is negative: leave it out for its default, 500ms")
	case s.timeout > maxTimeout:
		return nil, fmt.Errorf("timeout is longer than %s, and Twenty gives up after 5s: leave it out for its default, 500ms", maxTimeout)
	case s.timeout == 0:
		s.timeout = defaultTimeout
	}
	switch r.OnOutage {
	case "", onOutageLocal:
	case onOutageDeny:
		s.deny = true
	default:
		return nil, fmt.Errorf("on_outage is %q: it can be local or deny", r.OnOutage)
	}
	s.text = fmt.Sprintf("redis addresses=%s username=%s password=%s db=%d tls=%t master=%s prefix=%s timeout=%s deny=%t",
		strings.Join(s.addresses, ","), s.username, s.passwordDigest(), s.db, s.tls, s.master, s.prefix, s.timeout, s.deny)
	s.logger = logger.With(zap.String("guard", s.name))
	// The guard's name is part of it because the log and the metrics of an
	// outage name the guard.
	s.poolKey = s.name + "/" + digest(s.text)
	return s, nil
}

func (s *settings) passwordDigest() string {
	if s.password == "" {
		return "none"
	}
	return digest(s.password)
}

func (s *settings) cluster() bool { return s.master == "" && len(s.addresses) > 1 }

func (s *settings) resolveAddresses(addresses []string) error {
	if len(addresses) == 0 {
		return errors.New("it has no address: add 'address <host:port>' (JSON: addresses)")
	}
	for i, configured := range addresses {
		address, err := expand("address", configured)
		if err != nil {
			return err
		}
		host, port, _ := net.SplitHostPort(address) // both empty where there are none
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || host == "" || number == 0 {
			// Not quoted: somebody may have written a URL with a password.
			return fmt.Errorf("address %d is not host:port, such as redis.example.com:6379: the user, the password and TLS are options of their own", i+1)
		}
		if slices.Contains(s.addresses, address) {
			return fmt.Errorf("address %s stands twice: remove one", address)
		}
		s.addresses = append(s.addresses, address)
	}
	return nil
}

func (r *Redis) resolvePassword(logger *zap.Logger) (string, error) {
	switch {
	case r.Password != "" && r.PasswordFile != "":
		return "", errors.New("both password and password_file are given: remove one")
	case r.PasswordFile != "":
		path, err := expand("password_file", r.PasswordFile)
		if err != nil {
			return "", err
		}
		return readPassword(path)
	case r.Password == "":
		return "", nil
	}
	if !placeholderPattern.MatchString(r.Password) {
		logger.Warn("the password of Redis stands literally in the config, and so in the config dump of the admin endpoint: use {env.NAME} or password_file",
			zap.String("guard", r.GuardName()))
	}
	return expand("password", r.Password)
}

// withoutPath takes the path out of an error of the file system: where the
// password was put in its place, the path is the password.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// readPassword reads at most a little, since the path may be wrong.
func readPassword(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("password_file can't be read: %w; if it holds the password itself, that belongs into 'password'", withoutPath(err))
	}
	defer file.Close()
	value, err := io.ReadAll(io.LimitReader(file, maxPasswordFile+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("password_file can't be read: %w", withoutPath(err))
	case len(value) > maxPasswordFile:
		return "", errors.New("password_file is longer than 64 KiB: it can't be a password")
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	if len(value) == 0 {
		return "", errors.New("password_file is empty: write the password into it")
	}
	return string(value), nil
}

// expand resolves the placeholders that are the operator's own. It never quotes
// a value, which may be a password.
func expand(option, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	for _, match := range placeholderPattern.FindAllStringSubmatch(value, -1) {
		if !strings.HasPrefix(match[1], "env.") && !strings.HasPrefix(match[1], "file.") {
			return "", fmt.Errorf("%s holds a placeholder that is not {env.NAME} or {file.PATH}: it is resolved once, when the config is loaded; a password with braces goes into a password_file", option)
		}
	}
	resolved, err := caddy.NewReplacer().ReplaceOrErr(value, true, true) // an empty one is an error
	if err != nil {
		return "", fmt.Errorf("%s is empty: set the variable or the file that it names", option)
	}
	return resolved, nil
}
