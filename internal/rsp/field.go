package rsp

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// memoryRange is a part of the memory, as in "ADDR,LENGTH".
type memoryRange struct {
	Addr   uint64
	Length int
}

// maxLength is the longest range a packet may name, bytes. Answers are cut to
// packetSize anyway; searches and checksums go in pieces.
const maxLength = 1<<63 - 1

func parseRange(args string) (memoryRange, error) {
	addr, length, ok := strings.Cut(args, ",")
	if !ok {
		return memoryRange{}, fmt.Errorf("%q is not ADDR,LENGTH", args)
	}
	a, err := parseHex(addr)
	if err != nil {
		return memoryRange{}, err
	}
	n, err := parseHex(length)
	if err != nil {
		return memoryRange{}, err
	}
	return memoryRange{a, int(min(n, maxLength))}, nil
}

func parseHex(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a hexadecimal number of 64 bits", s)
	}
	return n, nil
}

// parseHexText is the text that s spells in hex digits.
func parseHexText(s string) (string, error) {
	b, err := hex.DecodeString(s)
	return string(b), err
}

func appendHexText(dst reply, s string) reply { return hex.AppendEncode(dst, []byte(s)) }

// cutInts cuts args at its commas into hexadecimal numbers, which must be as
// many as there are places in into.
func cutInts(args string, into ...*uint64) error {
	parts := strings.Split(args, ",")
	if len(parts) != len(into) {
		return fmt.Errorf("%q is not %d numbers", args, len(into))
	}
	for i, p := range parts {
		n, err := parseHex(p)
		if err != nil {
			return err
		}
		*into[i] = n
	}
	return nil
}
