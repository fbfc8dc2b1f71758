//go:build unix

package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap/zapcore"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// works lets two replicas share a guard, in all that needs Redis.
func works(t *testing.T, a, b *replica) {
	t.Helper()
	for range 50 {
		e := newEntry()
		a.claim(e).Release()
		b.claim(e).Keep()
		a.refused(e, replay.ErrReplayed)
	}
	id := newID()
	a.body(id, time.Hour, time.Minute).Release()
	b.body(id, time.Hour, time.Minute).Keep()
	if _, err := a.ClaimBody(t.Context(), id, time.Hour, time.Minute); err != replay.ErrDuplicate {
		t.Errorf("a body that was taken gave %v", err)
	}
	for _, r := range []*replica{a, b} {
		if lost, _ := r.outages(); lost != 0 {
			t.Errorf("the log has %d outages: %v", lost, r.logs.FilterMessage(logLost).All()[0].ContextMap())
		}
	}
}

func TestTLSAndAUser(t *testing.T) {
	dir := t.TempDir()
	certificate, key, roots := selfMade(t, dir)
	users := filepath.Join(dir, "users.acl")
	// No more than the documentation says.
	const rules = "user default off\nuser admin on >admin ~* +@all\n" +
		"user gate on >secret ~twentygate:* +eval +evalsha +get +set +del +pttl +pexpire +select\n"
	if err := os.WriteFile(users, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	s := startServerAt(t, address, func(o *goredis.Options) {
		o.Username, o.Password = "admin", "admin"
		o.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	}, "--tls-port", portOf(address), "--port", "0", "--tls-cert-file", certificate, "--tls-key-file", key,
		"--tls-auth-clients", "no", "--aclfile", users)
	t.Setenv("TEST_REDIS_PASSWORD", "secret")
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := Redis{Addresses: []string{s.address}, Username: "gate", TLS: true, DB: 3, roots: roots}
	first, second, untrusting, nobody := base, base, base, base
	first.Name, first.Password = "a", "{env.TEST_REDIS_PASSWORD}"
	second.Name, second.PasswordFile = "b", file
	a, b := newReplica(t, &first), newReplica(t, &second)
	works(t, a, b)
	a.settled(t)
	if n := a.logs.FilterLevelExact(zapcore.WarnLevel).Len(); n != 0 {
		t.Errorf("%d warnings from a server that does not allow INFO", n)
	}

	untrusting.Name, untrusting.Password, untrusting.OnOutage = "c", "{env.TEST_REDIS_PASSWORD}", onOutageDeny
	untrusting.roots = x509.NewCertPool()
	c := newReplica(t, &untrusting)
	c.refused(newEntry(), replay.ErrUnavailable)
	nobody.Name, nobody.Password, nobody.OnOutage = "d", "{env.TEST_REDIS_PASSWORD}x", onOutageDeny
	d := newReplica(t, &nobody)
	err := d.refused(newEntry(), replay.ErrUnavailable)
	for r, want := range map[*replica]string{c: "the certificate is not valid here", d: "the username or the password is wrong"} {
		entry := r.logs.FilterMessage(logLost).All()[0].ContextMap()
		if hint, _ := entry["hint"].(string); !strings.HasPrefix(hint, want) {
			t.Errorf("hint is %q, error %v", hint, entry["error"])
		}
		if strings.Contains(fmt.Sprint(entry, err), "secret") {
			t.Errorf("the password is in %v or %v", entry, err)
		}
	}
}

// selfMade writes a certificate for 127.0.0.1, which is its own authority.
func selfMade(t *testing.T, dir string) (certificate, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: privateDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return certificate, key, roots
}

func startCluster(t *testing.T) *server {
	t.Helper()
	s := startServer(t, "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1",
		"--cluster-port", portOf(freeAddress(t)))
	if err := s.admin.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster is up", func() bool {
		return strings.Contains(s.admin.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	return s
}

func TestACluster(t *testing.T) {
	s := startCluster(t)
	addresses := []string{s.address, "localhost:" + portOf(s.address)}
	a := newReplica(t, &Redis{Name: "a", Addresses: addresses})
	b := newReplica(t, &Redis{Name: "b", Addresses: addresses})
	works(t, a, b)
	if n := a.link().client().(*goredis.ClusterClient); n == nil {
		t.Fatal("several addresses are no cluster")
	}
}

func TestAClusterThatIsPausedAndKilled(t *testing.T) {
	s := startCluster(t)
	addresses := []string{s.address, "localhost:" + portOf(s.address)}
	a := newReplica(t, &Redis{Name: "a", Addresses: addresses, Timeout: short, OnOutage: onOutageDeny})
	b := newReplica(t, &Redis{Name: "b", Addresses: addresses})
	a.claim(newEntry()).Keep()
	s.pause()
	e := newEntry()
	bounded(t, "300 deliveries", func() {
		a.refused(e, replay.ErrUnavailable)
		for range 300 {
			a.outcome(t, onOutageDeny)
		}
	})
	s.resume()
	a.up()
	a.settled(t)
	b.claim(e).Keep()
	a.refused(e, replay.ErrReplayed)

	s.kill()
	bounded(t, "300 deliveries", func() {
		for range 300 {
			a.outcome(t, onOutageDeny)
		}
	})
	s.start()
	a.up()
	e = newEntry()
	a.claim(e).Keep()
	b.refused(e, replay.ErrReplayed)
}

// sentinel watches one master.
func startSentinel(t *testing.T, master string) string {
	t.Helper()
	if _, err := exec.LookPath("redis-sentinel"); err != nil {
		t.Fatal("this test needs redis-sentinel: install it (Debian: apt-get install redis-sentinel)")
	}
	address := freeAddress(t)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor gates 127.0.0.1 %s 1\nsentinel down-after-milliseconds gates 60000\n",
		portOf(address), portOf(master))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.Command("redis-sentinel", config)
	process.Dir = filepath.Dir(config)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	eventually(t, "the sentinel answers", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address
}

func TestSentinels(t *testing.T) {
	s := startServer(t)
	sentinel := startSentinel(t, s.address)
	addresses := []string{freeAddress(t), sentinel} // the first is down
	a := newReplica(t, &Redis{Name: "a", Addresses: addresses, Master: "gates", DB: 1})
	b := newReplica(t, &Redis{Name: "b", Addresses: addresses, Master: "gates", DB: 1})
	works(t, a, b)

	unknown := newReplica(t, &Redis{Name: "c", Addresses: addresses, Master: "others", Timeout: short, OnOutage: onOutageDeny})
	unknown.refused(newEntry(), replay.ErrUnavailable)
	s.kill()
	s.start()
	a.up()
	e := newEntry()
	a.claim(e).Keep()
	b.refused(e, replay.ErrReplayed)
}

func TestAnEvictingServerIsWarnedOf(t *testing.T) {
	const message = "redis may evict keys when its memory is full, and what it evicts can be replayed: set its maxmemory-policy to noeviction"
	for name, test := range map[string]struct {
		args []string
		want int
	}{
		"evicting":         {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"}, 1},
		"refusing":         {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, 0},
		"without a limit":  {[]string{"--maxmemory-policy", "allkeys-lru"}, 0},
		"INFO is not told": {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--rename-command", "INFO", ""}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, test.args...)
			a := newReplica(t, &Redis{Addresses: []string{s.address}})
			for range 3 {
				a.claim(newEntry())
				a.settled(t)
			}
			if n := a.logged(message); n != test.want {
				t.Fatalf("warned %d times after connecting", n)
			}
			s.kill()
			eventually(t, "the outage is noticed", func() bool {
				a.claim(newEntry())
				return a.link().down.Load()
			})
			s.start()
			a.up()
			a.settled(t)
			if n := a.logged(message); n != 2*test.want {
				t.Fatalf("warned %d times after an outage", n)
			}
		})
	}
}

// A server that was away at first is looked at once, when it comes.
func TestAnEvictingServerThatComesLaterIsWarnedOfOnce(t *testing.T) {
	s := startServer(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	s.kill()
	a := newReplica(t, &Redis{Addresses: []string{s.address}})
	a.claim(newEntry())
	s.start()
	a.up()
	a.settled(t)
	a.claim(newEntry())
	a.settled(t)
	if n := a.logs.FilterMessageSnippet("redis may evict keys").Len(); n != 1 {
		t.Fatalf("warned %d times", n)
	}
}

func TestEvictingClusterNodesAreWarnedOf(t *testing.T) {
	s := startCluster(t)
	s.admin.ConfigSet(context.Background(), "maxmemory", "100mb")
	s.admin.ConfigSet(context.Background(), "maxmemory-policy", "allkeys-random")
	a := newReplica(t, &Redis{Addresses: []string{s.address, "localhost:" + portOf(s.address)}})
	a.claim(newEntry())
	a.settled(t)
	if n := a.logs.FilterMessageSnippet("redis may evict keys").Len(); n != 1 {
		t.Fatalf("warned %d times", n)
	}
}
