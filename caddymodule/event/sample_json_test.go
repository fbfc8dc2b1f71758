package event

import "testing"

// What JSON.stringify gives, character by character.
func TestJSONIsThatOfStringify(t *testing.T) {
	for _, tc := range []struct {
		value any
		want  string
	}{
		{nil, `null`},
		{true, `true`},
		{false, `false`},
		{-15, `-15`},
		{"", `""`},
		{"\" \\ / \b \f \n \r \t \x00 \x1f", `"\" \\ / \b \f \n \r \t \u0000 \u001f"`},
		{"\x7f é 東京 🎉 <&> \u2028", "\"\x7f é 東京 🎉 <&> \u2028\""},
		{jsonList{}, `[]`},
		{jsonList{1, "a", nil, jsonList{2, 3}}, `[1,"a",null,[2,3]]`},
		{jsonObject{}, `{}`},
		{jsonObject{{"a\n", 1}, {"b", jsonObject{{"c", jsonList{jsonObject{}}}}}}, `{"a\n":1,"b":{"c":[{}]}}`},
	} {
		if got := string(appendJSON([]byte("before "), tc.value)); got != "before "+tc.want {
			t.Errorf("%#v is written as %s, want %s", tc.value, got, tc.want)
		}
	}
}
