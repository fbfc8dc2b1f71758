#!/usr/bin/env python3
"""Writes the captured requests in captures/ and their table, captures.json.

Signatures, and bodies that were written anew, are made by Python, Node and Go
themselves and not by the package under test. Run it in this directory with
python3, node and go on the path; only PHP's body is written by hand here, after
the documentation of json_encode.
"""
import base64, gzip, hashlib, hmac, json, os, subprocess, tempfile, unicodedata, zlib

SECRET = "5f3c0b7e9d1a4862b7c1e0f4a9d83726514f0e9c2b8d7a6f3e1c5b9084d2f6a7"
TS = "1764067200123"
AT = "2025-11-25T10:40:05Z"  # five seconds later
OUT = "captures"
table = []

def node(code, arg):
    return subprocess.run(["node", "-e", code, arg], check=True, capture_output=True).stdout

def go(body):
    program = 'package main\nimport ("encoding/json";"io";"os")\nfunc main(){b,_:=io.ReadAll(os.Stdin);var v any;if err:=json.Unmarshal(b,&v);err!=nil{panic(err)};o,_:=json.Marshal(v);os.Stdout.Write(o)}\n'
    with tempfile.TemporaryDirectory() as d:
        with open(os.path.join(d, "main.go"), "w") as f:
            f.write(program)
        return subprocess.run(["go", "run", f.name], input=body, check=True, capture_output=True).stdout

# As Twenty writes it: JSON.stringify of the payload.
PAYLOAD = r'''
process.stdout.write(JSON.stringify({
  targetUrl: "https://hooks.example.com/twenty?a=1&b=2",
  eventName: "person.updated",
  objectMetadata: {id: "20202020-0000-4000-8000-73616d706c65", nameSingular: "person"},
  workspaceId: "20202020-1111-4111-8111-73616d706c65",
  webhookId: "20202020-2222-4222-8222-73616d706c65",
  eventDate: "2025-11-25T10:40:00.120Z",
  record: {
    id: "20202020-3333-4333-8333-73616d706c65",
    name: {firstName: "Zoë", lastName: "Łukasz-O'Brien"},
    jobTitle: "R&D <lead> – \"quoted\" \\ \u007f tab\there",
    emoji: "👋", amount: 1234.5, big: 1e21, small: 1e-7, count: 10,
    position: 0, score: -0.5, tags: [], custom: {}, deletedAt: null, active: true,
    notes: "line one\nline two\r\nline three",
  },
  updatedFields: ["jobTitle", "amount"],
}))'''
BODY = node(PAYLOAD, "")
VALUE = json.loads(BODY)
ASCII = b'{"eventName":"person.created","record":{"id":"20202020-3333-4333-8333-73616d706c65","city":"Bonn"}}'

def sign(message, key=SECRET, how=hashlib.sha256):
    key = key.encode() if isinstance(key, str) else key
    return hmac.new(key, message, how).hexdigest()

def signed(body, ts=TS, key=SECRET, separator=b":"):
    return sign(ts.encode() + separator + body, key)

def headers(signature, ts=TS, **more):
    h = [("Host", "hooks.example.com"), ("User-Agent", "axios/1.13.2"), ("Content-Type", "application/json")]
    if ts is not None:
        h.append(("X-Twenty-Webhook-Timestamp", ts))
    if signature is not None:
        h.append(("X-Twenty-Webhook-Signature", signature))
    h.append(("X-Twenty-Webhook-Nonce", "9f86d081884c7d659a2feaa0c55ad015"))
    return h + [(k.replace("_", "-"), v) for k, v in more.items()]

def row(name, file, verdict, cause, says="", form="raw", secrets=(SECRET,), at="", **more):
    secrets = [base64.b64encode(s if isinstance(s, bytes) else s.encode()).decode() for s in secrets]
    table.append(dict(name=name, file=file, form=form, secrets_base64=secrets, at=at, verdict=verdict, cause=cause, says=says, **more))

def write(file, data):
    with open(os.path.join(OUT, file), "wb") as f:
        f.write(data)

