# Builds, tests and installs Keydir. `make help` lists the targets for users.
#
# CFLAGS, CPPFLAGS and LDFLAGS belong to the user; Keydir's own flags are in separate
# variables. All output is below $(BUILD), or below $(BUILD)/$(SANITIZER) for
# `make SANITIZER=address|undefined|thread`, so several kinds of build can coexist.
# Sources are found by wildcard, so a new file needs no change here. Each source with a
# main() becomes a program.

VERSION = 0.1.0

BUILD ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
SANITIZER ?=
WERROR ?= 0

bindir = $(PREFIX)/bin
mandir = $(PREFIX)/share/man
docdir = $(PREFIX)/share/doc/keydir
unitdir = $(PREFIX)/lib/systemd/system
tmpfilesdir = $(PREFIX)/lib/tmpfiles.d
# mount(8) searches for its helpers only in the system's sbin.
helperdir = $(if $(filter /usr /usr/local,$(PREFIX)),/usr/sbin,$(PREFIX)/sbin)
INSTALL ?= install

comma := ,
empty :=
# The directory of this build: build, build/address, build/address-undefined ...
OUT := $(BUILD)$(if $(SANITIZER),/$(subst $(comma),-,$(SANITIZER)))

# --- flags ----------------------------------------------------------------

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough \
	$(if $(filter 1,$(WERROR)),-Werror)
# Includes with "" name the path from the top. -iquote does not apply to includes with <>,
# so a header of Keydir cannot replace one of a library.
KD_CPPFLAGS = -D_GNU_SOURCE -DKEYDIR_VERSION='"$(VERSION)"' -DFUSE_USE_VERSION=317 -iquote .
KD_CFLAGS = -std=gnu11 -pthread -fPIE -fno-common $(WARNINGS)
KD_LDFLAGS = -pthread -pie
ifeq ($(SANITIZER),)
KD_CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
KD_CFLAGS += -fstack-protector-strong -fstack-clash-protection
KD_LDFLAGS += -Wl,-z,relro,-z,now -Wl,-z,noexecstack
else
KD_CFLAGS += -fsanitize=$(SANITIZER) -fno-omit-frame-pointer
KD_LDFLAGS += -fsanitize=$(SANITIZER)
ifneq ($(findstring undefined,$(SANITIZER)),)
KD_CFLAGS += -fno-sanitize-recover=undefined
endif
endif

# pkg_flags(--cflags or --libs,packages). Prints nothing if pkg-config is missing; the
# compiler then reports the missing packages, which `make deps` installs.
pkg_flags = $(shell pkg-config $(1) $(2) 2>/dev/null)
PKGS_COMMON = lmdb jansson rdkafka libcurl
COMMON_LIBS := $(or $(call pkg_flags,--libs,$(PKGS_COMMON)),-llmdb -ljansson -lrdkafka -lcurl)
FUSE_CFLAGS := $(or $(call pkg_flags,--cflags,fuse3),-I/usr/include/fuse3)
FUSE_LIBS := $(or $(call pkg_flags,--libs,fuse3),-lfuse3)
MHD_LIBS := $(or $(call pkg_flags,--libs,libmicrohttpd gnutls),-lmicrohttpd -lgnutls)
CMOCKA_LIBS := $(or $(call pkg_flags,--libs,cmocka),-lcmocka)
PKG_CFLAGS := $(FUSE_CFLAGS) $(call pkg_flags,--cflags,$(PKGS_COMMON) libmicrohttpd gnutls)
ALL_LIBS = $(FUSE_LIBS) $(MHD_LIBS) $(COMMON_LIBS)

# The fuzzers need clang and are always built with ASan and UBSan.
FUZZ_CC ?= clang
FUZZ_CFLAGS = -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined

# --- sources --------------------------------------------------------------

# Filter the given files by whether they have a main().
with_main = $(if $(1),$(shell grep -lE '^int main[^a-z_]' $(1)))
without_main = $(if $(1),$(shell grep -LE '^int main[^a-z_]' $(1)))
objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
fuzz_objects = $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(1))

COMMON_SRC := $(wildcard common/*/*.c)
FS_SRC := $(wildcard fs/*.c)
HTTPD_SRC := $(wildcard httpd/*.c httpd/*/*.c)
FS_MAIN := $(call with_main,$(FS_SRC))
HTTPD_MAIN := $(call with_main,$(HTTPD_SRC))
FS_LIB_SRC := $(filter-out $(FS_MAIN),$(FS_SRC))
HTTPD_LIB_SRC := $(filter-out $(HTTPD_MAIN),$(HTTPD_SRC))

UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT_MAIN := $(call with_main,$(UNIT_SRC))
UNIT_LIB_SRC := $(filter-out $(UNIT_MAIN),$(UNIT_SRC))
TOOL_SRC := $(wildcard tests/tools/*.c tests/bench/*.c)
TOOL_MAIN := $(call with_main,$(TOOL_SRC))
TOOL_LIB_SRC := $(filter-out $(TOOL_MAIN),$(TOOL_SRC))
FUZZ_SRC := $(wildcard tests/fuzz/*.c)
FUZZ_MAIN := $(if $(FUZZ_SRC),$(shell grep -l '^int LLVMFuzzerTestOneInput' $(FUZZ_SRC)))
# Unit tests and fuzzers share the code that creates events and checks stores.
FUZZ_LIB_SRC := $(filter-out $(FUZZ_MAIN),$(FUZZ_SRC)) $(UNIT_LIB_SRC)

PROGRAMS := $(if $(FS_MAIN),$(OUT)/keydir-fs) $(if $(HTTPD_MAIN),$(OUT)/keydir-httpd)
UNITS := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(UNIT_MAIN))
TOOLS := $(foreach src,$(TOOL_MAIN),$(OUT)/$(patsubst tests/%.c,%,$(src)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_MAIN))
LIBS := $(OUT)/libhttpd.a $(OUT)/libfs.a $(OUT)/libkeydir.a

# V=1 prints the commands.
Q = $(if $(V),,@)
say = $(if $(V),,@echo '  $(1) $@')

# --- building -------------------------------------------------------------

.PHONY: all help
all: $(PROGRAMS) ## build $(BUILD)/keydir-fs and $(BUILD)/keydir-httpd
	@:

help: ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
		sed 's/$$(BUILD)/build/g' | expand -t 16

# A change of the flags rebuilds the objects.
.PHONY: force
FLAGS_NOW = $(CC) $(CPPFLAGS) $(KD_CPPFLAGS) $(CFLAGS) $(KD_CFLAGS) $(LDFLAGS) $(KD_LDFLAGS)
$(OUT)/flags: force
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS_NOW))' >$@

$(OUT)/obj/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,cc)
	$(Q)$(CC) $(KD_CPPFLAGS) $(CPPFLAGS) $(KD_CFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc)
	$(Q)$(FUZZ_CC) $(filter-out -D_FORTIFY_SOURCE=2,$(KD_CPPFLAGS)) -std=gnu11 -pthread $(PKG_CFLAGS) \
		$(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

# Archives are rebuilt from scratch, so that they keep no member of a removed source.
archive = $(Q)rm -f $@; ar rcsD $@ $(filter %.o,$^)
$(OUT)/libkeydir.a: $(call objects,$(COMMON_SRC))
	$(archive)
$(OUT)/libfs.a: $(call objects,$(FS_LIB_SRC))
	$(archive)
$(OUT)/libhttpd.a: $(call objects,$(HTTPD_LIB_SRC))
	$(archive)
$(OUT)/libunit.a: $(call objects,$(UNIT_LIB_SRC))
	$(archive)
$(OUT)/libtools.a: $(call objects,$(TOOL_LIB_SRC))
	$(archive)
$(BUILD)/fuzz/libfuzzed.a: $(call fuzz_objects,$(COMMON_SRC) $(FS_LIB_SRC) $(HTTPD_LIB_SRC) \
		$(FUZZ_LIB_SRC))
	$(archive)

link = $(CC) $(KD_CFLAGS) $(CFLAGS) $(KD_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

$(OUT)/keydir-fs: $(call objects,$(FS_MAIN)) $(OUT)/libfs.a $(OUT)/libkeydir.a
	$(call say,ld)
	$(Q)$(link) $(FUSE_LIBS) $(COMMON_LIBS) $(LDLIBS)

$(OUT)/keydir-httpd: $(call objects,$(HTTPD_MAIN)) $(OUT)/libhttpd.a $(OUT)/libkeydir.a
	$(call say,ld)
	$(Q)$(link) $(MHD_LIBS) $(COMMON_LIBS) $(LDLIBS)

# A test may request linker options in a comment, such as "LINK: -Wl,--wrap=malloc".
$(OUT)/unit/%: $(OUT)/obj/tests/unit/%.o $(OUT)/libunit.a $(LIBS)
	@mkdir -p $(@D)
	$(call say,ld)
	$(Q)$(link) $(shell sed -n 's/.*LINK: \(-[^*]*\).*/\1/p' tests/unit/$*.c) \
		$(CMOCKA_LIBS) $(ALL_LIBS) $(LDLIBS)

$(OUT)/tools/%: $(OUT)/obj/tests/tools/%.o $(OUT)/libtools.a $(LIBS)
	@mkdir -p $(@D)
	$(call say,ld)
	$(Q)$(link) $(ALL_LIBS) $(LDLIBS)

# Benchmarks are not linked with the objects of httpd: one of those replaces a function of
# libmicrohttpd, which must not affect the other servers that are measured.
$(OUT)/bench/%: $(OUT)/obj/tests/bench/%.o $(OUT)/libtools.a $(OUT)/libkeydir.a
	@mkdir -p $(@D)
	$(call say,ld)
	$(Q)$(link) $(ALL_LIBS) $(LDLIBS)

$(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/%.o $(BUILD)/fuzz/libfuzzed.a
	@mkdir -p $(@D)
	$(call say,ld)
	$(Q)$(FUZZ_CC) -pthread $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o %.a,$^) $(ALL_LIBS)

# Keep the objects for incremental builds.
.SECONDARY:

# The assembler embeds these files in httpd/console_files.c, which -MMD does not report.
CONSOLE_FILES := $(wildcard httpd/console/* httpd/openapi.json)
$(call objects,httpd/console_files.c): $(CONSOLE_FILES)
$(call fuzz_objects,httpd/console_files.c): $(CONSOLE_FILES)

-include $(patsubst %.o,%.d,$(call objects,$(COMMON_SRC) $(FS_SRC) $(HTTPD_SRC) $(UNIT_SRC) \
	$(TOOL_SRC)) $(call fuzz_objects,$(COMMON_SRC) $(FS_LIB_SRC) $(HTTPD_LIB_SRC) $(FUZZ_SRC) \
	$(UNIT_LIB_SRC)))

.PHONY: deps clean
deps: ## install the Debian or Ubuntu packages for building, running and testing
	@tests/deps.sh

clean: ## remove the build directory
	rm -rf $(BUILD)

# --- running --------------------------------------------------------------

# The lock serves concurrent calls of `make up`.
BUILD_ONCE = mkdir -p $(OUT) && flock $(OUT) $(MAKE) --no-print-directory all

.PHONY: up down
up: ## start one node: ./mnt mounted, REST on 127.0.0.1:8080 (KEYDIR_LISTEN, KEYDIR_STORE)
	@tests/deps.sh building running
	+@$(BUILD_ONCE)
	@common/scripts/up.sh $(OUT)

down: ## stop it and unmount
	@common/scripts/down.sh

.PHONY: cluster-up cluster-down
cluster-up: ## start three nodes, a Kafka broker and Nginx: ./mnt1 to ./mnt3, REST on 8001 to 8003, Nginx on 5000
	@tests/deps.sh building running cluster
	+@$(BUILD_ONCE)
	@common/scripts/cluster.sh up $(OUT)

cluster-down: ## stop them and unmount
	@common/scripts/cluster.sh down

# --- tests ----------------------------------------------------------------

.PHONY: unit fuzz fuzzers tools
unit: $(UNITS) ## build the unit tests
	@:
fuzz: ## build the fuzzers (clang; installs missing packages first)
	@tests/deps.sh building fuzzing
	+@$(MAKE) --no-print-directory fuzzers
fuzzers: $(FUZZERS)
	@:
tools: $(TOOLS)
	@:

# Build what TESTS can run: unit tests unless all of its words start with bats/, and
# fuzzers unless all start with unit/ or bats/. A SANITIZER build has no fuzzers, which
# have their own sanitizers.
TESTS ?=
wanted = $(if $(filter-out $(1),$(or $(TESTS),all)),$(2))
TESTED = $(call wanted,bats/%,unit) $(if $(SANITIZER),,$(call wanted,unit/% bats/%,fuzzers))

.PHONY: test check
test: ## run all tests (installs missing packages first); TESTS="unit/key bats/fs" selects some
	@tests/deps.sh building running testing fuzzing cluster
	+@$(MAKE) --no-print-directory all tools $(TESTED)
	@KEYDIR_BUILD=$(OUT) FUZZ_BUILD=$(BUILD)/fuzz SANITIZER=$(SANITIZER) tests/run $(TESTS)

.PHONY: compose-test
compose-test: ## test docker-compose.yml with a separate Docker daemon (as root)
	@tests/deps.sh building running testing fuzzing cluster containers
	+@$(MAKE) --no-print-directory SANITIZER= all
	@KEYDIR_BUILD=$(BUILD) SANITIZER= LIMIT_S=1800 tests/run compose/

check: ## check formatting, static analysis, house rules, shellcheck
	@tests/deps.sh building checking
	@BUILD=$(BUILD) tests/check.sh

.PHONY: format
format: ## format all C files with clang-format
	clang-format -i $$(find common fs httpd tests -name '*.[ch]')

# Always the plain build: sanitizers distort measurements.
.PHONY: bench
bench: ## compare the mount, REST and the store with peers (BENCH="get put", BENCH_QUICK=1)
	@tests/deps.sh building running benchmarks cluster
	+@$(MAKE) --no-print-directory SANITIZER= all tools
	@KEYDIR_BUILD=$(BUILD) tests/bench/run $(BENCH)

# --- installing -----------------------------------------------------------

# The program generates the OPTIONS section of its page.
$(OUT)/man/%.8: $(OUT)/%
	@mkdir -p $(@D)
	$(Q)$< --man-options >$@.options
	$(Q)sed -e '/^@OPTIONS@$$/{' -e 'r $@.options' -e 'd' -e '}' $(wildcard */$*.8) >$@.new
	$(Q)mv $@.new $@
$(OUT)/man/keydir-fs.8: fs/keydir-fs.8
$(OUT)/man/keydir-httpd.8: httpd/keydir-httpd.8

MANUALS := $(patsubst $(OUT)/%,$(OUT)/man/%.8,$(PROGRAMS))
UNITS_SYSTEMD := $(wildcard fs/*.service httpd/*.service)
DOCS := $(wildcard README.md common/DESIGN.md common/EVENTS.md common/THREADS.md LICENSE \
	httpd/alerts.yml httpd/grafana.json httpd/openapi.json)

.PHONY: man install uninstall
man: $(MANUALS) ## build the man pages
	@:

install: all man ## install to PREFIX (/usr/local), staged in DESTDIR
	$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man8 $(DESTDIR)$(unitdir) \
		$(DESTDIR)$(tmpfilesdir) $(DESTDIR)$(docdir) $(DESTDIR)$(helperdir)
	$(INSTALL) -m 755 $(PROGRAMS) $(DESTDIR)$(bindir)
	$(INSTALL) -m 644 $(MANUALS) $(DESTDIR)$(mandir)/man8
	$(INSTALL) -m 644 $(DOCS) $(DESTDIR)$(docdir)
	for unit in $(UNITS_SYSTEMD); do \
		sed 's|@bindir@|$(bindir)|g' $$unit >$(OUT)/unit.tmp && \
		$(INSTALL) -m 644 $(OUT)/unit.tmp $(DESTDIR)$(unitdir)/$${unit##*/} || exit; \
	done
	$(INSTALL) -m 644 common/scripts/keydir.tmpfiles.conf $(DESTDIR)$(tmpfilesdir)/keydir.conf
	ln -sf $(bindir)/keydir-fs $(DESTDIR)$(helperdir)/mount.fuse.keydir

uninstall: ## remove the installed files, with the same PREFIX and DESTDIR
	rm -f $(addprefix $(DESTDIR)$(bindir)/,keydir-fs keydir-httpd)
	rm -f $(addprefix $(DESTDIR)$(mandir)/man8/,keydir-fs.8 keydir-httpd.8)
	rm -f $(addprefix $(DESTDIR)$(unitdir)/,$(notdir $(UNITS_SYSTEMD)))
	rm -f $(addprefix $(DESTDIR)$(docdir)/,$(notdir $(DOCS)))
	rm -f $(DESTDIR)$(tmpfilesdir)/keydir.conf
	rm -f $(DESTDIR)$(helperdir)/mount.fuse.keydir
	-rmdir $(DESTDIR)$(docdir)
