package rsp

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"guestcore/internal/rsp/wire"
)

// The packets that look through memory without sending it.
var searchPackets = []packet{
	on("qSearch", parseSearch, (*session).search),
	on("qCRC", parseRange, (*session).checksum),
}

// stride is how much memory is looked at in one go, bytes: it should still be
// in the processor's cache when it has been read.
const stride = 256 << 10

// pattern is what gdb's "find" looks for.
type pattern struct {
	in   memoryRange
	data []byte
}

// parseSearch reads "memory:ADDR;LENGTH;PATTERN", the pattern in binary.
func parseSearch(args string) (pattern, error) {
	args, isMemory := strings.CutPrefix(args, "memory:")
	parts := strings.SplitN(args, ";", 3)
	if !isMemory || len(parts) != 3 {
		return pattern{}, fmt.Errorf("%q is not memory:ADDR;LENGTH;PATTERN", args)
	}
	in, err := parseRange(parts[0] + "," + parts[1])
	if err != nil {
		return pattern{}, err
	}
	data, err := wire.Unescape([]byte(parts[2]))
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("empty pattern")
	}
	return pattern{in, data}, err
}

// search answers "1,ADDR" or "0" for not found. Memory that cannot be read
// before the pattern is found is an error, as gdb has it.
func (s *session) search(p pattern) (reply, error) {
	return s.run(nil, func(ctx context.Context) (reply, error) {
		addr, left := p.in.Addr, p.in.Length
		space := make([]byte, min(left, stride+len(p.data)-1))
		for left >= len(p.data) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if zeros := s.searchPast(p.data, addr, left); zeros > 0 {
				addr += uint64(zeros)
				left -= zeros
				continue
			}
			window := min(left, len(space))
			buf, err := s.readInto(space[:window], addr)
			if err != nil {
				return nil, err
			}
			if i := bytes.Index(buf, p.data); i >= 0 {
				return fmt.Appendf(nil, "1,%x", addr+uint64(i)), nil
			}
			if len(buf) < window {
				return nil, fmt.Errorf("no memory at %#x", addr+uint64(len(buf)))
			}
			step := window - len(p.data) + 1
			addr += uint64(step)
			left -= step
		}
		return reply("0"), nil
	})
}

// searchPast is how far the search can go on from addr without a look: through
// memory that the target knows to be zeros, where the pattern has other bytes.
// The pattern may begin in the last of the zeros.
func (s *session) searchPast(pattern []byte, addr uint64, left int) int {
	known, can := s.target.(ZeroKnower)
	if !can || len(bytes.Trim(pattern, "\x00")) == 0 {
		return 0
	}
	zeros := min(known.ZerosAt(addr), uint64(left))
	return max(0, int(zeros)-len(pattern)+1)
}

// checksum answers for gdb's "compare-sections".
func (s *session) checksum(r memoryRange) (reply, error) {
	return s.run(nil, func(ctx context.Context) (reply, error) {
		crc := ^uint32(0)
		for r.Length > 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			buf, err := s.read(r, stride)
			if err != nil {
				return nil, err
			}
			crc = updateCRC(crc, buf)
			r.Addr += uint64(len(buf))
			r.Length -= len(buf)
		}
		return fmt.Appendf(nil, "C%x", crc), nil
	})
}

// crcTable is for the polynomial 0x04c11db7 taken high bit first, which
// package hash/crc32 does not do.
var crcTable = func() (table [256]uint32) {
	for i := range table {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		table[i] = c
	}
	return table
}()

func updateCRC(crc uint32, p []byte) uint32 {
	for _, b := range p {
		crc = crc<<8 ^ crcTable[byte(crc>>24)^b]
	}
	return crc
}
