package argv

import "testing"

func TestDidYouMean(t *testing.T) {
	for wrong, want := range map[string]string{
		"dmup": ", did you mean dump?", "inf": ", did you mean info?", "sevre": ", did you mean serve?",
		"x": ":", "": ":", "in": ":", "completely": ":",
	} {
		if got := DidYouMean(wrong, []string{"serve", "dump", "info", "version"}, ""); got != want {
			t.Errorf("%q: %q, want %q", wrong, got, want)
		}
	}
}
