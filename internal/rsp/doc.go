// Package rsp serves a stopped program to gdb by the GDB Remote Serial
// Protocol: a [Target] goes in, and [Serve] answers one client on any byte
// stream.
//
// It is a server for programs that cannot run: nothing is resumed or written,
// and the refusals are those that gdb shows best and survives. It knows
// neither cores nor virtual machines; package gdbtarget gives it its targets.
// Below it, rsp/wire frames the bytes of a packet and rsp/endpoint opens the
// sockets, pipes and pseudo-terminals.
package rsp
