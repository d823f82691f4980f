# SPDX-License-Identifier: GPL-2.0-or-later
#
# One Makefile for the whole tree. Objects live in build/<mode>[-static], one folder per flag set,
# and depend on what the compiler says they include (-MMD).

MODE ?= release
STATIC ?= 0
V ?= 0
BUILD := build/$(MODE)$(if $(filter 1,$(STATIC)),-static)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

CC ?= gcc
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
PKG_CONFIG ?= pkg-config
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	    -Wpointer-arith -Wcast-qual -Wimplicit-fallthrough -Wformat=2 -Wundef
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS_debug := -O0 -g3
# Of debug information what their reports need.
CFLAGS_asan := -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
# Only clang has libFuzzer; it does not know the comments that tell gcc of a wanted fall-through.
CFLAGS_fuzz := -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	       -fno-sanitize-recover=all -Wno-implicit-fallthrough
LDFLAGS_release := -Wl,-z,relro,-z,now
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
# There are hundreds of test programs: gold, where there is one, links them in half the time.
FAST_LD := $(if $(filter-out fuzz,$(MODE)),$(if $(shell command -v ld.gold),-fuse-ld=gold))
ifeq ($(CFLAGS_$(MODE)),)
$(error MODE=$(MODE): use release, debug or asan)
endif
ifeq ($(MODE),fuzz)
CC := $(CLANG)
endif
ifeq ($(STATIC),1)
ifneq ($(filter asan fuzz,$(MODE)),)
$(error STATIC=1: sanitizers cannot be linked statically; use MODE=release or debug)
endif
ifneq ($(filter demo test unit flow lint tests,$(MAKECMDGOALS)),)
$(error STATIC=1 builds mbagent alone; $(MAKECMDGOALS) needs all programs)
endif
endif
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -pthread $(WARNINGS) $(CFLAGS_$(MODE)) \
	      -I. -I$(BUILD)/gen $(if $(filter 1,$(STATIC)),-DMB_STATIC) $(CFLAGS)
ALL_LDFLAGS := -pthread $(LDFLAGS_$(MODE)) $(if $(filter 1,$(STATIC)),-static) $(LDFLAGS)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

libs = $(shell $(PKG_CONFIG) $(if $(filter 1,$(STATIC)),--static) --libs $(1) 2>/dev/null)
PROTO_LIBS := $(call libs,libprotobuf-c libzstd libxxhash libsodium jansson) -lm
AGENT_LIBS := $(PROTO_LIBS) $(call libs,libbpf libelf jansson libcap openssl)
SERVER_LIBS := $(PROTO_LIBS) $(call libs,sqlite3 libevent libevent_pthreads libevent_openssl \
		libmicrohttpd gnutls jansson openssl libseccomp libsystemd zlib) -lm
CTL_LIBS := $(SERVER_LIBS) $(call libs,libcurl)
CMOCKA_LIBS := $(call libs,cmocka)

