package rsptest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"guestcore/internal/rsp/wire"
)

// Transcript plays a file of exchanges. A line is one of
//
//	# comment
//	> BODY        send a packet, the server acknowledges it
//	< REGEXP      the server sends a packet like that, all of it; acknowledge it
//	<? REGEXP     the same without the acknowledgement
//	<hex REGEXP   the packet is O and this text in hex, or this text in hex
//	>hex NAME TEXT   send NAME and TEXT in hex
//	raw BYTES     send these bytes; "|" cuts them into several writes
//	+  or  -      the server sends that next
//	quiet 300ms   the server sends nothing for that long
//	pause 300ms   do nothing
//	eof           the server hangs up
//
// Empty "O" packets, which only show that the server is alive, are
// acknowledged and dropped. Bytes and bodies are in the syntax of a Go string.
func Transcript(t *testing.T, c *Client, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimRight(line, " "); line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if err := c.step(word, rest); err != nil {
			t.Fatalf("%s:%d: %s: %v", file, i+1, line, err)
		}
	}
}

func (c *Client) step(word, rest string) error {
	switch word {
	case ">":
		body, err := unquote(rest)
		if err != nil {
			return err
		}
		return c.Send(body)
	case ">hex":
		name, text, _ := strings.Cut(rest, " ")
		text, err := unquote(text)
		if err != nil {
			return err
		}
		return c.Send(fmt.Sprintf("%s%x", name, text))
	case "<", "<?", "<hex":
		return c.expect(rest, word == "<hex", word != "<?")
	case "raw":
		for _, part := range strings.Split(rest, "|") {
			p, err := unquote(part)
			if err != nil {
				return err
			}
			if err := c.Raw([]byte(p)); err != nil {
				return err
			}
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	case "+", "-":
		want := map[string]wire.Kind{"+": wire.Ack, "-": wire.Nack}[word]
		e, err := c.Next(Patience)
		if err == nil && e.Kind != want {
			err = fmt.Errorf("got %s %q", e.Kind, e.Body)
		}
		return err
	case "quiet", "pause":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		if word == "pause" {
			time.Sleep(d)
			return nil
		}
		e, err := c.Next(d)
		if err == nil {
			return fmt.Errorf("got %s %q", e.Kind, e.Body)
		}
		if !errors.Is(err, ErrSilence) {
			return err
		}
		return nil
	case "eof":
		if _, err := c.Next(Patience); !errors.Is(err, io.EOF) {
			return fmt.Errorf("the server goes on: %v", err)
		}
		return nil
	}
	return fmt.Errorf("unknown word %q", word)
}

func (c *Client) expect(pattern string, inHex, ack bool) error {
	re, err := regexp.Compile("(?s)^(?:" + pattern + ")$")
	if err != nil {
		return err
	}
	for {
		e, err := c.Next(Patience)
		if err != nil {
			return err
		}
		if e.Kind != wire.Packet {
			return fmt.Errorf("got %s %q", e.Kind, e.Body)
		}
		alive := string(e.Body) == "O" && pattern != "O"
		if ack || alive {
			if err := c.Raw([]byte("+")); err != nil {
				return err
			}
		}
		if alive {
			continue
		}
		body := string(e.Body)
		if inHex {
			var text []byte
			if _, err := fmt.Sscanf(strings.TrimPrefix(body, "O"), "%x", &text); err != nil {
				return fmt.Errorf("%q is no text in hex: %w", body, err)
			}
			body = string(text)
		}
		if !re.MatchString(body) {
			return fmt.Errorf("got %q", body)
		}
		return nil
	}
}

func unquote(s string) (string, error) {
	return strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
}
