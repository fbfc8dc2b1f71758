// Package explain says why a webhook delivery was refused: it takes a captured
// request and the secret, offline, makes the gate's checks in the gate's order,
// and where the signature does not match recomputes the mistakes that people
// are known to make, until one of them does.
//
// A capture comes as raw HTTP text ([ReadRaw]), as headers and a body
// ([FromParts]) or as a curl command ([ReadCurl]). [Diagnose] then names the
// verdict, the cause, and the mend in plain words. Nothing it returns holds a
// secret, a payload, or a signature that would have been right: whoever can
// read the diagnosis cannot forge a delivery with it.
//
// Nothing of a capture is ever executed or expanded: what a shell would have
// put in is refused in words.
package explain