def raw(name, body, signature, verdict, cause, says="", ts=TS, line="POST /twenty HTTP/1.1", eol="\r\n", length=True, extra=(), drop=(), change=lambda d: d, **more):
    h = [p for p in headers(signature, ts) if p[0] not in drop] + list(extra)
    if length is True:
        h.append(("Content-Length", str(len(body))))
    elif length:
        h.append(("Content-Length", str(length)))
    head = eol.join([line] * bool(line) + [f"{k}: {v}" for k, v in h]) + eol + eol
    write(name + ".http", change(head.encode() + body))
    row(name, name + ".http", verdict, cause, says, **more)

os.makedirs(OUT, exist_ok=True)
GOOD = signed(BODY)
BAD = "bad_signature"

# Genuine ones.
raw("genuine", BODY, GOOD, "verified", "")
raw("genuine-lf", BODY, GOOD, "verified", "", eol="\n")
raw("genuine-upper-case", BODY, GOOD.upper(), "verified", "")
raw("genuine-without-length", BODY, GOOD, "verified", "", length=None)
raw("genuine-absolute-url", BODY, GOOD, "verified", "", line="POST https://hooks.example.com/twenty HTTP/2")
raw("genuine-without-request-line", BODY, GOOD, "verified", "", line="", note="no request line")
raw("genuine-fresh", BODY, GOOD, "verified", "", at=AT)
raw("genuine-lower-case-names", BODY, GOOD, "verified", "", change=lambda d: d.replace(b"X-Twenty-Webhook", b"x-twenty-webhook"))
raw("genuine-bytes-behind", BODY, GOOD, "verified", "", change=lambda d: d + b"\r\nHTTP/1.1 401 Unauthorized\r\n\r\n", note="goes on")
raw("genuine-second-secret", BODY, GOOD, "verified", "", "number 2", secrets=("another-secret-of-the-gate", SECRET))
chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (BODY[:7], BODY[7:300], BODY[300:])) + b"0\r\nX-Trailer: 1\r\n\r\n"
raw("genuine-chunked", chunks, GOOD, "verified", "", length=None, extra=[("Transfer-Encoding", "chunked")])
raw("genuine-chunked-shown-decoded", BODY, GOOD, "verified", "", length=None, extra=[("Transfer-Encoding", "chunked")], note="already decoded")
raw("genuine-quoted", ASCII, signed(ASCII), "verified", "", eol="\n", change=lambda d: b"".join(b"> " + l if l.strip() else b">\n" for l in d.splitlines(True)))
raw("genuine-utf16-file", BODY, GOOD, "verified", "", change=lambda d: d.decode().encode("utf-16"), note="UTF-16")
write("body.json", BODY)
row("genuine-parts", "body.json", "verified", "", form="parts", headers=[f"{k}: {v}" for k, v in headers(GOOD)])

def curl(name, text, verdict, cause, says="", **more):
    write(name + ".curl", text.encode() if isinstance(text, str) else text)
    row(name, name + ".curl", verdict, cause, says, form="curl", **more)

def h_args(sig, ts=TS, fmt="-H '%s: %s'", join=" \\\n  "):
    return join.join(fmt % p for p in headers(sig, ts)[2:])

def ansi(s):
    out = ""
    for c in s:
        u = c.encode("utf-16-be")
        if c in "'\\":
            out += "\\" + c
        elif c == "\n":
            out += "\\n"
        elif c == "\r":
            out += "\\r"
        elif ord(c) >= 0x7f or c == "!":
            out += "".join("\\u%02x%02x" % (u[i], u[i + 1]) for i in range(0, len(u), 2))
        else:
            out += c
    return "$'" + out + "'"

def caret(s):
    quoted = s.replace("\\", "\\\\").replace('"', '\\"')
    return '^"' + "".join("^" + c if not (c.isalnum() or c in " -_.:,/'") else c for c in quoted) + '^"'

