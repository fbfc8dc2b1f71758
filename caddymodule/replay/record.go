package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// A journal file is a row of records of one size. Each says all there is to say
// of one entry, so the last one of an entry counts and a record that is read
// twice does no harm.
//
//	 0  kind
//	 1  state (signatures)
//	 2  zero
//	 4  max_age in seconds (signatures)
//	 8  signatures: the timestamp; bodies: when it was taken; mark: the mark;
//	    header: when the file was made. Unix ms
//	16  signatures: when it was written, Unix ms; bodies: keep in ms; header:
//	    format version
//	24  ID
//	56  zero
//	60  CRC-32C of the file's number and the bytes before
//
// Numbers are little-endian. The file's number is in the checksum so that what
// a file system leaves of a deleted file is not taken for a record of this one.
const recordSize = 64

type recordKind byte

// The kinds look unlike anything that a file is commonly filled with.
const (
	kindHeader    recordKind = 0xA1
	kindSignature recordKind = 0xB2
	kindBody      recordKind = 0xC3
	kindMark      recordKind = 0xD4
)

const formatVersion = 1

type record struct {
	kind   recordKind
	state  state
	maxAge time.Duration
	time   int64
	extra  int64
	id     ID
}

func signatureRecord(b *block, k int, wall int64) record {
	return record{
		kind: kindSignature, state: b.state[k] &^ stateOurs, maxAge: b.life.maxAge,
		time: b.num[k], extra: wall, id: b.keys[k],
	}
}

func bodyRecord(id ID, wall int64, keep time.Duration) record {
	return record{kind: kindBody, time: wall, extra: keep.Milliseconds(), id: id}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(number uint64, b []byte) uint32 {
	return crc32.Update(uint32(number)*0x9E3779B1^uint32(number>>32), castagnoli, b[:recordSize-4])
}

func (r *record) appendTo(b []byte, number uint64) []byte {
	n := len(b)
	b = append(b, make([]byte, recordSize)...)
	p := b[n:]
	p[0], p[1] = byte(r.kind), byte(r.state)
	seconds := (r.maxAge + time.Second - 1) / time.Second
	binary.LittleEndian.PutUint32(p[4:], uint32(min(seconds, 1<<32-1)))
	binary.LittleEndian.PutUint64(p[8:], uint64(r.time))
	binary.LittleEndian.PutUint64(p[16:], uint64(r.extra))
	copy(p[24:], r.id[:])
	binary.LittleEndian.PutUint32(p[60:], checksum(number, p))
	return b
}

// parse reads the record at the start of p, which is at least recordSize long.
func (r *record) parse(p []byte, number uint64) bool {
	switch recordKind(p[0]) {
	case kindHeader, kindSignature, kindBody, kindMark:
	default:
		return false
	}
	if binary.LittleEndian.Uint32(p[60:]) != checksum(number, p) {
		return false
	}
	*r = record{
		kind: recordKind(p[0]), state: state(p[1]),
		maxAge: time.Duration(binary.LittleEndian.Uint32(p[4:])) * time.Second,
		time:   int64(binary.LittleEndian.Uint64(p[8:])),
		extra:  int64(binary.LittleEndian.Uint64(p[16:])),
	}
	copy(r.id[:], p[24:56])
	return r.kind != kindSignature || r.state.valid()
}

var errNewerFormat = errors.New("written by a newer version of this program")

// readRecords calls use for each sound record, and tells how many there were and
// how many bytes made no sense. Behind damage it looks for the next sound
// record at every byte. Only an error of r, or a file of a newer format, ends
// it early.
func readRecords(r io.Reader, number uint64, use func(*record)) (records int, dropped int64, err error) {
	buf := make([]byte, 0, 256<<10)
	var rec record
	for {
		n, readErr := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		p := buf
		for len(p) >= recordSize {
			if !rec.parse(p, number) {
				dropped++
				p = p[1:]
				continue
			}
			if rec.kind == kindHeader && rec.extra > formatVersion {
				return records, dropped, fmt.Errorf("%w (format %d)", errNewerFormat, rec.extra)
			}
			records++
			use(&rec)
			p = p[recordSize:]
		}
		buf = buf[:copy(buf[:cap(buf)], p)]
		switch readErr {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return records, dropped + int64(len(buf)), nil
		default:
			return records, dropped + int64(len(buf)), readErr
		}
	}
}
