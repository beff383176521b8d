package monitor

import (
	"errors"
	"strings"
)

// split splits a command line into words as gdb users write them: blanks
// separate, "double" and 'single' quotes and a backslash keep them. Inside
// double quotes a backslash escapes " and \ alone, inside single quotes
// nothing.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	switch {
	case escaped:
		return nil, errors.New(`the line ends behind a \: nothing is left to escape`)
	case quote != 0:
		return nil, errors.New("a " + string(quote) + " is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
