# Attention, step by step. Two commands do everything:
#
#     make setup run     every chapter in order, printed and verified, with a closing table
#     make setup test    every check
#
# `make help` lists the rest. Without `setup`, a C compiler and make suffice for `make run`.

CC       ?= cc
CHAPTERS := $(notdir $(wildcard chapters/[0-9]*))
COMMON   := $(wildcard common/*.c)

# No -ffast-math: it breaks -INFINITY. No fused multiply-add: the same bits everywhere.
STANDARD := -std=c11 -g -ffp-contract=off
WARNINGS := -Wall -Wextra -Wshadow -Wconversion
CFLAGS   ?= -O2

# --- for readers ---------------------------------------------------------------------------------

all: $(CHAPTERS:%=build/cpu/%)          ## build every chapter
run: all tools                          ## every chapter in order, verified, with a closing table
	@sh tests/tour.sh
run-real: all                           ## the chapters on trained models' Q, K and V
	@sh tests/run_real.sh
verify: all tools                       ## the whole ladder: every equality that the book claims
	@sh tests/ladder.sh
diff: all tools                         ## what changed between two runs: make diff A=02 B=03
	@sh tests/diff.sh "$(A)" "$(B)"
trace: all                              ## write traces/ and the outputs in the READMEs anew
	@sh tests/transcript.sh --write traces/[0-9]*.txt README.md chapters/*/README.md docs/*.md
lines: ; @sh tests/copies.sh --count    ## changed lines a chapter in attention.c
doctor: ; @sh tests/doctor.sh           ## what is here, what is missing, how to get it
setup: ; @sh tests/setup.sh             ## install what is missing from Debian's packages
clean: ; rm -rf build                   ## remove build/
help:                                   ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14
	@echo 'run-05        one chapter: make run-05 ARGS="--prefill 4"'
	@echo 'verify-05     one chapter of the ladder'

# make run-05 ARGS="--prefill 4", make verify-05
chapter = $(notdir $(wildcard chapters/$(1)_*))
$(foreach c,$(CHAPTERS),run-$(firstword $(subst _, ,$(c)))): run-%: all
	@build/cpu/$(call chapter,$*) $(ARGS)
$(foreach c,$(CHAPTERS),verify-$(firstword $(subst _, ,$(c)))): verify-%: all tools
	@sh tests/ladder.sh $*

# --- checks --------------------------------------------------------------------------------------

test: all tools tests                   ## every check; ends with N passed, N failed, N skipped
	@sh tests/run.sh
mutants: all tools tests                ## every seeded bug, one at a time: each must be caught
	@sh tests/mutants.sh

TOOLS := compare oracle make_arrays
UNITS := $(patsubst tests/unit_%.c,unit_%,$(wildcard tests/unit_*.c))
tools: $(TOOLS:%=build/tests/%)
tests: build/tests/property build/tests/model_pages build/tests/real have-cmocka have-cjson

.PHONY: all run run-real verify diff trace lines doctor setup clean help test mutants tools tests
.PHONY: have-cmocka have-cjson

# --- how things are built ------------------------------------------------------------------------

# One set of rules for each way to build: $(1) the folder, $(2) the compiler, $(3) its flags.
define variant
build/$(1)/obj/%.o: %.c
	@mkdir -p $$(@D)
	$(2) $(STANDARD) $(WARNINGS) $(3) -MMD -MP -c -o $$@ $$<
$(foreach c,$(CHAPTERS),
build/$(1)/$(c): $(patsubst %.c,build/$(1)/obj/%.o,$(wildcard chapters/$(c)/*.c) $(COMMON))
	$(2) $(3) -o $$@ $$^ -lm)
endef
SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
$(eval $(call variant,cpu,$(CC),$(CFLAGS)))
$(eval $(call variant,gcc-O0,gcc,-O0))
$(eval $(call variant,gcc-O3,gcc,-O3))
$(eval $(call variant,clang-O0,clang,-O0))
$(eval $(call variant,clang-O3,clang,-O3))
$(eval $(call variant,sanitized,gcc,$(SANITIZE)))

# What the tests are built from. In property tests all chapters live in one program: each
# attention() gets its chapter's number as a name.
TOBJ      = build/cpu/obj
COMMONOBJ = $(COMMON:%.c=$(TOBJ)/%.o)
CACHE     = chapters/05_kv_cache/cache.c
PAGES     = chapters/06_paged_blocks/pages.c
TCC       = $(CC) $(STANDARD) $(WARNINGS) $(CFLAGS)

build/tests/compare: tests/compare.c tests/comparer.c tests/comparer.h $(COMMONOBJ)
build/tests/oracle: tests/oracle_main.c tests/oracle.c tests/oracle.h $(COMMONOBJ)
build/tests/make_arrays: tests/make_arrays.c $(COMMONOBJ)
build/tests/model_pages: tests/model_pages.c $(TOBJ)/$(PAGES:.c=.o) $(COMMONOBJ)
build/tests/real: tests/real.c tests/comparer.c $(COMMONOBJ)
$(TOOLS:%=build/tests/%) build/tests/model_pages build/tests/real:
	@mkdir -p $(@D)
	$(TCC) -o $@ $(filter %.c %.o,$^) -lm

build/tests/unit_%: tests/unit_%.c $(wildcard tests/*.h) $(COMMONOBJ)
	@mkdir -p $(@D)
	$(TCC) -o $@ $(filter %.c %.o,$^) -lcmocka -lm
build/tests/unit_cache: $(TOBJ)/$(CACHE:.c=.o)
build/tests/unit_pages: $(TOBJ)/$(PAGES:.c=.o)
build/tests/unit_oracle: tests/oracle.c
build/tests/unit_compare: tests/comparer.c

# Where a library is missing, its tests are not built, and tests/run.sh says that it skips them.
has = $(shell printf '$(1)' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes)
have-cmocka: $(if $(call has,#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <setjmp.h>\n#include <cmocka.h>\n),$(UNITS:%=build/tests/%))
have-cjson: $(if $(call has,#include <cjson/cJSON.h>\n),build/tests/onnx)

-include $(wildcard build/*/obj/*/*.d build/*/obj/*/*/*.d)
