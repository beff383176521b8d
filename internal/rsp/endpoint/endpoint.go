// Package endpoint opens the streams on which gdb reaches a server: TCP, a unix
// socket, standard input and output, a pseudo-terminal. Each is a listener of
// package rsp, which is above it and speaks the protocol; endpoint only moves
// bytes and knows who may connect.
package endpoint
