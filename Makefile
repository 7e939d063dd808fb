# One makefile, no recursion into directories.  Each BUILD has its own tree under build/.
#: make                       the gateway: build/release/cam-httpflv, cam-httpflv-worker
#: make check                 unit tests and the fuzz corpus; faster with -j
#: make test_url              one unit program
#: make test_url CASE='test_s*'   some of its cases
#: make fuzz_url              one fuzz target over its corpus
#: make fuzz                  every fuzz target with libFuzzer, FUZZ_SECONDS=60 each
#: make asan, make tsan       make check under the sanitizers
#: make lint                  compiler, clang-tidy, cppcheck, clang-format, shellcheck, flake8, eslint, documents
#: make format                clang-format over the sources
#: make compile_commands      compile_commands.json for clangd
#: make sample-cameras tools  what test/e2e needs besides
#: make bench                 the benchmarks of test/bench
#: make chaos SEED=n SECONDS=n   faults drawn from a seed while 40 players watch
#: make soak MINUTES=n        opens and closes of everything; slopes of memory and descriptors
#: make install, uninstall    PREFIX=/usr/local, DESTDIR=
#: make deb                   build/cam-httpflv_VERSION_ARCH.deb
#: make clean                 rm -rf build
#:
#: BUILD=release|debug|asan|tsan|analyze|fuzz   CC=gcc|clang   V=1 shows the commands   WERROR=0

BUILD   ?= release
V       ?= 0
PREFIX  ?= /usr/local
DESTDIR ?=
WERROR  ?= 1
FUZZ_SECONDS ?= 60
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config

O := build/$(BUILD)

# --- flags --------------------------------------------------------------
WARN := -Wall -Wextra -Wformat=2 -Wshadow -Wundef -Wvla -Wcast-qual -Wcast-align \
        -Wwrite-strings -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
        -Wold-style-definition -Wimplicit-fallthrough -Wswitch -Wconversion \
        -Wno-sign-conversion -Wno-unused-parameter -Wnull-dereference
ifeq ($(WERROR),1)
WARN += -Werror
endif
GCC_WARN := -Wduplicated-cond -Wduplicated-branches -Wlogical-op
HARDEN   := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
            -fPIE
ifeq ($(shell uname -m),x86_64)
HARDEN += -fcf-protection=full
endif
HARDEN_LD := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed

IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null | head -n1))
ifeq ($(IS_CLANG),)
WARN   += $(GCC_WARN)
HARDEN += -ftrivial-auto-var-init=zero   # clang 14 refuses it without a second flag
endif

MODE_release := -O2 -g $(HARDEN)
MODE_debug   := -O0 -g3 -fPIE
MODE_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
MODE_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
MODE_analyze := -O2 -g -fanalyzer
MODE_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDMODE_release := $(HARDEN_LD)
LDMODE_debug   := -pie
LDMODE_asan    := -fsanitize=address,undefined
LDMODE_tsan    := -fsanitize=thread
LDMODE_fuzz    := -fsanitize=address,undefined

ifeq ($(MODE_$(BUILD)),)
$(error BUILD=$(BUILD) is not one of release debug asan tsan analyze fuzz)
endif

CFLAGS  ?=
LDFLAGS ?=
ALL_CPPFLAGS := -I. -D_GNU_SOURCE
ALL_CFLAGS    = -std=c11 $(MODE_$(BUILD)) $(WARN) $(CFLAGS)
ALL_LDFLAGS   = $(LDMODE_$(BUILD)) $(LDFLAGS)

