package objfile

import "slices"

// Provenance says where symbols and types come from, for the user and for --json.
type Provenance struct {
	Executable    string   `json:"executable"`
	BuildID       string   `json:"build_id,omitempty"`      // hex
	Symbols       []string `json:"symbols"`                 // tables in the order they are asked, "path .symtab"
	DebugInfo     string   `json:"debug_info,omitempty"`    // file that holds the DWARF; "": none
	FoundBy       string   `json:"found_by,omitempty"`      // "in the executable", "build-id", "debuglink", "debuginfod cache"
	Supplementary string   `json:"supplementary,omitempty"` // file that dwz moved shared DWARF to; "": none
	Warnings      []string `json:"warnings,omitempty"`
}

// Describe says where symbols and types come from. It looks for the debug files if that was not done yet.
func (f *File) Describe() Provenance {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := Provenance{Executable: f.main.path, BuildID: f.main.id.String(), Symbols: []string{}}
	for t := range f.tables {
		p.Symbols = append(p.Symbols, t.from.String())
	}
	if d := f.findDebug(); d != nil && d.img.hasDWARF() {
		p.DebugInfo, p.FoundBy = d.img.path, d.by
		if d.sup != nil {
			p.Supplementary = d.sup.path
		}
	}
	p.Warnings = slices.Clone(f.warnings)
	return p
}
