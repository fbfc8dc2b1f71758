package body

import "container/list"

// account is one of the two shares.
type account struct {
	used    int64
	asked   int64     // what the waiting bodies want
	waiting list.List // of *request, oldest body first

	// unfinished are the bodies that hold memory and are not complete, oldest
	// first.
	unfinished list.List // of *Buffer
}

// request is one body's wish for more room.
type request struct {
	buffer  *Buffer
	bytes   int64
	account *account
	place   *list.Element // among the waiting ones, until there is an answer
	answer  chan error    // nil: the room is yours
}

func (a *account) enqueue(req *request) {
	a.asked += req.bytes
	req.buffer.request = req
	for e := a.waiting.Back(); e != nil; e = e.Prev() {
		if e.Value.(*request).buffer.born < req.buffer.born {
			req.place = a.waiting.InsertAfter(req, e)
			return
		}
	}
	req.place = a.waiting.PushFront(req)
}

// dequeue reports whether the request was still waiting.
func (req *request) dequeue() bool {
	if req.place == nil {
		return false
	}
	req.account.waiting.Remove(req.place)
	req.account.asked -= req.bytes
	req.place, req.buffer.request = nil, nil
	return true
}

func (a *account) join(buffer *Buffer) {
	for e := a.unfinished.Back(); e != nil; e = e.Prev() {
		if e.Value.(*Buffer).born < buffer.born {
			buffer.place = a.unfinished.InsertAfter(buffer, e)
			return
		}
	}
	buffer.place = a.unfinished.PushFront(buffer)
}
