package rsp

import (
	"fmt"

	"guestcore/internal/rsp/wire"
)

// The packets about memory.
var memoryPackets = []packet{
	on("m", parseRange, (*session).readHex),
	on("x", parseRange, (*session).readBinary),
	on("M", text, refuseMemory),
	on("X", text, refuseMemory),
}

// read is the readable part of r from its start on, at most limit bytes. It is
// an error if there is none.
func (s *session) read(r memoryRange, limit int) ([]byte, error) {
	return s.readInto(make([]byte, min(r.Length, limit)), r.Addr)
}

// readShort is read for what fits into a packet; the bytes are good until the
// next one.
func (s *session) readShort(r memoryRange, limit int) ([]byte, error) {
	if s.space == nil {
		s.space = make([]byte, packetSize)
	}
	return s.readInto(s.space[:min(r.Length, limit)], r.Addr)
}

// readInto reads as much of p as is readable from addr on.
func (s *session) readInto(p []byte, addr uint64) ([]byte, error) {
	n, err := s.target.ReadMemory(s.current, p, addr)
	if n == 0 && len(p) > 0 {
		if err == nil {
			err = fmt.Errorf("no memory at %#x", addr)
		}
		return nil, err
	}
	return p[:n], nil
}

func (s *session) readHex(r memoryRange) (reply, error) {
	if r.Length == 0 {
		return nil, fmt.Errorf("no bytes asked for") // an empty answer would mean: not supported
	}
	p, err := s.readShort(r, packetSize/2)
	if err != nil {
		return nil, err
	}
	s.text = wire.AppendHex(s.text[:0], p)
	return s.text, nil
}

func (s *session) readBinary(r memoryRange) (reply, error) {
	p, err := s.readShort(r, packetSize)
	if err != nil {
		return nil, err
	}
	s.text, _ = wire.AppendEscaped(append(s.text[:0], 'b'), p, packetSize-1)
	return s.text, nil
}

// refuseMemory answers writes, which gdb shows as "Cannot access memory" with
// any error.
func refuseMemory(*session, string) (reply, error) {
	return nil, fmt.Errorf("memory of this target cannot be written")
}