text = BODY.decode()
curl("genuine-chrome", "curl 'https://hooks.example.com/twenty' \\\n  " + h_args(GOOD) + " \\\n  --data-raw " + ansi(text) + "\n", "verified", "")
curl("genuine-firefox", "curl 'https://hooks.example.com/twenty' -X POST " + h_args(signed(ASCII), join=" ") + " --compressed --data-raw '" + ASCII.decode() + "'", "verified", "")
curl("genuine-chrome-cmd", ("curl ^\"https://hooks.example.com/twenty^\" ^\n  " + " ^\n  ".join("-H " + caret(f"{k}: {v}") for k, v in headers(signed(ASCII))[2:]) + " ^\n  --data-raw " + caret(ASCII.decode())).replace("\n", "\r\n"), "verified", "")
curl("genuine-postman", "curl --location 'https://hooks.example.com/twenty' \\\n" + h_args(signed(ASCII), fmt="--header '%s: %s'", join=" \\\n") + " \\\n--data '" + ASCII.decode() + "'", "verified", "")
curl("genuine-by-hand", "$ curl -i -XPOST http://127.0.0.1:8080/ " + h_args(signed(ASCII), fmt='-H"%s: %s"', join=" ") + ' -d "' + ASCII.decode().replace('"', '\\"') + '" | jq .', "verified", "")
curl("genuine-here-document", "curl http://127.0.0.1:8080/ " + h_args(signed(ASCII + b"\n"), join=" ") + " --data-binary @- <<'EOF'\n" + ASCII.decode() + "\nEOF\n", "verified", "")
curl("genuine-two-data", "curl http://127.0.0.1:8080/ " + h_args(signed(b"a=1&b=2"), join=" ") + " -d a=1 -d b=2", "verified", "")
curl("genuine-body-file", "curl http://127.0.0.1:8080/ " + h_args(GOOD, join=" ") + " --data-binary @body.json", "verified", "")

# Time.
raw("clock-stale", BODY, GOOD, "stale", "clock", "signature is good", at="2025-11-25T10:51:40Z")
raw("clock-future", BODY, GOOD, "future", "clock", "NTP", at="2025-11-25T10:30:00Z")
raw("clock-time-zone", BODY, GOOD, "stale", "clock", "2 h 00 min almost to the minute", at="2025-11-25T12:40:11Z")
raw("seconds-header", BODY, signed(BODY, TS[:10]), "stale", "seconds", "in seconds", ts=TS[:10])
raw("seconds-header-signed-milliseconds", BODY, signed(BODY, TS[:10] + "000"), "stale", "seconds", "times 1000", ts=TS[:10])
raw("seconds-signed", BODY, signed(BODY, TS[:10]), BAD, "seconds", "the timestamp in seconds")
raw("seconds-signed-with-dot", BODY, signed(BODY, TS[:10], separator=b"."), BAD, "seconds", "a colon")
raw("seconds-float", BODY, signed(BODY, "1764067200.123"), "malformed_timestamp", "seconds", "int(time.time() * 1000)", ts="1764067200.123")
raw("seconds-microseconds", BODY, signed(BODY, TS + "456"), "future", "seconds", "microseconds", ts=TS + "456")
raw("timestamp-date", BODY, GOOD, "malformed_timestamp", "timestamp_encoding", "date", ts="2025-11-25T10:40:00.123Z")
raw("timestamp-plus", BODY, GOOD, "malformed_timestamp", "timestamp_encoding", "sign", ts="+" + TS)
raw("timestamp-leading-zero", BODY, signed(BODY, "0" + TS), "malformed_timestamp", "timestamp_encoding", "zero", ts="0" + TS)
raw("timestamp-signed-as-date", BODY, signed(BODY, "2025-11-25T10:40:00.123Z"), BAD, "timestamp_encoding", "ISO 8601")