# Third-party headers are included as system headers: their warnings are not ours.
sys_cflags = $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(1)))
UV_CFLAGS  := $(call sys_cflags,libuv)
UV_LIBS    := $(shell $(PKG_CONFIG) --libs libuv)
AV_PKGS    := libavformat libavcodec libswresample libswscale libavutil
AV_CFLAGS  := $(call sys_cflags,$(AV_PKGS))
AV_LIBS    := $(shell $(PKG_CONFIG) --libs $(AV_PKGS))
# llhttp: a library in Debian 13, C sources in Debian 12 (node-llhttp).
LLHTTP_DIR := /usr/share/llhttp
ifeq ($(shell $(PKG_CONFIG) --exists libllhttp && echo yes),yes)
LLHTTP_CFLAGS := $(call sys_cflags,libllhttp)
LLHTTP_LIBS   := $(shell $(PKG_CONFIG) --libs libllhttp)
else
LLHTTP_CFLAGS := -isystem /usr/share/include/llhttp
LLHTTP_SRC    := api.c http.c llhttp.c
endif
MASTER_LIBS := $(UV_LIBS) $(LLHTTP_LIBS) -linih -ljansson -lcrypto -lsystemd
WORKER_LIBS := $(UV_LIBS) $(AV_LIBS) -lssl -lcrypto -lseccomp -lm
# How pictures become JPEG: turbo (libjpeg-turbo) or stb (stb_image_write).
JPEG ?= $(if $(shell $(PKG_CONFIG) --exists libjpeg && echo yes),turbo,stb)
JPEG_LIBS_turbo = $(shell $(PKG_CONFIG) --libs libjpeg)
ifeq ($(filter $(JPEG),turbo stb),)
$(error JPEG=$(JPEG) is not one of turbo stb)
endif
WORKER_LIBS += $(JPEG_LIBS_$(JPEG))
TEST_LIBS   := $(MASTER_LIBS) $(WORKER_LIBS) -lcmocka
GST_PKGS    := gstreamer-1.0 gstreamer-app-1.0 gstreamer-rtsp-server-1.0

