package rsp

import (
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/rsp/wire"
)

// The packet that reads objects of all kinds in pieces.
var xferPackets = []packet{
	on("qXfer", parseXfer, (*session).readObject),
}

// xferRequest is a part of an object.
type xferRequest struct {
	object, annex  string
	write          bool
	offset, length uint64
}

// parseXfer reads "OBJECT:read:ANNEX:OFFSET,LENGTH". A write only needs to be
// recognised.
func parseXfer(args string) (xferRequest, error) {
	object, rest, _ := strings.Cut(args, ":")
	op, rest, _ := strings.Cut(rest, ":")
	if op == "write" {
		return xferRequest{object: object, write: true}, nil
	}
	i := strings.LastIndexByte(rest, ':')
	if op != "read" || i < 0 {
		return xferRequest{}, fmt.Errorf("%q is not OBJECT:read:ANNEX:OFFSET,LENGTH", args)
	}
	r := xferRequest{object: object, annex: rest[:i]}
	return r, cutInts(rest[i+1:], &r.offset, &r.length)
}

// object is a whole object, kept while the client reads it piece by piece.
type object struct {
	name, annex string
	thread      TID
	data        []byte
}

// xferObjects lists the objects that the target has.
func (s *session) xferObjects() []string {
	objects := []string{"threads"}
	if _, ok := s.target.(Featurer); ok {
		objects = append(objects, "features")
	}
	if x, ok := s.target.(Xferer); ok {
		objects = append(objects, x.XferObjects()...)
	}
	return slices.DeleteFunc(objects, func(o string) bool {
		return s.isDisabled("qXfer") || s.isDisabled("qXfer:"+o)
	})
}

func (s *session) readObject(r xferRequest) (reply, error) {
	if r.write || !slices.Contains(s.xferObjects(), r.object) {
		return unsupported, nil
	}
	o := &s.xfer
	if r.offset == 0 || o.name != r.object || o.annex != r.annex || o.thread != s.current {
		data, err := s.object(r.object, r.annex)
		if err != nil {
			return nil, err
		}
		*o = object{r.object, r.annex, s.current, data}
	}
	rest := o.data[min(r.offset, uint64(len(o.data))):]
	part := rest[:min(r.length, uint64(len(rest)))]
	b, n := wire.AppendEscaped(reply("m"), part, packetSize-1)
	if n == len(rest) {
		b[0] = 'l'
	}
	return b, nil
}

func (s *session) object(name, annex string) ([]byte, error) {
	switch name {
	case "threads":
		return s.threadsXML()
	case "features":
		data, ok := s.target.(Featurer).Features(annex)
		if !ok {
			return nil, fmt.Errorf("no target description %q", annex)
		}
		s.xmlRead = s.xmlRead || annex == "target.xml"
		return data, nil
	}
	return s.target.(Xferer).Xfer(name, annex, s.current)
}
