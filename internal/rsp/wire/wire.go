// Package wire turns bytes into packets of the GDB Remote Serial Protocol and
// back: framing, checksum, escapes, run-length encoding.
//
//	$ body # cc     a packet; cc is the sum of the body's bytes, mod 256, in hex
//	% body # cc     a notification, from the server only, never acknowledged
//	+  -            the last packet arrived, or must be sent again
//	0x03            interrupt, from the client only
//
// It does no I/O and knows no packet by name; package rsp, above it, does
// both. Source of the format: "Overview" of the appendix on the remote
// protocol in gdb's manual.
package wire

// Bytes with a meaning of their own.
const (
	interrupt = 0x03
	escape    = '}' // the next byte is to be XORed with escapeXOR
	escapeXOR = 0x20
	repeat    = '*' // the next byte, less repeatBias, is how often the last one comes again
	// repeatBias makes every count a printable character.
	repeatBias = 29
)

const hexDigits = "0123456789abcdef"

// unhex is the value of a hex digit.
func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
