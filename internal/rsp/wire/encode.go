package wire

import (
	"bytes"
	"errors"
)

// AppendPacket appends $body#cc to dst. Runs of a byte are encoded, so that a
// page of zeros takes about 90 bytes. body must not contain # $ * or } other
// than those of [AppendEscaped].
func AppendPacket(dst, body []byte) []byte { return appendFrame(dst, '$', body) }

// AppendNotification appends %body#cc to dst.
func AppendNotification(dst, body []byte) []byte { return appendFrame(dst, '%', body) }

// AppendRequest appends $body#cc to dst with runs as they are, since only
// replies may have them encoded.
func AppendRequest(dst, body []byte) []byte {
	return appendSum(append(append(dst, '$'), body...), body)
}

func appendFrame(dst []byte, start byte, body []byte) []byte {
	dst = append(dst, start)
	from := len(dst)
	for i := 0; i < len(body); {
		n := run(body[i:])
		if n <= minRepeat {
			dst = append(dst, body[i:i+n]...)
		} else {
			dst = appendRun(dst, body[i], n)
		}
		i += n
	}
	return appendSum(dst, dst[from:])
}

func appendSum(dst, summed []byte) []byte {
	var sum byte
	for _, c := range summed {
		sum += c
	}
	return append(dst, '#', hexDigits[sum>>4], hexDigits[sum&15])
}

// run is how often the first byte of p stands there in a row.
func run(p []byte) int {
	n := 1
	for n < len(p) && p[n] == p[0] {
		n++
	}
	return n
}

// Repeats that one repeat sign can stand for. Fewer do not pay; a larger count
// would not be a printable character.
const (
	minRepeat = 3
	maxRepeat = '~' - repeatBias // 97
)

// appendRun appends n times c, as c * count where that is shorter.
func appendRun(dst []byte, c byte, n int) []byte {
	for n > 0 {
		dst = append(dst, c)
		n--
		k := min(n, maxRepeat)
		// The count must not look like a sign of the framing.
		for k >= minRepeat && bytes.IndexByte([]byte("#$+-"), byte(k+repeatBias)) >= 0 {
			k--
		}
		if k >= minRepeat {
			dst = append(dst, repeat, byte(k+repeatBias))
			n -= k
		}
	}
	return dst
}

// AppendEscaped appends data as a binary body, at most limit bytes of it, and
// returns how many bytes of data that took.
func AppendEscaped(dst, data []byte, limit int) ([]byte, int) {
	end := len(dst) + limit
	for i, c := range data {
		switch c {
		case '#', '$', escape, repeat:
			if len(dst)+2 > end {
				return dst, i
			}
			dst = append(dst, escape, c^escapeXOR)
		default:
			if len(dst)+1 > end {
				return dst, i
			}
			dst = append(dst, c)
		}
	}
	return dst, len(data)
}

var errEscape = errors.New("escape sign at the end of the data")

// Unescape is the data that [AppendEscaped] made body of.
func Unescape(body []byte) ([]byte, error) {
	data := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		c := body[i]
		if c == escape {
			if i++; i == len(body) {
				return nil, errEscape
			}
			c = body[i] ^ escapeXOR
		}
		data = append(data, c)
	}
	return data, nil
}
