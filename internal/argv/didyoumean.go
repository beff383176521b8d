package argv

import "fmt"

// DidYouMean is a question about the name most like the wrong one, written
// with a prefix, or a colon if none is like it.
func DidYouMean(wrong string, names []string, prefix string) string {
	best, least := "", min(3, len(wrong)) // more than two slips are not a typo
	for _, n := range names {
		if d := distance(wrong, n); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ":"
	}
	return fmt.Sprintf(", did you mean %s%s?", prefix, best)
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
