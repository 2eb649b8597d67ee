# Tasks that need more than one command. `./test` runs the tests, cargo does the rest.

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Amazon Linux 2023 has glibc 2.34, Debian 12 has 2.36. A program linked with Debian 11's 2.31 runs on both.
GLIBC := 2.31
SYSROOT := $(abspath $(TARGET))/sysroot
LIBRARIES := $(shell cc -print-multiarch)
LINK := --sysroot=$(SYSROOT) -B$(SYSROOT)/usr/lib/$(LIBRARIES) -L$(SYSROOT)/usr/lib/$(LIBRARIES) -L$(SYSROOT)/lib/$(LIBRARIES)
COMMIT := $(shell git describe --always --dirty --abbrev=10 2>/dev/null)

.PHONY: dist install test clean

# Makes a release archive in dist/, for Linux machines with the GLIBC above or a newer one.
dist:
	packaging/sysroot $(SYSROOT)
	$(if $(COMMIT),PINSQL_COMMIT=$(COMMIT)) cargo rustc --profile dist --locked --bin pinsql -- $(addprefix -Clink-arg=,$(LINK))
	packaging/check_binary $(TARGET)/dist/pinsql $(GLIBC)
	rm -rf dist
	packaging/archive $(TARGET)/dist/pinsql dist
	packaging/try dist/*.tar.gz $(SYSROOT)

# Installs the program for this machine, in the folder that cargo uses.
install:
	$(if $(COMMIT),PINSQL_COMMIT=$(COMMIT)) cargo install --path . --locked

test:
	./test

clean:
	cargo clean
	rm -rf dist