PROTO_SRC := $(wildcard proto/*.c proto/base/*.c proto/churn/*.c)
AGENT_SRC := $(filter-out agent/main.c,$(wildcard agent/*.c))
SERVER_SRC := $(filter-out server/main.c,$(wildcard server/*.c server/plan/*.c))
CTL_SRC := $(filter-out server/ctl/main.c,$(wildcard server/ctl/*.c))
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UTIL_SRC := $(wildcard tests/unit/util_*.c)
EXACT_SRC := $(wildcard tests/exact/*.c)
BENCH_SRC := $(wildcard tests/bench/bench_*.c)
BENCH_UTIL_SRC := $(filter-out $(BENCH_SRC),$(wildcard tests/bench/*.c))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_UTIL_SRC := $(wildcard tests/fuzz/util_*.c)
TOOL_SRC := $(wildcard tests/flow/tool_*.c)
GEN := $(BUILD)/gen/proto/membuddies.pb-c
BPF := $(BUILD)/bpf/dirty_bits.bpf.o $(BUILD)/bpf/dirty_bytes.bpf.o

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
PROTO_LIB := $(BUILD)/libmbproto.a
AGENT_LIB := $(BUILD)/libmbagent.a
SERVER_LIB := $(BUILD)/libmbserver.a
CTL_LIB := $(BUILD)/libmbctl.a
BENCH_LIB := $(BUILD)/libmbbench.a
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/tests/%,$(BENCH_SRC))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/fuzz_%,$(FUZZ_SRC))
TOOLS := $(patsubst tests/flow/%.c,$(BUILD)/tests/%,$(TOOL_SRC))
ifeq ($(STATIC),1)
PROGRAMS := $(BUILD)/mbagent
else
PROGRAMS := $(BUILD)/mbagent $(BUILD)/mbserver $(BUILD)/mbctl
endif
OBJECTS := $(call obj,$(PROTO_SRC) $(AGENT_SRC) $(SERVER_SRC) $(CTL_SRC) $(UNIT_SRC) $(UTIL_SRC) \
	   $(EXACT_SRC) $(BENCH_SRC) $(BENCH_UTIL_SRC) $(FUZZ_SRC) $(FUZZ_UTIL_SRC) $(TOOL_SRC) agent/main.c server/main.c server/ctl/main.c) $(GEN).o

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all kmod bench bench-server bench-memory bench-fleet help deps demo test test-vm test-kernels \
	test-debug-kernel unit flow fuzz lint crash faults soak deb test-deb man \
	clean tests fuzzers vm-guest

all: $(PROGRAMS) ## build mbagent, mbserver and mbctl into build/<mode>

kmod: ## build mbwalk.ko beside mbagent, for the running kernel or the one of KDIR=headers
	$(Q)CC="$(or $(CC_KERNEL),gcc)" ci/build-module \
		"$(or $(KDIR),/lib/modules/$(shell uname -r)/build)" $(BUILD)

help: ## show this list
	@echo "usage: make [target] [MODE=release|debug|asan] [STATIC=1] [V=1]"
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

deps: ## install the missing Debian packages (says which)
	$(Q)ci/deps build test demo vm

demo: ## boot three guests, measure what they share, plan where they go
	$(Q)ci/deps build vm demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(MAKE) --no-print-directory STATIC=1 all
	$(Q)tests/demo/run $(BUILD)

test: ## every test: lint, unit, unit under ASan/UBSan, fuzz, flow, guests of a kernel (KERNELS=6.1)
	$(Q)ci/deps build test fuzz vm
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)$(MAKE) --no-print-directory MODE=asan tests
	$(Q)$(MAKE) --no-print-directory MODE=fuzz fuzzers
	$(Q)$(MAKE) --no-print-directory STATIC=1 all
	$(Q)KERNELS="$(KERNELS)" ci/run-tests

unit: tests ## the unit tests of this MODE only (T=name for one)
	$(Q)BUILD=$(BUILD) ci/run-tests unit $(T)

flow: all tests ## the flow tests only (T=name for one)
	$(Q)BUILD=$(BUILD) ci/run-tests flow $(T)

fuzz: ## feed readers of foreign bytes with what they do not expect (T=name, S=seconds each)
	$(Q)ci/deps build fuzz
	$(Q)$(MAKE) --no-print-directory MODE=fuzz fuzzers
	$(Q)ci/run-tests fuzz $(or $(S),60) $(T)

test-vm: ## the module in guests of any kernel: KERNEL=bzImage KDIR=headers (docs/testing.md)
	$(Q)ci/deps build vm
	$(Q)CC="$(or $(CC_KERNEL),gcc)" ci/run-tests lines ci/test-kernel --kernel "$(KERNEL)" \
		--kdir "$(KDIR)" $(if $(MODULES),--modules "$(MODULES)") $(if $(ROOT),--root "$(ROOT)") \
		$(if $(NAME),--name "$(NAME)") $(if $(T),--tests "$(T)") $(SCENARIO)

test-kernels: ## the module in guests of all kernels of ci/kernels.conf (K=name for one)
	$(Q)ci/deps build vm
	$(Q)CC="$(or $(CC_KERNEL),gcc)" ci/run-tests kernels $(K)

# Lock checkers, KASAN and the like. Not every scenario: each is as slow as three elsewhere.
DEBUG_KERNEL := build/cache/debug-kernel/6.1/out
test-debug-kernel: ## guests of a kernel that complains (docs/testing.md); builds it first, 20 minutes
	$(Q)ci/deps build vm debug-kernel
	$(Q)$(MAKE) --no-print-directory STATIC=1 all
	$(Q)ci/debug-kernel $(DEBUG_KERNEL) 6.1
	$(Q)ci/run-tests lines ci/test-kernel --kernel $(DEBUG_KERNEL)/bzImage --kdir $(DEBUG_KERNEL)/kdir \
		--name debug $(if $(T),--tests "$(T)") $(or $(SCENARIO),small hotplug balloon pressure)

crash: all tests ## kill -9 of server and agents at random points (N=1000)
	$(Q)BUILD=$(BUILD) KILLS=$(or $(N),1000) bash tests/flow/crash.sh

faults: all tests ## every single operation of the disk fails, the network is cut: takes minutes
	$(Q)BUILD=$(BUILD) ci/run-tests faults

soak: ## agent and server through H=24 hours in a guest that passes over idle time (K=6.1); takes long
	$(Q)ci/deps build vm test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(MAKE) --no-print-directory STATIC=1 all
	$(Q)tests/bench/soak $(or $(H),24) $(K)

man: all ## renew what pages of docs/man say of commands and options, from --help
	$(Q)ci/man $(BUILD)

lint: all tests ## the laws of the layout, shell scripts, SPDX lines
	$(Q)ci/lint $(BUILD)

tests: $(UNIT) $(TOOLS) $(BENCHES)

fuzzers: $(FUZZERS)

bench: ## bench-server, what planners save, what walk and tracking cost in a guest (K=6.1)
	$(Q)ci/deps build vm test
	$(Q)$(MAKE) --no-print-directory bench-server
	$(Q)tests/bench/plan
	$(Q)$(MAKE) --no-print-directory STATIC=1 all
	$(Q)tests/bench/walk $(K)
	$(Q)tests/bench/track $(K)
	$(Q)tests/bench/load $(K)

bench-server: ## what hashes, deltas, ingest and the matrix cost, with baselines (T=part)
	$(Q)ci/deps build test
	$(Q)$(MAKE) --no-print-directory $(BENCHES)
	$(Q)tests/bench/server $(T)

bench-memory: ## what a server of 1000 VMs needs per page (needs 3 GB)
	$(Q)ci/deps build test
	$(Q)$(MAKE) --no-print-directory all $(BENCHES)
	$(Q)tests/bench/memory

bench-fleet: ## 1000 agents against a server that is killed every 20 s (S=600 seconds)
	$(Q)ci/deps build test
	$(Q)$(MAKE) --no-print-directory all $(BENCHES)
	$(Q)tests/bench/fleet --kill-every 20 --pages 1024 --changed day --epoch-is 30m --pause 4s --time $(or $(S),600)s

deb: ## Debian packages of what is committed, into build/deb (docs/install.md)
	$(Q)ci/deps build deb
	$(Q)ci/deb/build build/deb

test-deb: deb ## install, upgrade, remove and purge them in a fresh root, boot it (needs root, minutes)
	$(Q)ci/deps test-deb
	$(Q)ci/run-tests lines tests/deb/run

clean: ## remove build/ (downloads included)
	rm -rf build

# --- how things are made -----------------------------------------------------------------------

$(GEN).c $(GEN).h &: proto/membuddies.proto
	$(call say,PROTOC,$<)
	@mkdir -p $(BUILD)/gen
	$(Q)protoc-c --c_out=$(BUILD)/gen $<

# What protoc-c writes casts const away.
$(GEN).o: $(GEN).c
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-cast-qual -MMD -MP -c -o $@ $<

# Only msg.c includes the generated header; it must exist before the first dependency file does.
$(BUILD)/proto/msg.o: $(GEN).h

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(CFLAGS_$(basename $(notdir $<))) -MMD -MP -c -o $@ $<

# The kernel's part, built twice (bpf/flag.bpf.h); the agent carries both. Their types (BTF) stay.
BPF_CFLAGS := -target bpf -O2 -g -Wall -Wextra -Werror -D__TARGET_ARCH_x86 -I.
BPF_CFLAGS_bits := -mcpu=v3
BPF_CFLAGS_bytes := -mcpu=v2 -DMB_BYTES
$(BPF): $(BUILD)/bpf/dirty_%.bpf.o: bpf/dirty.bpf.c $(BUILD)/flags
	$(call say,CLANG,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(BPF_CFLAGS_$*) -MMD -MP -c -o $@ $<
	$(Q)$(LLVM_STRIP) -g $@
CFLAGS_bpf_object := -DMB_BPF_DIR='"$(BUILD)/bpf"'
$(BUILD)/agent/bpf_object.o: $(BPF)
-include $(BPF:.o=.d)

# The web page, which the server carries.
$(BUILD)/server/web.o: $(wildcard server/web/*)

# OpenSSL's macros cast const away; gcc does not look into those of system headers.
CFLAGS_tls := $(if $(filter fuzz,$(MODE)),-Wno-cast-qual)
CFLAGS_version := -DMB_VERSION='"$(VERSION)"'

# Changes when the flags or the version do, so that objects of another set are made again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(ALL_CFLAGS))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(CC) $(ALL_CFLAGS))' > $@
.PHONY: FORCE
FORCE:

$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(BUILD)/proto/base/version.o: $(BUILD)/version

$(PROTO_LIB): $(call obj,$(PROTO_SRC)) $(GEN).o
$(AGENT_LIB): $(call obj,$(AGENT_SRC))
$(SERVER_LIB): $(call obj,$(SERVER_SRC))
$(CTL_LIB): $(call obj,$(CTL_SRC))
$(BENCH_LIB): $(call obj,$(BENCH_UTIL_SRC))
%.a:
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

LINK_tests := $(FAST_LD)
link = $(Q)$(CC) $(ALL_LDFLAGS) $(LINK_$(notdir $(@D))) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(1)
$(BUILD)/mbagent: $(BUILD)/agent/main.o $(AGENT_LIB) $(PROTO_LIB)
	$(call say,LINK,$@)
	$(call link,$(AGENT_LIBS))
$(BUILD)/mbserver: $(BUILD)/server/main.o $(SERVER_LIB) $(PROTO_LIB)
	$(call say,LINK,$@)
	$(call link,$(SERVER_LIBS))
$(BUILD)/mbctl: $(BUILD)/server/ctl/main.o $(CTL_LIB) $(SERVER_LIB) $(PROTO_LIB)
	$(call say,LINK,$@)
	$(call link,$(CTL_LIBS))

TEST_LIBS = $(CMOCKA_LIBS) $(CTL_LIBS) $(AGENT_LIBS)
$(UNIT): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(call obj,$(UTIL_SRC)) $(AGENT_LIB) $(CTL_LIB) \
	 $(SERVER_LIB) $(PROTO_LIB)
	$(call say,LINK,$@)
	$(call link,$(TEST_LIBS))
# The proven optimum, which this one holds the planner against, needs GLPK.
$(BUILD)/tests/test_plan_exact: $(call obj,$(EXACT_SRC))
$(BUILD)/tests/test_plan_exact: TEST_LIBS += -lglpk -lm
# Fleets that the benches play on.
$(BUILD)/tests/test_synth_fleet $(BUILD)/tests/test_plan_sample: $(call obj,tests/bench/synth_fleet.c)
$(BENCHES): $(BUILD)/tests/%: $(BUILD)/tests/bench/%.o $(BENCH_LIB) $(CTL_LIB) $(SERVER_LIB) $(PROTO_LIB)
	$(call say,LINK,$@)
	$(call link,$(CTL_LIBS))
# What the sharing matrix is held against, and a Bloom filter's formula.
$(BUILD)/tests/bench_matrix: CTL_LIBS += -lroaring
$(BUILD)/tests/bench_matrix $(BUILD)/tests/bench_wire: CTL_LIBS += -lm
# Of MODE=fuzz only: their main() is libFuzzer's.
$(FUZZERS): $(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(call obj,$(FUZZ_UTIL_SRC)) $(AGENT_LIB) \
	    $(SERVER_LIB) $(PROTO_LIB)
	$(call say,LINK,$@)
	$(call link,$(AGENT_LIBS) $(SERVER_LIBS))
$(TOOLS): $(BUILD)/tests/%: $(BUILD)/tests/flow/%.o $(PROTO_LIB)
	$(call say,LINK,$@)
	$(call link,$(PROTO_LIBS))

# What runs in the guests of tests/vm/: static, with nothing of the host's but its C library.
VM_SRC := $(wildcard tests/vm/guest/test_*.c tests/vm/guest/bench_*.c)
VM_UTIL := $(wildcard tests/vm/guest/util_*.c)
VM_GUEST := $(patsubst tests/vm/guest/%.c,build/vm/guest/%,$(VM_SRC))
# Those that try the agent's own code are linked with it: made by STATIC=1, which tests/vm/run says.
VM_AGENT := $(patsubst tests/vm/guest/%.c,build/vm/guest/%,$(shell grep -ls '"agent/' $(VM_SRC) /dev/null))
vm-guest: $(VM_GUEST)
build/vm/guest/bench_load build/vm/guest/bench_soak: VM_LIBS = $(call libs,sqlite3)
VM_SOAK := $(wildcard tests/vm/guest/soak_*.c)
build/vm/guest/bench_soak: VM_UTIL += $(VM_SOAK)
build/vm/guest/bench_soak: $(VM_SOAK)
$(VM_AGENT): $(AGENT_LIB) $(PROTO_LIB)
$(VM_GUEST): build/vm/guest/%: tests/vm/guest/%.c $(VM_UTIL) Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -static -O2 -g -std=gnu17 -D_GNU_SOURCE -pthread -Wall -Wextra -Werror -I. -Itests/vm/guest \
		-MMD -MP -MF $@.d -o $@ $< $(VM_UTIL) $(filter %.a,$^) $(if $(filter %.a,$^),$(AGENT_LIBS)) $(VM_LIBS)
-include $(VM_GUEST:=.d)

-include $(OBJECTS:.o=.d)