# The message.
raw("body-only", BODY, sign(BODY), BAD, "body_only", "the body alone")
raw("body-only-base64", BODY, base64.b64encode(hmac.new(SECRET.encode(), BODY, "sha256").digest()).decode(), "malformed_signature", "signature_encoding", "the body alone")
raw("body-only-secret-newline", BODY, sign(BODY, SECRET + "\n"), BAD, "body_only", "Two things are off")
raw("separator-dot", BODY, signed(BODY, separator=b"."), BAD, "wrong_separator", "a dot")
raw("separator-none", BODY, signed(BODY, separator=b""), BAD, "wrong_separator", "nothing between them")
raw("separator-newline", BODY, signed(BODY, separator=b"\n"), BAD, "wrong_separator", "a line break")
raw("separator-space", BODY, signed(BODY, separator=b": "), BAD, "wrong_separator", "a colon and a space")
raw("separator-slack", BODY, sign(b"v0:" + TS.encode() + b":" + BODY), BAD, "wrong_separator", "Slack")
raw("separator-body-first", BODY, sign(BODY + b"." + TS.encode()), BAD, "wrong_separator", "the body, then the timestamp")
raw("separator-nonce", BODY, sign(TS.encode() + b":9f86d081884c7d659a2feaa0c55ad015:" + BODY), BAD, "wrong_separator", "nonce is not signed")
raw("separator-timestamp-alone", BODY, sign(TS.encode()), BAD, "wrong_separator", "the timestamp alone")

# The body, parsed and written anew.
anew = {
    "javascript-indent": node("process.stdout.write(JSON.stringify(JSON.parse(process.argv[1]), null, 2))", text),
    "javascript-tabs": node("process.stdout.write(JSON.stringify(JSON.parse(process.argv[1]), null, '\\t'))", text),
    "python": json.dumps(VALUE).encode(),
    "python-utf8": json.dumps(VALUE, ensure_ascii=False).encode(),
    "python-compact": json.dumps(VALUE, separators=(",", ":")).encode(),
    "python-indent": json.dumps(VALUE, indent=4).encode(),
    "python-sorted": json.dumps(VALUE, sort_keys=True).encode(),
    "python-dict": str(VALUE).encode(),
    "python-bytes": str(BODY).encode(),
    "go": go(BODY),
    "php": BODY.decode().replace("/", "\\/").replace("\u007f", "\x7f").encode(),
    "object-object": b"[object Object]",
}
php = json.dumps(json.loads(ASCII.decode().replace("Bonn", "Köln/Zürich"))).replace("/", "\\/").replace('", "', '","').replace('": ', '":').replace(', "', ',"').encode()
anew.pop("php")
for name, body in anew.items():
    raw("reserialized-" + name, BODY, signed(body), BAD, "reserialized_body")
raw("reserialized-php", ASCII.replace(b"Bonn", "Köln/Zürich".encode()), signed(php), BAD, "reserialized_body", "PHP")
raw("reserialized-captured-pretty", anew["javascript-indent"], GOOD, BAD, "reserialized_body", "JSON.stringify")
raw("reserialized-captured-python", anew["python"], GOOD, BAD, "reserialized_body", "Twenty writes it")
odd = b'{"b":1.0,"10":2,"9":3,"a":1E5,"b":12345678901234567890,"c":-0,"d":"\\u00e9\\/"}'
raw("reserialized-javascript-odd", odd, signed(node("process.stdout.write(JSON.stringify(JSON.parse(process.argv[1])))", odd.decode())), BAD, "reserialized_body", "JSON.stringify")
raw("reserialized-python-odd", odd, signed(json.dumps(json.loads(odd)).encode()), BAD, "reserialized_body", "json.dumps")
raw("reserialized-go-odd", odd, signed(go(odd)), BAD, "reserialized_body", "json.Marshal")
raw("reserialized-only-body", BODY, sign(anew["python"]), BAD, "body_only", "json.dumps")
raw("double-stringified", BODY, signed(node("process.stdout.write(JSON.stringify(process.argv[1]))", text)), BAD, "double_stringified", "documentation")
raw("double-stringified-python", BODY, signed(json.dumps(text).encode()), BAD, "double_stringified", "json.dumps")
raw("double-stringified-sent", node("process.stdout.write(JSON.stringify(process.argv[1]))", text), GOOD, BAD, "double_stringified", "Send the text itself")

