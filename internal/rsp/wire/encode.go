package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/bits"
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
	for len(body) > 0 {
		plain := beforeRun(body)
		dst = append(dst, body[:plain]...)
		if body = body[plain:]; len(body) > 0 {
			n := run(body)
			dst = appendRun(dst, body[0], n)
			body = body[n:]
		}
	}
	return appendSum(dst, dst[from:])
}

// beforeRun is how many bytes there are before the first run that is worth
// encoding.
func beforeRun(p []byte) int {
	i := 0
	for ; i+8 <= len(p); i += 5 {
		// A byte of same is 0 where a byte of p is like the next one. Three in
		// a row are a run; five places are looked at in one go.
		w := binary.LittleEndian.Uint64(p[i:])
		same := w ^ w>>8
		same = same | same>>8 | same>>16
		if (same-ones)&^same&highs&(1<<40-1) != 0 {
			break
		}
	}
	for ; i+minRepeat < len(p); i++ {
		if c := p[i]; p[i+1] == c && p[i+2] == c && p[i+3] == c {
			return i
		}
	}
	return len(p)
}

// For finding a byte that is 0 in eight at once.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

func appendSum(dst, summed []byte) []byte {
	sum := checksum(summed)
	return append(dst, '#', hexDigits[sum>>4], hexDigits[sum&15])
}

// checksum is the sum of the bytes, eight of which are taken at once: four in
// each of two words, in lanes of 16 bits, which hold the sum of 256 bytes.
func checksum(p []byte) byte {
	const lanes, most = 0x00ff00ff00ff00ff, 256
	var sum uint64
	for len(p) >= 8 {
		part := p[:min(len(p)&^7, 8*most)]
		p = p[len(part):]
		var even, odd uint64
		for ; len(part) >= 8; part = part[8:] {
			w := binary.LittleEndian.Uint64(part)
			even += w & lanes
			odd += w >> 8 & lanes
		}
		for _, w := range [...]uint64{even, odd} {
			sum += w + w>>16 + w>>32 + w>>48
		}
	}
	for _, c := range p {
		sum += uint64(c)
	}
	return byte(sum)
}

// run is how often the first byte of p stands there in a row.
func run(p []byte) int {
	same := ones * uint64(p[0])
	n := 1
	for ; n+8 <= len(p); n += 8 {
		if other := binary.LittleEndian.Uint64(p[n:]) ^ same; other != 0 {
			return n + bits.TrailingZeros64(other)/8
		}
	}
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
	for ; n > maxRepeat; n -= maxRepeat + 1 {
		dst = append(dst, c, repeat, maxRepeat+repeatBias)
	}
	for n > 0 {
		dst = append(dst, c)
		n--
		k := n
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

// AppendHex appends data in hex, fast for pages of zeros, of which memory has
// many.
func AppendHex(dst, data []byte) []byte {
	for len(data) > 0 {
		part := data[:min(len(data), len(zeroPage))]
		if bytes.Equal(part, zeroPage[:len(part)]) {
			dst = append(dst, zeroDigits[:2*len(part)]...)
		} else {
			dst = hex.AppendEncode(dst, part)
		}
		data = data[len(part):]
	}
	return dst
}

var (
	zeroPage   [4096]byte
	zeroDigits = bytes.Repeat([]byte("0"), 2*len(zeroPage))
)

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
