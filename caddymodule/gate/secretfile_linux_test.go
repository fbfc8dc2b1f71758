package gate

import (
	"testing"

	"go.uber.org/zap"
)

// TestSecretFileThatFailsToBeRead, as on a disk that is broken: there is nothing at
// the address 0 of this process.
func TestSecretFileThatFailsToBeRead(t *testing.T) {
	const path = "/proc/self/mem"
	f := newSecretFile(path, path, "secret-1", zap.NewNop(), newTestClock().now)
	if err := f.problem(); f.current() != nil || err == nil || err.Error() != "input/output error" {
		t.Errorf("it says %v", err)
	}
}
