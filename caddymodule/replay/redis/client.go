package redis

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// poolSize is how many connections one link holds at most, per node. More
	// deliveries than that wait for each other for the time of one round trip.
	poolSize = 64

	// bufferSize is for commands and answers of a few hundred bytes; the
	// client's own default is 64 KiB a connection.
	bufferSize = 4 << 10

	// maxIdleTime is shorter than what load balancers and firewalls allow a
	// silent connection.
	maxIdleTime = 3 * time.Minute

	// maxRedirects is how often a Cluster may send a command on.
	maxRedirects = 3
)

// newClient makes the client, which connects when it is first used. It repeats
// a command only in a Cluster, where that is how it finds the right node, and
// every wait in it ends by the timeout. The kind is chosen here and not by the library's universal client, which decides
// by the number of addresses and by options that are not ours.
//
// RESP2 is enough, and keeps push messages out; the library's own name for the
// connection is not sent, since CLIENT is often forbidden.
func newClient(s *settings) goredis.UniversalClient {
	switch {
	case s.master != "":
		return goredis.NewFailoverClient(&goredis.FailoverOptions{
			MasterName: s.master, SentinelAddrs: s.addresses,
			Username: s.username, Password: s.password, DB: s.db,
			Dialer: s.dial, Protocol: 2, DisableIdentity: true, PipelinePoolSize: -1,
			MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
			DialTimeout: s.timeout, ReadTimeout: s.timeout, WriteTimeout: s.timeout, PoolTimeout: s.timeout,
			PoolSize: poolSize, ConnMaxIdleTime: maxIdleTime,
			ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		})
	case s.cluster():
		return goredis.NewClusterClient(&goredis.ClusterOptions{
			Addrs: s.addresses, Username: s.username, Password: s.password,
			// Without the routing policies, which would ask for COMMAND.
			MaxRedirects: maxRedirects, DisableRoutingPolicies: true,
			Dialer: s.dial, Protocol: 2, DisableIdentity: true, PipelinePoolSize: -1,
			MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
			// A node that can't be reached leaves time for the next.
			DialTimeout: s.timeout / 2, ReadTimeout: s.timeout, WriteTimeout: s.timeout, PoolTimeout: s.timeout,
			PoolSize: poolSize, ConnMaxIdleTime: maxIdleTime,
			ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
			MaintNotificationsConfig: noMaintenance(),
		})
	}
	return goredis.NewClient(&goredis.Options{
		Addr: s.addresses[0], Username: s.username, Password: s.password, DB: s.db,
		Dialer: s.dial, Protocol: 2, DisableIdentity: true, PipelinePoolSize: -1,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: s.timeout, ReadTimeout: s.timeout, WriteTimeout: s.timeout, PoolTimeout: s.timeout,
		PoolSize: poolSize, ConnMaxIdleTime: maxIdleTime,
		ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		MaintNotificationsConfig: noMaintenance(),
	})
}

func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dial never fails: instead of an error it returns a connection that fails. On
// an error the library would write to its own log, which is the process's
// standard error, at each attempt, and after some would go on dialling in a
// goroutine of its own that outlives the client. How often to try is for
// outage.go to decide.
func (s *settings) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.connect(ctx, network, address)
	if err != nil {
		return failedConn{&dialError{err}}, nil
	}
	return conn, nil
}

// connect has a little less time than a command, so that what it failed with
// comes to the log, and not that the command took too long.
func (s *settings) connect(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout*9/10)
	defer cancel()
	dialer := net.Dialer{Resolver: s.resolver, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || !s.tls {
		return conn, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		conn.Close()
		return nil, err
	}
	secured := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: s.roots, MinVersion: tls.VersionTLS12})
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &handshakeError{address, err}
	}
	return secured, nil
}

// handshakeError says that the server was there, but TLS with it failed.
type handshakeError struct {
	address string
	err     error
}

func (e *handshakeError) Error() string {
	return "TLS handshake with " + e.address + ": " + e.err.Error()
}
func (e *handshakeError) Unwrap() error { return e.err }

// dialError says that no connection was made, so no command was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// failedConn is what dialling came to when it failed.
type failedConn struct{ err error }

func (c failedConn) Read([]byte) (int, error)       { return 0, c.err }
func (c failedConn) Write([]byte) (int, error)      { return 0, c.err }
func (failedConn) Close() error                     { return nil }
func (failedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (failedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (failedConn) SetDeadline(time.Time) error      { return nil }
func (failedConn) SetReadDeadline(time.Time) error  { return nil }
func (failedConn) SetWriteDeadline(time.Time) error { return nil }
