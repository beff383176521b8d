package arch

// State is the registers of a guest's processor as its architecture has them:
// a pointer to one of the structures of this package, such as [X86].
type State interface {
	// Registers lists the registers in the order they are printed.
	Registers() []Register
}

// Register is a register by its usual name.
type Register struct {
	Name  string
	Value []byte // little-endian, whatever the guest's byte order
}
