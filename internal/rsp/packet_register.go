package rsp

import (
	"encoding/hex"
	"fmt"
)

// The packets about registers.
var registerPackets = []packet{
	on("g", text, (*session).readRegisters),
	on("p", parseHex, (*session).readRegister),
	on("G", text, refuseRegister),
	on("P", text, refuseRegister),
}

func (s *session) registers() ([]Register, error) {
	if s.current == 0 {
		return nil, fmt.Errorf("no thread")
	}
	return s.target.Registers(s.current)
}

// readRegisters answers g: all registers in a row.
//
// A client that did not fetch target.xml takes the registers to be those of
// the architecture's oldest processor, and gives up when there are more.
func (s *session) readRegisters(string) (reply, error) {
	regs, err := s.registers()
	if err != nil {
		return nil, err
	}
	if plain, ok := s.target.(PlainRegisters); ok && !s.xmlRead {
		regs = regs[:min(len(regs), max(plain.PlainRegisters(), 0))]
	}
	var r reply
	for _, reg := range regs {
		r = appendRegister(r, reg)
	}
	if len(r) == 0 {
		return nil, fmt.Errorf("thread %d has no registers", s.current)
	}
	return r, nil
}

func (s *session) readRegister(number uint64) (reply, error) {
	regs, err := s.registers()
	if err != nil {
		return nil, err
	}
	if number >= uint64(len(regs)) {
		return nil, fmt.Errorf("no register %d", number)
	}
	return appendRegister(reply{}, regs[number]), nil
}

// appendRegister writes two digits a byte, "xx" for what is not available.
func appendRegister(r reply, reg Register) reply {
	size := (reg.Bits + 7) / 8
	if len(reg.Data) == size {
		return hex.AppendEncode(r, reg.Data)
	}
	for range size {
		r = append(r, "xx"...)
	}
	return r
}

func refuseRegister(*session, string) (reply, error) {
	return nil, refusal("registers of this target cannot be written")
}
