package explain

import (
	"math"
	"strconv"
	"strings"
)

func isInteger(text string) bool { return !strings.ContainsAny(text, ".eE") }

// The numbers of JSON as languages write them after they read them.

func jsNumber(text string) string {
	f, _ := strconv.ParseFloat(text, 64)
	switch {
	case math.IsInf(f, 0):
		return "null"
	case f == 0:
		return "0" // also -0
	}
	return floatWithin(f, 1e-6, 1e21, 1)
}

func goNumber(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return floatWithin(f, 1e-6, 1e21, 1)
}

func pythonNumber(text string) string {
	if isInteger(text) {
		if text == "-0" {
			return "0"
		}
		return text
	}
	f, _ := strconv.ParseFloat(text, 64)
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	s := floatWithin(f, 1e-4, 1e16, 2)
	if isInteger(s) {
		s += ".0"
	}
	return s
}

func rubyNumber(text string) string {
	if isInteger(text) {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return withFraction(floatWithin(f, 1e-4, 1e16, 2), "e")
}

func phpNumber(text string) string {
	if isInteger(text) {
		if _, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
			return text
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	s := floatWithin(f, 1e-4, 1e17, 1)
	if strings.Contains(s, "e") {
		s = withFraction(s, "e")
	}
	return s
}

func javaNumber(text string) string {
	if isInteger(text) {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	s := withFraction(floatWithin(f, 1e-3, 1e7, 1), "e")
	return strings.Replace(strings.Replace(s, "e+", "e", 1), "e", "E", 1)
}

// floatWithin writes the shortest text that reads back alike: with an exponent
// of so many digits at least, where it is not within the limits.
func floatWithin(f, from, below float64, digits int) string {
	if a := math.Abs(f); a == 0 || (a >= from && a < below) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	if n := len(s); digits == 1 && n >= 4 && s[n-2] == '0' && (s[n-3] == '-' || s[n-3] == '+') {
		s = s[:n-2] + s[n-1:]
	}
	return s
}

// withFraction makes 1 into 1.0 and 1e+21 into 1.0e+21.
func withFraction(s, exponent string) string {
	mantissa, rest, found := strings.Cut(s, exponent)
	if strings.Contains(mantissa, ".") {
		return s
	}
	if found {
		return mantissa + ".0" + exponent + rest
	}
	return mantissa + ".0"
}
