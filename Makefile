# What make can do here: make help. Anything longer than a line is in scripts/.
FLAGS ?=
PREFIX ?= /usr/local

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

build: ## bin/guestcore
	CGO_ENABLED=0 go build -o bin/guestcore ./gdbstub

lib: ## lib/libguestcore.so for gdb and for C, its header, and the script that has gdb load it
	scripts/lib

install: build lib ## everything under PREFIX (/usr/local), below DESTDIR if that is set
	scripts/install '$(DESTDIR)' '$(PREFIX)'

demo: build ## boot Linux in QEMU, kill QEMU, dump the guest from its core through gdb, compare with QEMU's own dump
	scripts/demo

setup: ## everything the tests need from Debian, and a QEMU with debug information
	scripts/setup test && scripts/build-qemu

test: setup ## all tests, unit and end to end; FLAGS go to go test
	go test -timeout 40m $(FLAGS) ./...

e2e: setup ## the end-to-end tests alone
	go test -timeout 40m $(FLAGS) ./test/...

race: ## the unit tests under the race detector
	go test -race $(FLAGS) ./internal/... ./gdbstub/...

lint: ## gofmt, go vet, staticcheck, the layers
	scripts/lint

fuzz: ## every fuzz test for ten seconds
	scripts/fuzz

bench: build setup ## dumps against cp, dd, makedumpfile and QEMU's Python script; the table is kept in the cache folder; PARTS for some, as kdump-random
	scripts/bench $(PARTS)

clean: ## what was built here; the cache folder stays
	rm -rf bin lib lib.*

.PHONY: help build lib install demo setup test e2e race lint fuzz bench clean