# The body's bytes.
CRLF = BODY.replace(b',"', b',\r\n"')
raw("reencoded-bom", b"\xef\xbb\xbf" + BODY, GOOD, BAD, "reencoded_body", "byte order mark")
raw("reencoded-crlf", CRLF, signed(CRLF.replace(b"\r\n", b"\n")), BAD, "reencoded_body", "CR LF")
raw("reencoded-lf", CRLF.replace(b"\r\n", b"\n"), signed(CRLF), BAD, "reencoded_body", "CR LF")
raw("reencoded-newline-added", BODY + b"\n", GOOD, BAD, "reencoded_body", "line break")
raw("reencoded-newline-lost", BODY, signed(BODY + b"\n"), BAD, "reencoded_body", "--data-binary")
raw("reencoded-mojibake", ASCII.replace(b"Bonn", "Köln".encode().decode("latin-1").encode()), signed(ASCII.replace(b"Bonn", "Köln".encode())), BAD, "reencoded_body", "Ã©")
raw("reencoded-mojibake-signed", BODY, signed(BODY.decode("latin-1").encode()), BAD, "reencoded_body", "Latin-1")
raw("reencoded-latin1", ASCII.replace(b"Bonn", "Köln".encode("latin-1")), signed(ASCII.replace(b"Bonn", "Köln".encode())), BAD, "reencoded_body", "Latin-1")
raw("reencoded-nfd", unicodedata.normalize("NFD", text).encode(), GOOD, BAD, "reencoded_body", "NFD")
raw("reencoded-utf16", BODY, signed(text.encode("utf-16-le")), BAD, "reencoded_body", "UTF-16")
raw("reencoded-gzip-unlabelled", gzip.compress(BODY, mtime=0), GOOD, BAD, "reencoded_body", "compressed")
raw("reencoded-base64", base64.b64encode(BODY), GOOD, BAD, "reencoded_body", "isBase64Encoded")
raw("reencoded-junk-behind", ASCII + b"\n# curl exited with 0", signed(ASCII), BAD, "reencoded_body", "The signature is over the")
curl("reencoded-curl-data", "curl http://127.0.0.1:8080/ " + h_args(signed(ASCII + b"\n"), join=" ") + " -d @ascii.json", BAD, "reencoded_body", "--data-binary")
write("ascii.json", ASCII + b"\n")
raw("truncated-length", BODY[:-40], GOOD, "body_incomplete", "truncated_body", "Content-Length says", length=len(BODY))
raw("truncated-without-length", BODY[:200], GOOD, BAD, "truncated_body", "in the middle of its JSON", length=None)
raw("truncated-no-body", b"", GOOD, "body_incomplete", "truncated_body", "curl -v", length=len(BODY), eol="\n", change=lambda d: b"* Connected to x\n" + b"".join(b"> " + l for l in d.splitlines(True)) + b"< HTTP/1.1 401 Unauthorized\n<\n")
raw("truncated-chunks", chunks[:200], GOOD, "body_incomplete", "truncated_body", "a chunk says", length=None, extra=[("Transfer-Encoding", "chunked")])
raw("truncated-by-length", BODY, GOOD, BAD, "truncated_body", "Buffer.byteLength", length=len(text))

# The secret.
raw("secret-newline", BODY, signed(BODY, key=SECRET + "\n"), BAD, "secret_whitespace", "LF")
raw("secret-crlf", BODY, signed(BODY, key=SECRET + "\r\n"), BAD, "secret_whitespace", "CR LF")
raw("secret-given-with-space", BODY, GOOD, BAD, "secret_whitespace", "blanks", secrets=(SECRET + " ",))
raw("secret-given-in-quotes", BODY, GOOD, BAD, "secret_whitespace", "quotes", secrets=('"' + SECRET + '"',))
raw("secret-given-with-bom", BODY, GOOD, BAD, "secret_whitespace", "byte order mark", secrets=(b"\xef\xbb\xbf" + SECRET.encode(),))
raw("secret-given-with-name", BODY, GOOD, BAD, "secret_whitespace", "variable's name", secrets=("TWENTY_WEBHOOK_SECRET=" + SECRET,))
raw("secret-hex-decoded", BODY, signed(BODY, key=bytes.fromhex(SECRET)), BAD, "secret_decoded", "decoded the secret from hex")
raw("secret-base64-decoded", BODY, signed(BODY, key=b"correct horse battery staple"), BAD, "secret_decoded", "base64", secrets=(base64.b64encode(b"correct horse battery staple"),))
raw("secret-base64-encoded", BODY, signed(BODY, key=base64.b64encode(SECRET.encode())), BAD, "secret_decoded", "base64")
raw("secret-given-decoded", BODY, GOOD, BAD, "secret_decoded", "decoded from hex", secrets=(bytes.fromhex(SECRET),))
raw("secret-upper-case", BODY, signed(BODY, key=SECRET.upper()), BAD, "secret_decoded", "case")
raw("secret-empty", BODY, signed(BODY, key=""), BAD, "wrong_secret_or_body", "empty key")

