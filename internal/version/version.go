// Package version says which guestcore this is.
package version

import "runtime/debug"

// release is the version of the next release, for builds that Go's module
// system gives none.
const release = "0.1.0"

// String is the program's name and version, with the commit where the build
// knows it.
func String() string {
	v := "guestcore " + release
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " (" + s.Value[:12] + ")"
		}
	}
	return v
}
