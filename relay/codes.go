package relay

import (
	"fmt"
	"strconv"
)

const (
	codeMin = 100
	codeMax = 599
)

// CodeSet is a set of HTTP status codes. The zero value is empty. It may be copied and used by several goroutines.
type CodeSet struct {
	bits [(codeMax + 64) / 64]uint64
}

// ParseCodes makes a set of codes ("200") and classes ("2xx"), from 100 to 599. The error names the first item that is
// neither.
func ParseCodes(items []string) (CodeSet, error) {
	var set CodeSet
	for _, item := range items {
		first, last, ok := parseCodes(item)
		if !ok {
			return CodeSet{}, fmt.Errorf("%q is neither a status code (200) nor a class of them (2xx)", item)
		}
		for code := first; code <= last; code++ {
			set.bits[code/64] |= 1 << (code % 64)
		}
	}
	return set, nil
}

// Contains reports whether code is in the set.
func (s CodeSet) Contains(code int) bool {
	return code >= codeMin && code <= codeMax && s.bits[code/64]&(1<<(code%64)) != 0
}

func parseCodes(item string) (first, last int, ok bool) {
	if len(item) != 3 || item[0] < '1' || item[0] > '5' {
		return 0, 0, false
	}
	if item[1:] == "xx" || item[1:] == "XX" {
		first = int(item[0]-'0') * 100
		return first, first + 99, true
	}
	code, err := strconv.ParseUint(item, 10, 16)
	return int(code), int(code), err == nil
}