# --- sources ------------------------------------------------------------
COMMON_SRC := $(sort $(wildcard common/*.c))
MASTER_SRC := $(sort $(wildcard master/*.c))
JPEG_SRC   := worker/pictures/jpeg_turbo.c worker/pictures/jpeg_stb.c
WORKER_SRC := $(sort $(filter-out $(JPEG_SRC),$(wildcard worker/*/*.c)) worker/pictures/jpeg_$(JPEG).c)
UNIT_SRC   := $(sort $(wildcard test/unit/test_*.c))
FUZZ_SRC   := $(sort $(wildcard test/fuzz/fuzz_*.c))
WEB_SRC    := $(sort $(filter-out %.config.js,$(wildcard $(addprefix master/web/*.,html css js svg))))
WEB_BUNDLE := $(O)/web/dashboard.js $(O)/web/play.js
WEB_FILES  := $(addprefix master/web/,index.html play.html style.css favicon.svg early.js) $(WEB_BUNDLE)
MPEGTS_JS  := master/web/node_modules/mpegts.js/dist/mpegts.js
FLV_JS     := master/web/node_modules/flv.js/dist/flv.min.js
HEADERS    := $(sort $(wildcard common/*.h master/*.h worker/*/*.h))
C_FILES    := $(sort $(wildcard $(foreach folder,common master worker/* test/* test/bench/flvload,$(folder)/*.[ch])))

obj = $(patsubst %.c,$(O)/%.o,$(1))
COMMON_OBJ := $(call obj,$(COMMON_SRC))
LLHTTP_OBJ := $(patsubst %.c,$(O)/llhttp/%.o,$(LLHTTP_SRC))
MASTER_OBJ := $(call obj,$(MASTER_SRC)) $(O)/web_assets.o $(LLHTTP_OBJ)
WORKER_OBJ := $(call obj,$(WORKER_SRC))
ALL_OBJ    := $(COMMON_OBJ) $(MASTER_OBJ) $(WORKER_OBJ) $(call obj,$(UNIT_SRC) $(FUZZ_SRC) test/fuzz/main.c)
UNIT_BIN   := $(patsubst test/unit/%.c,$(O)/test/%,$(UNIT_SRC))
FUZZ_BIN   := $(patsubst test/fuzz/%.c,$(O)/test/%,$(FUZZ_SRC))
BENCH_FILE := $(patsubst test/bench/%.c,$(O)/bench/%,$(sort $(wildcard test/bench/*.c)))
BENCH_BIN  := $(BENCH_FILE) $(O)/bench/flvload
BINS       := $(O)/cam-httpflv $(O)/cam-httpflv-worker

# --- output -------------------------------------------------------------
Q := @
say = @printf '  %-7s %s\n' $(1) $(patsubst $(O)/%,%,$@)
ifeq ($(V),1)
Q :=
say = @:
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
# Goals that run programs: one failure stops no other, and each program's output stays together.
ifneq ($(filter check unit fuzz-replay,$(MAKECMDGOALS)),)
MAKEFLAGS += --keep-going --output-sync=target
endif

.PHONY: all help check unit unit-build fuzz-build asan tsan fuzz fuzz-run fuzz-replay lint analyze headers format bench chaos soak web-dev install uninstall deb clean FORCE sample-cameras tools compile_commands

all: $(BINS)

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

# Rebuild when the flags change, not only when the sources do.
$(O)/.flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(JPEG)' | cmp -s - $@ || \
	 printf '%s\n' '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(JPEG)' > $@

$(O)/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(EXTRA_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Strict, as the library is.  Its warnings are not ours; sanitizers and hardening hold for it, too.
$(O)/llhttp/%.o: $(LLHTTP_DIR)/%.c $(O)/.flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(LLHTTP_CFLAGS) -DLLHTTP_STRICT_MODE=1 -std=c11 $(MODE_$(BUILD)) $(CFLAGS) -w -c -o $@ $<

$(MASTER_OBJ): EXTRA_CFLAGS := $(UV_CFLAGS) $(LLHTTP_CFLAGS)
$(WORKER_OBJ): EXTRA_CFLAGS := $(UV_CFLAGS) $(AV_CFLAGS)
# stb_image_write shifts bits out of an int, on purpose.
$(O)/worker/pictures/jpeg_stb.o: CFLAGS += -fno-sanitize=shift
$(call obj,$(UNIT_SRC) $(FUZZ_SRC)): EXTRA_CFLAGS := $(UV_CFLAGS) $(AV_CFLAGS) $(LLHTTP_CFLAGS)

# The page and its player (from npm, once) become part of the master.
$(MPEGTS_JS): master/web/package-lock.json
	$(call say,NPM)
	$(Q)cd master/web && npm ci $(if $(wildcard $(FLV_JS)),,--omit=dev) --no-audit --no-fund --loglevel=error
	@touch $@

# What tests and lint need of npm besides.
web-dev: $(FLV_JS)
$(FLV_JS): master/web/package-lock.json
	$(call say,NPM)
	$(Q)cd master/web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@ $(MPEGTS_JS)

# A page's modules become one file: a browser that asks for thirty shows its first camera later.  Names
# stay, so that what a browser's console says can be found in the sources.
$(WEB_BUNDLE): $(O)/web/%.js: $(filter %.js,$(WEB_SRC)) $(MPEGTS_JS) Makefile
	@mkdir -p $(@D)
	$(call say,BUNDLE)
	$(Q)master/web/node_modules/.bin/esbuild master/web/$*.js --bundle --format=esm --target=es2022 --charset=utf8 \
	  --external:./mpegts.js --minify-whitespace --minify-syntax --legal-comments=none --log-level=warning --outfile=$@

$(O)/web_assets.c: scripts/embed-web $(WEB_SRC) $(WEB_BUNDLE) $(MPEGTS_JS)
	$(call say,EMBED)
	$(Q)scripts/embed-web $(O) $(WEB_FILES) $(MPEGTS_JS)

$(O)/web_assets.o: $(O)/web_assets.c $(O)/.flags
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# The master does not link libav: it cannot parse media, whatever happens.
$(O)/cam-httpflv: $(MASTER_OBJ) $(COMMON_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(MASTER_LIBS)

$(O)/cam-httpflv-worker: $(WORKER_OBJ) $(COMMON_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(WORKER_LIBS)

# Unit tests link everything but the two main.o; and case_filter, which runs cases by name.
NOMAIN_OBJ := $(filter-out %/main.o,$(MASTER_OBJ) $(WORKER_OBJ))
UNIT_FILTER := $(call obj,test/unit/case_filter.c)
ALL_OBJ    += $(UNIT_FILTER)
$(UNIT_BIN): $(O)/test/%: $(O)/test/unit/%.o $(UNIT_FILTER) $(NOMAIN_OBJ) $(COMMON_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--wrap=_cmocka_run_group_tests$(WRAP) -o $@ $^ $(TEST_LIBS)

$(O)/test/test_access: private WRAP := ,--wrap=CRYPTO_memcmp
$(O)/test/test_workers: private WRAP := ,--wrap=nursery_link_open,--wrap=nursery_link_is_open,--wrap=nursery_link_spawn
$(O)/test/test_camera_login: private WRAP := ,--wrap=nursery_link_open,--wrap=nursery_link_is_open,--wrap=nursery_link_spawn,--wrap=clock_ms
$(O)/test/test_snapshot_mjpeg: private WRAP := ,--wrap=picture_form_pixels
$(O)/test/test_rtsp_udp: private WRAP := ,--wrap=rtsp_transport_gather_us,--wrap=rtsp_transport_set_lazy,--wrap=rtsp_transport_overruns
$(O)/test/test_stream: private WRAP := ,--wrap=source_open,--wrap=source_limits_changed,--wrap=source_close,--wrap=source_set_lazy,--wrap=source_ask_key_frame,--wrap=source_awaits_picture,--wrap=source_overdue_ms,--wrap=source_get_loss,--wrap=source_frames_refused

# The tests of JPEG run with stb_image_write, too, where the program uses another.
ifneq ($(JPEG),stb)
STB_TEST_BIN := $(addprefix $(O)/test/,test_jpeg_stb test_picture_scaler_stb)
UNIT_BIN     += $(STB_TEST_BIN)
ALL_OBJ      += $(O)/worker/pictures/jpeg_stb.o
$(O)/worker/pictures/jpeg_stb.o: EXTRA_CFLAGS := $(AV_CFLAGS)
$(STB_TEST_BIN): $(O)/test/%_stb: $(O)/test/unit/%.o $(filter-out %/jpeg_$(JPEG).o,$(NOMAIN_OBJ)) $(O)/worker/pictures/jpeg_stb.o $(COMMON_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)
endif

$(FUZZ_BIN): $(O)/test/%: $(O)/test/fuzz/%.o $(NOMAIN_OBJ) $(COMMON_OBJ) $(if $(filter fuzz,$(BUILD)),,$(O)/test/fuzz/main.o)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) $(if $(filter fuzz,$(BUILD)),-fsanitize=fuzzer) -o $@ $^ $(TEST_LIBS)

# --- sample cameras (test/cameras) ---
GST_CFLAGS  = $(call sys_cflags,$(GST_PKGS))
GST_LIBS    = $(shell $(PKG_CONFIG) --libs $(GST_PKGS) gstreamer-rtsp-1.0 gstreamer-rtp-1.0 gstreamer-sdp-1.0)
CAMERA_SRC := $(addprefix test/cameras/,rtsp_server.c feed.c loop_file.c switches.c)
CAMERA_OBJ := $(call obj,$(CAMERA_SRC))
CAMERA_FILES := $(wildcard test/cameras/*.[ch])
ALL_OBJ    += $(CAMERA_OBJ) $(call obj,test/cameras/picture.c)
# GLib's casts and type macros are not ours to fix.
$(CAMERA_OBJ): EXTRA_CFLAGS = $(GST_CFLAGS) -Wno-cast-qual -Wno-cast-align -Wno-conversion

$(O)/test/sample-rtsp-server: $(CAMERA_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(GST_LIBS)

$(O)/test/sample-picture: $(O)/test/cameras/picture.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

sample-cameras: $(O)/test/sample-rtsp-server $(O)/test/sample-picture

# Tools of the end-to-end tests: parts of the worker by themselves.
TOOL_SRC := $(sort $(wildcard test/tools/*.c))
TOOL_BIN := $(patsubst test/tools/%.c,$(O)/test/%,$(TOOL_SRC))
ALL_OBJ  += $(call obj,$(TOOL_SRC))
$(call obj,$(TOOL_SRC)): EXTRA_CFLAGS := $(UV_CFLAGS) $(AV_CFLAGS) $(LLHTTP_CFLAGS)
$(TOOL_BIN): $(O)/test/%: $(O)/test/tools/%.o $(NOMAIN_OBJ) $(COMMON_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(O)/test/lying_worker: LDFLAGS += -Wl,--wrap=worker_run

tools: $(TOOL_BIN)

# --- checks -------------------------------------------------------------
# One target for each program, so that -j works: `make test_url`, `make test_url CASE='test_s*'`,
# `make fuzz_url` (BUILD=fuzz CC=clang: fuzzes it).  The longest come first: no core idles at the end.
UNIT_LONG  := $(addprefix test_,audio_hour transcoder snapshot audio_skew audio source_flv dial)
UNIT_RUN   := $(UNIT_LONG) $(filter-out $(UNIT_LONG),$(notdir $(UNIT_BIN)))
FUZZ_RUN   := $(notdir $(FUZZ_BIN))
TEST_TIMEOUT ?= 300
CASE       ?=
.PHONY: $(UNIT_RUN) $(FUZZ_RUN)

unit-build: $(UNIT_BIN)
fuzz-build: $(FUZZ_BIN)
unit: $(UNIT_RUN)
fuzz-replay fuzz-run: $(FUZZ_RUN)
check: all tools unit fuzz-replay

$(UNIT_RUN): export TSAN_OPTIONS := suppressions=test/tsan.supp
$(UNIT_RUN): %: $(O)/test/%
	@timeout $(TEST_TIMEOUT) $< $(if $(CASE),'$(CASE)') || { echo "FAILED: $<"; exit 1; }

fuzz_corpus = test/fuzz/corpus/$(patsubst fuzz_%,%,$@)
$(FUZZ_RUN): %: $(O)/test/%
ifeq ($(BUILD),fuzz)
	@mkdir -p $(O)/corpus/$@
	$< -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $(O)/corpus/$@ $(fuzz_corpus)
else
	@timeout $(TEST_TIMEOUT) $< $(fuzz_corpus)/* || { echo "FAILED: $<"; exit 1; }
endif

asan tsan:
	$(MAKE) BUILD=$@ check

fuzz:
	$(MAKE) BUILD=fuzz CC=clang fuzz-run

# Each header compiles alone (dav1d tests/header_test.c).
headers: $(patsubst %.h,$(O)/hdr/%.ok,$(HEADERS))
$(O)/hdr/%.ok: %.h
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $< | $(CC) $(ALL_CPPFLAGS) $(UV_CFLAGS) $(AV_CFLAGS) $(LLHTTP_CFLAGS) $(ALL_CFLAGS) -fsyntax-only -x c -
	@touch $@

# With clang's flags: clangd stumbles over gcc's warnings.
compile_commands:
	scripts/compile-commands $(MAKE) BUILD=$(BUILD) CC=clang WERROR=0 >compile_commands.json

analyze:
	$(MAKE) BUILD=analyze all

lint: headers web-dev
	scripts/check-includes
	scripts/check-docs
	clang-format --dry-run -Werror $(C_FILES)
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr --std=c11 -I. \
	  $(addprefix --include=,$(firstword $(wildcard /usr/include/sys/queue.h /usr/include/*/sys/queue.h))) common master worker
	shellcheck $(shell grep -lE '^#!/bin/(ba)?sh|^#!/usr/bin/env bash' scripts/* .ci/*)
	flake8 --select=E9,F test $(shell grep -lE '^#!.*python3' scripts/*)
	cd master/web && node_modules/.bin/eslint .
	clang-tidy --quiet $(COMMON_SRC) $(MASTER_SRC) $(WORKER_SRC) -- -std=c11 $(ALL_CPPFLAGS) $(UV_CFLAGS) $(AV_CFLAGS) $(LLHTTP_CFLAGS)
	$(MAKE) BUILD=analyze all

# Tools of the benchmark: measured beside the program, not part of it.
$(O)/bench/avdelay: BENCH_FLAGS := $(AV_CFLAGS) $(AV_LIBS)
$(O)/bench/snapshot_reference: BENCH_FLAGS := $(AV_CFLAGS) $(AV_LIBS) -lturbojpeg
$(O)/bench/flvload: $(wildcard test/bench/flvload/*.[ch] test/bench/*.h)
$(BENCH_FILE): $(O)/bench/%: test/bench/%.c $(wildcard test/bench/*.h)
$(BENCH_BIN): $(O)/.flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o $@ $(filter %.c,$^) $(BENCH_FLAGS)

bench: all web-dev $(BENCH_BIN)
	/usr/bin/python3 test/bench/bench.py $(BENCH_ARGS)
	/usr/bin/python3 test/bench/bench_viewers.py $(BENCH_VIEWERS_ARGS)
	/usr/bin/python3 test/bench/bench_players.py $(BENCH_PLAYERS_ARGS)
	/usr/bin/python3 test/bench/bench_snapshot.py $(BENCH_SNAPSHOT_ARGS)
	/usr/bin/python3 test/bench/bench_page.py $(BENCH_PAGE_ARGS)
	/usr/bin/python3 test/bench/bench_rtsp.py $(BENCH_RTSP_ARGS)

SECONDS ?= 120
MINUTES ?= 10
chaos: all
	/usr/bin/python3 test/chaos/chaos.py $(if $(SEED),--seed $(SEED)) --seconds $(SECONDS)

soak: all
	/usr/bin/python3 test/chaos/soak.py --minutes $(MINUTES)

format:
	clang-format -i $(C_FILES)

UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
install: all
	install -D -m 0755 $(O)/cam-httpflv        $(DESTDIR)$(PREFIX)/bin/cam-httpflv
	install -D -m 0755 $(O)/cam-httpflv-worker $(DESTDIR)$(PREFIX)/libexec/cam-httpflv/cam-httpflv-worker
	install -D -m 0644 docs/cam-httpflv.8 $(DESTDIR)$(PREFIX)/share/man/man8/cam-httpflv.8
	install -D -m 0644 docs/systemd/cam-httpflv.socket $(UNITDIR)/cam-httpflv.socket
	install -D -m 0644 docs/systemd/cam-httpflv.service $(UNITDIR)/cam-httpflv.service
	sed -i 's,/usr/local/,$(PREFIX)/,' $(UNITDIR)/cam-httpflv.service
	install -D -m 0644 docs/systemd/cam-httpflv.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/cam-httpflv.conf

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/cam-httpflv $(DESTDIR)$(PREFIX)/libexec/cam-httpflv/cam-httpflv-worker \
	  $(DESTDIR)$(PREFIX)/share/man/man8/cam-httpflv.8 $(UNITDIR)/cam-httpflv.service $(UNITDIR)/cam-httpflv.socket \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d/cam-httpflv.conf

# build/cam-httpflv_VERSION_ARCH.deb, for the Debian that it is made on.
deb: all
	$(Q)scripts/make-deb $(O)

clean:
	rm -rf build

-include $(ALL_OBJ:.o=.d)
