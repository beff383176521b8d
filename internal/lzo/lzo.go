// Package lzo packs and unpacks single blocks of memory as LZO1X streams:
// [Encoder] and [Compress] write the LZO1X-1 kind, [Decompress] reads every
// LZO1X stream, whoever wrote it. A page of a kdump file with the flag 0x2 is
// such a stream.
//
// It knows neither pages nor dumps, no file, no frame around the stream (the
// .lzo files of lzop) and no checksum: the stream has none, so a changed
// literal goes unnoticed. Of the kernel's two bitstream versions it knows
// version 0, which everybody reads; LZO-RLE (version 1, used by zram) is
// neither written nor read.
//
// # The stream
//
// A stream is a row of instructions that either bring new bytes (literals) or
// repeat bytes already written. Its source is the kernel's description,
// Documentation/staging/lzo.rst, by Willy Tarreau and Dave Rodgman.
//
// What an instruction below 16 means depends on how many literals went before
// it: none (that is also so at the start), one to three, or more. Every repeat
// has two bits S: so many literals follow it directly, at most three, without
// an instruction of their own.
//
//	first byte   more bytes           means                        length  distance
//	0000 LLLL    N…                   after none: literals         L+3
//	0000 DDSS    HHHHHHHH             after 1 to 3: repeat         2       HD+1     (to 1 KiB)
//	0000 DDSS    HHHHHHHH             after 4 and more: repeat     3       HD+2049  (2 to 3 KiB)
//	0001 HLLL    N… DDDDDDSS DDDDDDDD repeat                       L+2     HD+16384 (16 to 48 KiB)
//	0001 0LLL    N… 000000SS 00000000 end of the stream
//	001L LLLL    N… DDDDDDSS DDDDDDDD repeat                       L+2     D+1      (to 16 KiB)
//	01LD DDSS    HHHHHHHH             repeat                       L+3     HD+1     (to 2 KiB)
//	1LLD DDSS    HHHHHHHH             repeat                       L+5     HD+1     (to 2 KiB)
//
// HD is the number with the bits H above the bits D. The two bytes DDDDDDSS
// DDDDDDDD are a little-endian number whose two lowest bits are S. N… are
// there only when all bits L are zero, and stand for a length beyond what
// these bits hold: L is then the largest value of the field, plus 255 for
// every zero byte, plus the first byte that is not zero. A repeat may be
// longer than its distance: it then repeats what it has itself written.
//
// Only the first byte of a stream may also be something else: 18 to 255 is so
// many literals plus 17. (The description says that 18 to 21 are 0 to 3
// literals; they are 1 to 4.) The end is commonly written 11 00 00;
// Decompress takes it with any length and S, as liblzo2 does.
package lzo
