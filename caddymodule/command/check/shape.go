package check

import (
	"bytes"
	"compress/gzip"
)

// oversize is more than Twenty sends and less than breaks a machine.
const oversize = 32 << 20

var shapeProbes = []probe{
	{"get", "a GET", refuse,
		"Twenty posts. What else comes is not from Twenty, or was turned into this by a redirect.",
		altered(func(d *delivery) { d.method = "GET" })},
	{"gzip", "the body compressed, signed either way", refuse,
		"Twenty never compresses. The header that says so is not signed, and changes what the signed bytes mean.",
		func(s *session) []outcome {
			overPlain := s.genuine()
			overPlain.body = gzipped(overPlain.body)
			overPacked := s.signed(millis(s.now()), gzipped(s.sample("")))
			for _, d := range []*delivery{overPlain, overPacked} {
				d.set("Content-Encoding", "gzip")
			}
			return s.each(overPlain, overPacked)
		}},
	{"oversized", "a body of 32 MiB, signed", refuse,
		"Whoever may send bodies without end can fill the memory before any signature is checked.",
		func(s *session) []outcome {
			d := s.signed(millis(s.now()), s.sized(s.oversize))
			d.patient = true
			return s.each(d)
		}},
}

func gzipped(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
