package vmcore

import (
	"errors"
	"os"
	"syscall"
)

// lseek(2) on Linux.
const (
	seekData = 3
	seekHole = 4
)

// dataOf returns the parts of a file that are not holes, by offset.
func dataOf(file *os.File, size int64) ([]Range, error) {
	var data []Range
	for at := int64(0); at < size; {
		from, err := file.Seek(at, seekData)
		if errors.Is(err, syscall.ENXIO) {
			break // only a hole up to the end
		}
		if err != nil {
			return nil, err
		}
		if at, err = file.Seek(from, seekHole); err != nil {
			return nil, err
		}
		data = append(data, Range{uint64(from), uint64(at)})
	}
	return data, nil
}
