package explain

import (
	"fmt"
	"strings"
	"testing"
)

func files(name string) ([]byte, error) {
	switch name {
	case "body":
		return []byte("a\r\nb\x00c é\n"), nil
	case "headers":
		return []byte("A: 1\r\n\r\nB: @2\n"), nil
	}
	return nil, fmt.Errorf("there is no %s", name)
}

func TestReadCurl(t *testing.T) {
	for name, test := range map[string]struct{ text, method, body, headers string }{
		"no body":               {`curl http://x`, "GET", "", ""},
		"data":                  {`curl http://x -d a`, "POST", "a", ""},
		"data attached":         {`curl http://x -da`, "POST", "a", ""},
		"data twice":            {`curl -d a http://x --data b --data-ascii c`, "POST", "a&b&c", ""},
		"empty data first":      {`curl -d '' -d a x`, "POST", "&a", ""},
		"data from a file":      {`curl -d @body x`, "POST", "abc é", ""},
		"binary from a file":    {`curl --data-binary @body x`, "POST", "a\r\nb\x00c é\n", ""},
		"raw is no file":        {`curl --data-raw @body x`, "POST", "@body", ""},
		"urlencode":             {`curl --data-urlencode 'a b=c d&é+~' x`, "POST", "a b=c+d%26%C3%A9%2B~", ""},
		"urlencode, no name":    {`curl --data-urlencode '=c d/' x`, "POST", "c+d%2F", ""},
		"urlencode a file":      {`curl --data-urlencode n@body x`, "POST", "n=a%0D%0Ab%00c+%C3%A9%0A", ""},
		"json":                  {`curl --json '{"a":1}' --json ',x' x`, "POST", `{"a":1},x`, ""},
		"method":                {`curl -X PUT -d a x`, "PUT", "a", ""},
		"method attached":       {`curl -XPATCH x`, "PATCH", "", ""},
		"method with =":         {`curl --request=DELETE x`, "DELETE", "", ""},
		"get":                   {`curl -G -d a x`, "GET", "", ""},
		"head":                  {`curl -sI x`, "HEAD", "", ""},
		"upload":                {`curl -T body x`, "PUT", "a\r\nb\x00c é\n", ""},
		"cluster":               {`curl -sSLd a x`, "POST", "a", ""},
		"values are skipped":    {`curl -o -d --max-time -H -u a:b --proxy http://p -d body x`, "POST", "body", ""},
		"unknown flags":         {`curl --compressed --no-such-flag -k -d body x`, "POST", "body", ""},
		"headers":               {`curl -H 'A: 1' --header "B:2" -H'C: 3' x`, "GET", "", "A=1 B=2 C=3"},
		"header of a file":      {`curl -H @headers x`, "GET", "", "A=1 B=@2"},
		"header taken away":     {`curl -H 'A: 1' -H 'A:' -H 'B;' -H nonsense x`, "GET", "", "B="},
		"single quotes":         {`curl -d 'a"b\c'\''d' x`, "POST", `a"b\c'd`, ""},
		"double quotes":         {`curl -d "a\"b\\c\d\$e" x`, "POST", `a"b\c\d$e`, ""},
		"dollar alone":          {`curl -d "5 $ and $" -H 'A: $b' x`, "POST", "5 $ and $", "A=$b"},
		"ansi":                  {`curl -d $'a\'b\\\n\t\x41\101\u00e9\U0001f44b\ud83d\udc4b\q' x`, "POST", "a'b\\\n\tAAé👋👋\\q", ""},
		"continued":             {"curl \\\n -d a \\\r\n x", "POST", "a", ""},
		"newline in quotes":     {"curl -d 'a\nb' x", "POST", "a\nb", ""},
		"comment":               {"# a comment with 'quotes\ncurl -d a#b x # c", "POST", "a#b", ""},
		"command before":        {"cd /tmp; A=1 curl -d a x && echo done", "POST", "a", ""},
		"earlier line":          {"#!/bin/sh\nset -e\n/usr/bin/curl -d a x\nexit", "POST", "a", ""},
		"redirected":            {"curl -d a x 2>/dev/null > out -s", "POST", "a", ""},
		"next":                  {"curl -d a x --next -d b y", "POST", "a", ""},
		"here-document":         {"curl -d @- x <<EOF\na\nb\nEOF\nexit", "POST", "ab", ""},
		"here-document, quoted": {"curl --data-binary @- x <<'E' | jq\n$a\nE\n", "POST", "$a\n", ""},
		"cmd":                   {"curl ^\"http://x^\" ^\r\n -H ^\"A: 1^\" ^\r\n --data-raw ^\"^{^\\^\"a^\\^\":^\\^\"b^^c^%^\\^\"^}^\"", "POST", `{"a":"b^c%"}`, "A=1"},
		"cmd, older":            {"curl \"http://x\" ^\n -d \"{\\\"a\\\":\\\"b\\\\\\\\c\\\"}\" ^\n -s", "POST", `{"a":"b\\\\c"}`, ""},
		"cmd, line break":       {"curl ^\"http://x^\" --data-raw ^\"a^\n\nb^\"", "POST", "a\nb", ""},
		"exe":                   {`curl.exe -d a x`, "POST", "a", ""},
		"sudo":                  {`sudo curl -d a x`, "POST", "a", ""},
		"length":                {`curl -H 'Content-Length: 1' -d ab x`, "POST", "a", "Content-Length=1"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ReadCurl([]byte(test.text), files)
			if err != nil {
				t.Fatal(err)
			}
			if r.Method != test.method || string(r.Body) != test.body {
				t.Errorf("got %s, %q; want %s, %q", r.Method, r.Body, test.method, test.body)
			}
			var headers []string
			for _, name := range []string{"A", "B", "C", "Content-Length"} {
				if values := r.Header[name]; len(values) > 0 {
					headers = append(headers, name+"="+strings.Join(values, "|"))
				}
			}
			if got := strings.Join(headers, " "); got != test.headers {
				t.Errorf("headers %q, want %q", got, test.headers)
			}
		})
	}
}

func TestReadCurlRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"nothing":            {"", "no curl command"},
		"wget":               {"wget http://x", "no curl command"},
		"raw request":        {"POST / HTTP/1.1\nA: b\n\n{}", "no curl command"},
		"open quote":         {"curl x\\\n -d 'a", "line 2 opens a single quote"},
		"open double quote":  {"curl -d \"a\n\n", "line 1 opens a double quote"},
		"open ansi quote":    {"curl -d $'a\n\n", "line 1 opens a quote"},
		"open cmd quote":     {"curl ^\"x^\" ^\n -d ^\"a", "opens a quote"},
		"variable":           {"curl x \\\n -H \"A: $TOKEN\"", "line 2 holds the variable $TOKEN"},
		"variable in braces": {"curl -d ${BODY} x", "the variable $BODY"},
		"command":            {"curl -d \"$(cat /etc/passwd)\" x", "not run here"},
		"backquotes":         {"curl -d `id` x", "not run here"},
		"positional":         {"curl -d \"$1\" x", "holds $1"},
		"form":               {"curl -F a=b x", "line 1 sends a form"},
		"config":             {"curl -K file", "-K"},
		"no value":           {"curl x -d", "ends with -d"},
		"no long value":      {"curl x --data-raw", "ends with --data-raw"},
		"missing file":       {"curl x -d @nowhere", "line 1 names a file that cannot be read"},
		"standard input":     {"curl x -d @-", "standard input"},
		"bad header":         {"curl -H 'A b: c' x", "line 1 gives a header that has a header name"},
		"open here-document": {"curl -d @- <<EOF\na", "has not ended"},
		"no here-document":   {"curl -d @- <<EOF", "no here-document follows"},
		"expanded document":  {"curl -d @- <<EOF\n$A\nEOF\n", "line 2 holds the variable"},
		"here-string":        {"curl -d @- <<< a", "--data-raw"},
		"file as input":      {"curl -d @- < file", "--data-binary"},
		"many words":         {"curl" + strings.Repeat(" -s", 10_001), "line 1 has one word too many"},
		"many words for cmd": {"curl ^\"x^\"" + strings.Repeat(" -s", 10_001), "line 1 has one word too many"},
		"expand":             {"curl --expand-data '{{a}}' x", "--expand"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadCurl([]byte(test.text), files)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}

func TestReadCurlReadsNoFilesUnlessAllowed(t *testing.T) {
	if _, err := ReadCurl([]byte("curl -d @body x"), nil); err == nil || !strings.Contains(err.Error(), "no files are read") {
		t.Errorf("got %v", err)
	}
}
