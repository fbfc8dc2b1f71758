// Package harness runs the built twentygate binary for black-box tests: it
// starts it on free ports with a configuration of the test's own, lets a test
// wait for its log lines, records what an upstream gets, and speaks HTTP to it
// byte by byte.
//
// It knows the product only from outside. Its signer in particular is written
// against Twenty's wire format and shares no code with the gate, so that it can
// serve as the oracle.
package harness