# The signature's text.
digest = bytes.fromhex(GOOD)
M = "malformed_signature"
raw("signature-base64", BODY, base64.b64encode(digest).decode(), M, "signature_encoding", "base64")
raw("signature-base64url", BODY, base64.urlsafe_b64encode(digest).decode().rstrip("="), M, "signature_encoding", "base64")
raw("signature-prefix", BODY, "sha256=" + GOOD, M, "signature_encoding", "prefix")
raw("signature-stripe", BODY, "t=" + TS + ",v1=" + signed(BODY, separator=b"."), M, "signature_encoding", "a dot")
raw("signature-sha512", BODY, sign(TS.encode() + b":" + BODY, how=hashlib.sha512), M, "signature_encoding", "HMAC-SHA512")
raw("signature-plain-hash", BODY, hashlib.sha256(SECRET.encode() + TS.encode() + b":" + BODY).hexdigest(), BAD, "signature_encoding", "plain SHA-256")
raw("signature-exchanged", BODY, sign(SECRET.encode(), TS.encode() + b":" + BODY), BAD, "signature_encoding", "exchanged")
raw("signature-cut", BODY, GOOD[:40], M, "signature_encoding", "")

# The headers.
raw("missing-both", BODY, None, "unsigned", "missing_header", "Give the webhook a secret", ts=None)
raw("missing-signature", BODY, None, "missing_signature", "missing_header", "drops it")
raw("missing-timestamp", BODY, sign(BODY), "missing_timestamp", "missing_header", "the body alone", ts=None)
raw("missing-empty", BODY, "", M, "missing_header", "empty")
raw("missing-redacted", BODY, "[REDACTED]", M, "missing_header", "blotted out")
raw("missing-underscores", BODY, GOOD, "unsigned", "missing_header", "with hyphens", change=lambda d: d.replace(b"X-Twenty-Webhook-", b"X_Twenty_Webhook_"))
raw("duplicate-signature", BODY, GOOD, "duplicate_header", "duplicate_header", "same value", extra=[("X-Twenty-Webhook-Signature", GOOD)])
raw("duplicate-timestamp", BODY, GOOD, "duplicate_header", "duplicate_header", "different values", extra=[("X-Twenty-Webhook-Timestamp", "1764067200124")])
raw("duplicate-joined", BODY, GOOD + ", " + GOOD, M, "duplicate_header", "commas")
raw("encoded-gzip", gzip.compress(BODY, mtime=0), GOOD, "encoded_body", "encoded_body", "over the unpacked body", extra=[("Content-Encoding", "gzip")])
raw("encoded-deflate-signed", zlib.compress(BODY), signed(zlib.compress(BODY)), "encoded_body", "encoded_body", "over the bytes that came", extra=[("Content-Encoding", "deflate")])
raw("method-get", b"", GOOD, "method_not_allowed", "method", "redirect", line="GET /twenty HTTP/1.1", length=None)
raw("method-put", BODY, GOOD, "method_not_allowed", "method", "signature is good", line="PUT /twenty HTTP/1.1")
raw("wrong-secret", BODY, signed(BODY, key="quite-another-secret"), BAD, "wrong_secret_or_body", "character by character")
raw("wrong-body", BODY.replace(b"1234.5", b"1234.6"), GOOD, BAD, "wrong_secret_or_body", "character by character")
raw("wrong-body-sorted", json.dumps(VALUE, sort_keys=True, indent=1).encode(), GOOD, BAD, "wrong_secret_or_body", "keys are sorted")
raw("wrong-body-lossy", BODY.decode("ascii", "replace").encode(), GOOD, BAD, "wrong_secret_or_body", "U+FFFD")

with open("captures.json", "w") as f:
    json.dump(table, f, indent=1, ensure_ascii=False)
    f.write("\n")
