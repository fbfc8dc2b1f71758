package integration

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
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twentygate/twentygate/integration/harness"
)

// originCertificate writes a certificate for a name, and its key.
func originCertificate(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secretPart, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(t.TempDir(), "origin.pem"), filepath.Join(t.TempDir(), "origin.key")
	writeFile(t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secretPart})))
	return certificate, key
}

// from is a client at an address of its own.
func from(t *testing.T, address string) *harness.Client {
	t.Helper()
	client := harness.NewClient(t)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	client.Transport.(*http.Transport).DialContext = dialer.DialContext
	return client
}

// trusting is what a client needs to trust the origin by its name.
func trusting(t *testing.T, certificate, host string) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, certificate))) {
		t.Fatal("the certificate can't be read")
	}
	return &tls.Config{RootCAs: pool, ServerName: host}
}

// cdnBody is a body for the address that Twenty posts to.
func cdnBody() []byte {
	return []byte(strings.ReplaceAll(string(harness.Body()), harness.TargetURL, "https://hooks.example.com/"))
}

// Through a CDN the verdicts are those without it, the log has the caller's address
// and not what the caller says, and what a CDN spoils has the verdict that the README
// says.
func TestExampleCDN(t *testing.T) {
	t.Parallel()
	const host, caller, stranger = "hooks.example.com", "127.0.0.2", "127.0.0.3"
	certificate, key := originCertificate(t, host)
	upstream := harness.NewUpstream(t)
	environment := []string{"UPSTREAM=" + upstream.Address()}

	caddyfile := mapped(t, read(t, examples+"cdn/Caddyfile"),
		"/etc/twentygate/secret", secretPlaces(t),
		"/etc/twentygate/origin.pem", certificate, "/etc/twentygate/origin.key", key)
	wantValid(t, caddyfile, environment...)
	gate := harness.Start(t, mapped(t, caddyfile,
		"127.0.0.1:2019", "127.0.0.1:{{admin}}",
		host+" {", host+":{{gate}} {",
		"203.0.113.0/24", "127.0.0.1/32",
	), environment...)

	origin := fmt.Sprintf(`
			proxy_pass https://%s/;
			proxy_http_version 1.1;
			proxy_ssl_server_name on;
			proxy_ssl_name %s;
			proxy_ssl_verify on;
			proxy_ssl_trusted_certificate %s;
			proxy_set_header Host %[2]s;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
	`, gate.Address(), host, certificate)
	at := func(path, more string) string { return "location " + path + " {" + origin + more + "}\n" }
	cdn := "http://" + harness.StartNginx(t, "127.0.0.1:1", "client_max_body_size 10m;\n"+at("/good", "")+
		at("/drops", `proxy_set_header X-Twenty-Webhook-Signature "";`)+
		at("/compresses", `proxy_set_header Content-Encoding gzip;`)+
		at("/rewrites", `proxy_set_body '{"rewritten":true}';`)+
		at("/redirected", `proxy_method GET;`))

	if status, err := from(t, caller).Post(context.Background(), cdn+"/good", harness.Sign(secret, harness.Body())); err != nil || status != http.StatusForbidden {
		t.Errorf("another endpoint's delivery: status %d %v, want 403", status, err)
	}
	genuine := harness.Sign(secret, cdnBody())
	stale := harness.SignAt(secret, harness.Millis(time.Now().Add(-time.Hour)), cdnBody())
	tampered := harness.Sign(secret, cdnBody())
	tampered.Body[len(tampered.Body)-1] = ']'
	for _, c := range []struct {
		path    string
		signed  harness.Signed
		status  int
		verdict string
	}{
		{"/good", genuine, http.StatusOK, ""},
		{"/good", genuine, http.StatusConflict, "replayed"},
		{"/good", stale, http.StatusUnauthorized, "stale"},
		{"/good", tampered, http.StatusUnauthorized, "bad_signature"},
		{"/drops", harness.Sign(secret, cdnBody()), http.StatusUnauthorized, "missing_signature"},
		{"/compresses", harness.Sign(secret, cdnBody()), http.StatusUnsupportedMediaType, "encoded_body"},
		{"/rewrites", harness.Sign(secret, cdnBody()), http.StatusUnauthorized, "bad_signature"},
		{"/redirected", harness.Sign(secret, cdnBody()), http.StatusMethodNotAllowed, "method_not_allowed"},
	} {
		mark := gate.Log.Mark()
		status, err := from(t, caller).Post(context.Background(), cdn+c.path, c.signed)
		if err != nil || status != c.status {
			t.Errorf("%s, want %s: status %d %v, want %d", c.path, c.verdict, status, err, c.status)
			continue
		}
		if c.verdict == "" {
			continue
		}
		if refused := gate.Log.WaitVerdict(t, mark, c.verdict); refused.Fields["client_ip"] != caller {
			t.Errorf("%s: not told of %s: %s", c.verdict, caller, refused.Line)
		}
		if !strings.Contains(read(t, examples+"cdn/README.md"), "`"+c.verdict+"`") {
			t.Errorf("the README does not tell of %s", c.verdict)
		}
	}
	got := upstream.Deliveries()
	if len(got) != 1 {
		t.Fatalf("the upstream got %d deliveries, want 1", len(got))
	}
	wantDelivered(t, got[0], genuine)

	wantCaller(t, gate, from(t, caller), cdn+"/good", caller, "")
	// Who comes past the CDN is believed nothing.
	direct := from(t, stranger)
	direct.Transport.(*http.Transport).TLSClientConfig = trusting(t, certificate, host)
	wantCaller(t, gate, direct, "https://"+gate.Address()+"/", stranger, host)
}

// wantCaller posts a forgery that says it comes from elsewhere, and checks who the
// log says it was.
func wantCaller(t *testing.T, gate *harness.Gate, client *harness.Client, url, caller, host string) {
	t.Helper()
	mark := gate.Log.Mark()
	s := harness.Sign("another secret", cdnBody())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(s.Body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = s.Header()
	request.Header.Set("X-Forwarded-For", "198.51.100.9")
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", response.StatusCode)
	}
	if refused := gate.Log.WaitVerdict(t, mark, "bad_signature"); refused.Fields["client_ip"] != caller {
		t.Errorf("not told of %s: %s", caller, refused.Line)
	}
}
