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
LIBS     := -lm -ldl# chapter 02 opens a library while it runs: older C libraries keep that in -ldl
Q        := $(if $(V),,@)# make V=1 shows the whole commands, make -s nothing
SAY      := $(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,echo)

# --- for readers: DEVICE=simt runs the chapters' CUDA kernels without a GPU -------------------------

# DEVICE=counted: every access counted; DEVICE=cuda: on a GPU. Other goals do not look at it.
ifneq ($(filter run run-% verify verify-% plot-0%,$(MAKECMDGOALS)),)
ifneq ($(filter-out cpu fast simt counted cuda,$(DEVICE))$(word 2,$(DEVICE)),)
$(error DEVICE=$(DEVICE): expected cpu, fast, simt, counted or cuda)
endif
endif
all: $(CHAPTERS:%=build/cpu/%)          ## build every chapter
run: all tools $(DEVICE) $(DEVICE:simt=counted)## every chapter in order, verified, with a closing table
	@DEVICE=$(or $(DEVICE),cpu) sh tests/tour.sh
run-real: all tools                           ## the chapters on trained models' Q, K and V
	@sh tests/run_real.sh
verify: all tools $(DEVICE)             ## the whole ladder: every equality that the book claims
	@DEVICE=$(or $(DEVICE),cpu) sh tests/ladder.sh
diff: all tools                         ## what changed between two runs: make diff A=02 B=03
	@sh tests/diff.sh "$(A)" "$(B)"
trace: all tools                        ## write traces/ and the outputs in the READMEs anew
	@sh tests/transcript.sh --write traces/[0-9]*.txt README.md chapters/*/README.md kernels/cpu/README.md docs/*.md docs/book/*.md
	@[ ! -d build/counted ] || sh tests/transcript.sh --write kernels/README.md
	@[ ! -d build/debug ] || sh tests/transcript.sh --write kernels/simt/README.md
counts: all counted                     ## count what the kernels move, into plots/data (minutes)
	@sh tests/counts_tables.sh --write
lines: ; @sh tests/copies.sh --count    ## changed lines a chapter in attention.c
minutes: ; @sh tests/minutes.sh         ## how long a chapter takes to read
doctor: ; @sh tests/doctor.sh           ## what is here, what is missing, how to get it
setup: ; @sh tests/setup.sh             ## install what is missing from Debian's packages
clean: ; rm -rf build                   ## remove build/
help:                                   ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 18
	@echo 'run-05            one chapter: make run-05 ARGS="--prefill 4"'
	@echo 'plot-05           its attention weights as a picture: make plot-05 ARGS="--n 9"'
	@echo 'verify-05         one chapter of the ladder'
	@echo 'debug-05          its kernels for gdb, without a GPU: kernels/simt/README.md'
	@echo 'DEVICE=fast       with run and verify: fast kernels on the CPU'
	@echo 'DEVICE=simt       the same with the CUDA kernels, emulated; counted: and every'
	@echo '                  access counted; cuda: on a GPU'

# make run-05 ARGS="--prefill 4", make verify-05
chapter = $(notdir $(wildcard chapters/$(1)_*))
$(foreach c,$(CHAPTERS),run-$(firstword $(subst _, ,$(c)))): run-%: all $(DEVICE)
	@build/$(or $(DEVICE),cpu)/$(call chapter,$*) $(ARGS)
$(foreach c,$(CHAPTERS),verify-$(firstword $(subst _, ,$(c)))): verify-%: all tools $(DEVICE)
	@DEVICE=$(or $(DEVICE),cpu) sh tests/ladder.sh $*

# --- checks --------------------------------------------------------------------------------------

THIS_MAKE := $(MAKE)# a recipe that names MAKE itself would run under make -n, too
test: all tools tests                   ## every check; ends with N passed, N failed, N skipped
	@MAKE='$(THIS_MAKE)' sh tests/run.sh
mutants: all tools tests                ## every seeded bug, one at a time: each must be caught
	@sh tests/mutants.sh
sweep: build/tests/kernels              ## every CUDA kernel on 1000 random shapes against the oracle (RUNS=n)
	build/tests/kernels $(or $(RUNS),1000) 1
mutants-fast: all tools fast            ## the fast CPU kernels with one seeded bug at a time
	@sh tests/mutants.sh --from docs/FAST_BUGS.md --as mutants-fast
mutants-kernels: all tools              ## the CUDA kernels without a barrier, or with another bug
	@sh tests/mutants_kernels.sh

fuzz: build/fuzz/fuzz_npy               ## feed the .npy reader noise: make fuzz RUNS=1000000
	@mkdir -p build/fuzz/corpus
	build/fuzz/fuzz_npy -runs=$(or $(RUNS),200000) -seed=1 -max_len=512 -close_fd_mask=2 build/fuzz/corpus
build/fuzz/fuzz_npy: tests/fuzz_npy.c $(COMMON) $(wildcard common/*.h) Makefile
	@mkdir -p $(@D)
	clang $(STANDARD) -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $(filter %.c,$^) $(LIBS)

TOOLS := compare oracle make_arrays expect fragments
FAST_UNITS := unit_vector unit_fast
UNITS := $(patsubst tests/unit_%.c,unit_%,$(wildcard tests/unit_*.c))
tools: $(TOOLS:%=build/tests/%)
tests: build/tests/property build/tests/model_pages build/tests/real
units: $(UNITS:%=build/tests/%) # these need cmocka, and build/tests/onnx cJSON: tests/run.sh asks

.PHONY: all run run-real verify diff trace counts lines minutes doctor setup clean help test
.PHONY: fast mutants-fast
.PHONY: sweep mutants mutants-kernels fuzz tools tests units sanitized-tests simt counted counted-O0
.PHONY: counted-clang cuda cpu simt-gcc simt-clang simt-objects simt-speed gpu-check FORCE
.PHONY: $(foreach c,$(CHAPTERS),debug-$(firstword $(subst _, ,$(c))))

# `make -j setup run` must not compile while the compiler is being installed.
ifneq ($(filter setup,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

# --- how things are built ------------------------------------------------------------------------

# One set of rules for each way to build: $(1) the folder, $(2) the compiler, $(3) its flags,
# $(4) where its tests go. In the property tests all chapters live in one program: each
# attention() gets its chapter's number as a name.
number = $(firstword $(subst _, ,$(1)))

# build/VARIANT/flags holds the compiler and its flags, and is only written where they are others
# than last time: after `make`, `make CFLAGS=-O0` compiles everything anew. The + has this looked
# up under make -n, too.
define variant
build/$(1)/flags: FORCE
	+@mkdir -p $$(@D); flags='$(2) $(STANDARD) $(WARNINGS) $(3)'; \
	    echo "$$$$flags" | cmp -s - $$@ || echo "$$$$flags" > $$@
build/$(1)/obj/%.o: %.c build/$(1)/flags Makefile
	@mkdir -p $$(@D) && $$(SAY) "cc    $$<"
	$$(Q)$(2) $(STANDARD) $(WARNINGS) $(3) -MMD -MP -c -o $$@ $$<
$(foreach c,$(CHAPTERS),
build/$(1)/$(c): $(patsubst %.c,build/$(1)/obj/%.o,$(wildcard chapters/$(c)/*.c) $(COMMON))
	@$$(SAY) "link  $$@"
	$$(Q)$(2) $(3) -o $$@ $$^ $(LIBS)
build/$(1)/obj/book/$(call number,$(c)).o: chapters/$(c)/attention.c build/$(1)/flags Makefile
	@mkdir -p $$(@D) && $$(SAY) "cc    $$< as attention_$(call number,$(c))"
	$$(Q)$(2) $(STANDARD) $(WARNINGS) $(3) -Dattention=attention_$(call number,$(c)) -MMD -MP -c -o $$@ $$<)

$(4)/property: $(patsubst %.c,build/$(1)/obj/%.o,tests/property.c $(CASES) $(BESIDE)) \
    $(foreach c,$(CHAPTERS),build/$(1)/obj/book/$(call number,$(c)).o) \
    $(patsubst %.c,build/$(1)/obj/%.o,tests/comparer.c $(COMMON))
	@mkdir -p $$(@D) && $$(SAY) "link  $$@"
	$$(Q)$(2) $(3) -o $$@ $$^ $(LIBS)
$(foreach t,compare oracle make_arrays expect fragments model_pages real onnx $(filter-out $(FAST_UNITS),$(UNITS)),
$(4)/$(t): $(patsubst %.c,build/$(1)/obj/%.o,$(or $(MAIN_$(t)),tests/$(t).c) $(WITH_$(t)) $(COMMON))
	@mkdir -p $$(@D) && $$(SAY) "link  $$@"
	$$(Q)$(2) $(3) -o $$@ $$^ $(LIBS_$(t)) $(if $(filter unit_%,$(t)),-lcmocka) $(LIBS))
endef

# What a test is built from besides its own .c and common/.
CACHE        := chapters/05_kv_cache/cache.c
PAGES        := chapters/06_paged_blocks/pages.c
BESIDE       := $(CACHE) $(PAGES) $(addprefix chapters/07_flash_tiling/,merge.c tiles.c)
CASES        := $(patsubst %,tests/%.c,book draw answer oracle)
MAIN_oracle  := tests/oracle_main.c
WITH_oracle  := tests/oracle.c
WITH_fragments := kernels/simt/fragment.c
WITH_compare := tests/comparer.c
WITH_real    := tests/comparer.c
WITH_onnx    := tests/comparer.c
WITH_unit_oracle  := tests/oracle.c
WITH_unit_compare := tests/comparer.c
WITH_unit_cache   := $(CACHE)
WITH_unit_pages   := $(PAGES)
WITH_unit_numerics := $(addprefix chapters/07_flash_tiling/,attention.c pages.c merge.c tiles.c)
WITH_model_pages  := $(PAGES)
LIBS_onnx    := -lcjson

SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
$(eval $(call variant,cpu,$(CC),$(CFLAGS),build/tests))
$(eval $(call variant,gcc-O0,gcc,-O0,build/gcc-O0/tests))
$(eval $(call variant,gcc-O3,gcc,-O3,build/gcc-O3/tests))
$(eval $(call variant,clang-O0,clang,-O0,build/clang-O0/tests))
$(eval $(call variant,clang-O3,clang,-O3,build/clang-O3/tests))
$(eval $(call variant,sanitized,gcc,$(SANITIZE),build/sanitized/tests))
$(eval $(call variant,tsan,gcc,-O1 -fsanitize=thread,build/tsan/tests))

# --- fast on the CPU -------------------------------------------------------------------------------

# build/fast/NN_name is the chapter's own main.c with kernels/cpu in the place of attention.c. The
# kernels are compiled once for each instruction set, and one is chosen at run time: dispatch.c.
MACHINE := $(shell uname -m)
ISAS    := $(if $(filter x86_64,$(MACHINE)),avx512 avx2) base scalar
LANES_avx512 := 16
LANES_avx2   := 8
LANES_base   := 4
LANES_scalar := 1
ARCH_avx2    := -mavx2 -mfma -mbmi -mbmi2
ARCH_avx512  := $(ARCH_avx2) -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512
# They may add in any order and fuse a product with a sum: the bound of docs/TESTING.md holds them.
FAST         := -O3 -ffp-contract=fast
CPU_STEPS    := $(wildcard kernels/cpu/prefill_*.c kernels/cpu/decode_*.c) kernels/cpu/isa.c
CPU_SHARED   := $(addprefix kernels/cpu/,blas.c dispatch.c host.c pass.c projection.c threads.c workspace.c)
CPU_HOSTS    := $(patsubst kernels/cpu/%.c,%,$(wildcard kernels/cpu/[0-9]*.c))
# $(1) the folder, $(2) the variant whose other objects it takes, $(3) the compiler, $(4) more flags,
# $(5) where its test goes, $(6) the instruction sets
define fast
$(foreach i,$(6),
build/$(1)/obj/$(i)/%.o: %.c build/$(2)/flags Makefile
	@mkdir -p $$(@D) && $$(SAY) "cc    $$< ($(i))"
	$$(Q)$(3) $(STANDARD) $(WARNINGS) $(FAST) $(4) $(ARCH_$(i)) -DISA=$(i) -DLANES=$(LANES_$(i)) -MMD -MP -c -o $$@ $$<)
build/$(1)/obj/kernels/cpu/dispatch.o: kernels/cpu/dispatch.c build/$(2)/flags Makefile
	@mkdir -p $$(@D) && $$(SAY) "cc    $$< ($(6))"
	$$(Q)$(3) $(STANDARD) $(WARNINGS) $(CFLAGS) $(4) '-DCOMPILED=$(foreach i,$(6),SET($(i)))' -MMD -MP -c -o $$@ $$<
# linear() is kernels/cpu/projection.c's, which falls back on the plain one.
build/$(1)/obj/common/projection.o: common/projection.c build/$(2)/flags Makefile
	@mkdir -p $$(@D) && $$(SAY) "cc    $$< (linear_plain)"
	$$(Q)$(3) $(STANDARD) $(WARNINGS) $(CFLAGS) $(4) -Dlinear=linear_plain -MMD -MP -c -o $$@ $$<
build/$(1)/cpu.a: $(foreach i,$(6),$(CPU_STEPS:%.c=build/$(1)/obj/$(i)/%.o)) \
    build/$(1)/obj/kernels/cpu/dispatch.o \
    $(patsubst %.c,build/$(2)/obj/%.o,$(filter-out %/dispatch.c,$(CPU_SHARED)))
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
$(foreach c,$(CPU_HOSTS),
build/$(1)/$(c): $(patsubst %.c,build/$(2)/obj/%.o,$(filter-out %/attention.c,$(wildcard chapters/$(c)/*.c)) \
    kernels/cpu/$(c).c kernels/cpu/backend.c $(filter-out common/backend.c common/projection.c,$(COMMON))) \
    build/$(1)/obj/common/projection.o build/$(1)/cpu.a
	@$$(SAY) "link  $$@"
	$$(Q)$(3) $(4) -o $$@ $$^ $(LIBS) -lpthread
build/$(1)/obj/book/$(call number,$(c)).o: kernels/cpu/$(c).c build/$(2)/flags Makefile
	@mkdir -p $$(@D) && $$(SAY) "cc    $$< as attention_$(call number,$(c))"
	$$(Q)$(3) $(STANDARD) $(WARNINGS) $(CFLAGS) $(4) -Dattention=attention_$(call number,$(c)) -MMD -MP -c -o $$@ $$<)
$(5)/fast: $(patsubst %.c,build/$(2)/obj/%.o,tests/fast.c tests/kernels_case.c tests/hold.c tests/naive_bf16.c \
    $(CASES) $(CACHE) $(PAGES) $(COMMON)) $(foreach c,$(CPU_HOSTS),build/$(1)/obj/book/$(call number,$(c)).o) \
    build/$(1)/cpu.a
	@mkdir -p $$(@D) && $$(SAY) "link  $$@"
	$$(Q)$(3) $(4) -o $$@ $$^ $(LIBS) -lpthread
endef
$(eval $(call fast,fast,cpu,$(CC),,build/tests,$(ISAS)))
$(eval $(call fast,fast-sanitized,sanitized,gcc,$(SANITIZE),build/fast-sanitized/tests,$(or $(filter avx2,$(ISAS)),base)))
$(eval $(call fast,fast-tsan,tsan,gcc,-O1 -fsanitize=thread,build/fast-tsan/tests,base))
# clang's is one set: the first that this processor has.
CLANG_ISA := $(firstword $(if $(shell grep -m 1 avx512f /proc/cpuinfo 2> /dev/null),,$(filter-out avx512,$(ISAS))) $(ISAS))
$(eval $(call fast,fast-clang,clang-O3,clang,,build/fast-clang/tests,$(CLANG_ISA)))
$(FAST_UNITS:%=build/tests/%): build/tests/%: build/cpu/obj/tests/%.o build/fast/cpu.a \
    $(patsubst %.c,build/cpu/obj/%.o,$(PAGES) $(COMMON))
	@mkdir -p $(@D) && $(SAY) "link  $@"
	$(Q)$(CC) -o $@ $(filter-out %.a,$^) build/fast/cpu.a -lcmocka $(LIBS) -lpthread
fast: $(CPU_HOSTS:%=build/fast/%)       ## the chapters by fast CPU kernels: DEVICE=fast

# --- benchmarks ------------------------------------------------------------------------------------

# All chapters, the fast kernels and the benchmark's own loops in one program: docs/BENCH.md.
BENCH       := $(wildcard tests/bench*.c)
BENCH_OWN   := tests/bench_isa.c tests/bench_limits.c# not compiled as the others are
BENCH_SETS  := '-DCOMPILED=$(foreach i,$(ISAS),SET($(i)))' '-DBENCH_FLAGS="$(CC) $(STANDARD) $(CFLAGS), kernels $(FAST)"'
OUT         ?= build/bench/bench.csv
build/fast/obj/tests/bench_limits.o: tests/bench_limits.c build/cpu/flags Makefile
	@mkdir -p $(@D) && $(SAY) "cc    $< ($(ISAS))"
	$(Q)$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) $(BENCH_SETS) -MMD -MP -c -o $@ $<
build/tests/bench: $(patsubst %.c,build/cpu/obj/%.o,$(filter-out $(BENCH_OWN),$(BENCH)) $(BESIDE) $(COMMON)) \
    $(foreach c,$(CHAPTERS),build/cpu/obj/book/$(call number,$(c)).o) build/fast/obj/tests/bench_limits.o \
    $(foreach i,$(ISAS),build/fast/obj/$(i)/tests/bench_isa.o) build/fast/cpu.a
	@mkdir -p $(@D) && $(SAY) "link  $@"
	$(Q)$(CC) -o $@ $^ $(LIBS) -lpthread
bench: build/tests/bench                ## measure everything, 15 minutes: make bench OUT=mine.csv
	@mkdir -p $(dir $(OUT))
	@PYTHON=$${PYTHON:-$$(sh tests/python.sh)} build/tests/bench --out $(OUT) $(ARGS)
bench-quick: build/tests/bench          ## the same, smaller: two minutes
	@mkdir -p $(dir $(OUT))
	@PYTHON=$${PYTHON:-$$(sh tests/python.sh)} build/tests/bench --quick --out $(OUT) $(ARGS)
bench-check: build/tests/bench          ## is the fast code as fast as it must be? exit 1 if not
	@mkdir -p build/bench
	@PYTHON=$${PYTHON:-$$(sh tests/python.sh)} build/tests/bench --check --out build/bench/check.csv $(ARGS)
.PHONY: bench bench-quick bench-check

# --- plots -----------------------------------------------------------------------------------------

plots:                                  ## every figure: SVG into plots/figures, PNG into build/plots
	@sh plots/draw.sh
plot-bench:                             ## your own measurements: make plot-bench DATA=mine.csv
	@sh plots/draw.sh --data '$(DATA)'
plot-data: all tools fast               ## the tables behind the figures of counts (a minute)
	@sh plots/data.sh plots/data
# make plot-02 ARGS="--mask window=3": a chapter's run as a picture
$(foreach c,$(CHAPTERS),plot-$(firstword $(subst _, ,$(c)))): plot-%: all $(DEVICE)
	@sh plots/trace.sh run build/$(or $(DEVICE),cpu)/$(call chapter,$*) $(ARGS)
.PHONY: plots plot-bench plot-data

# --- notebooks -------------------------------------------------------------------------------------

NOTEBOOK_NEEDS := nbformat nbconvert ipykernel numpy
notebooks: all tools fast               ## execute the notebooks of traces/, all or one: N=03
	@python=$$(sh tests/python.sh $(NOTEBOOK_NEEDS)) || python=python3; $$python traces/notebooks.py $(N)
.PHONY: notebooks

# --- the trace viewer ------------------------------------------------------------------------------

# make viewer TRACE=dir: your own, or two (TRACE="a b") to stand side by side. Where there is a C++
# compiler, its traces have two of the CUDA kernels among them.
ON_SIMT := $(addprefix build/simt/,02_masking 07_flash_tiling)
VIEWED = all $(if $(TRACE),,$(shell command -v g++ > /dev/null && echo $(ON_SIMT)))
viewer: $(VIEWED)                       ## a page to walk through traces: build/viewer/index.html
	@sh traces/viewer/build.sh $(TRACE)
viewer-check: $(VIEWED)                 ## clicks through it in a browser, and through wrong ones
	@sh tests/viewer.sh --all
.PHONY: viewer viewer-check

# --- the book ---------------------------------------------------------------------------------------

book: $(VIEWED)                         ## all pages as one searchable book: build/book/html/index.html
	@sh docs/book/build.sh
book-check: book                        ## opens every page of it in a browser
	@PYTHON=$${PYTHON:-$$(sh tests/python.sh selenium || echo python3)}; "$$PYTHON" docs/book/check.py
setup-book: ; @sh tests/setup.sh docs/book/packages.txt ## install what the book is made with
.PHONY: book book-check setup-book

# --- the CUDA kernels without a GPU --------------------------------------------------------------

# build/simt/NN_name is the chapter's own main.c with kernels/cuda in the place of attention.c,
# on the emulator in kernels/simt. A .cu is compiled by g++; the hosts are C, as for a GPU.
KERNELS   := $(patsubst kernels/cuda/%.c,%,$(wildcard kernels/cuda/[0-9]*.c))
SIMT      := $(wildcard kernels/simt/*.c)
ON_DEVICE := kernels/cuda/backend.c $(filter-out common/backend.c,$(COMMON))# common/ on a device
SIMT_HEAD := -Ikernels/simt/include -Ikernels/cuda
SIMT_LANG := -x c++ -std=c++17 -g -ffp-contract=off -Wall -Wno-unknown-pragmas -Werror=vla
SIMT_CXX  := g++ $(SIMT_LANG) -O2
build/simt/flags: FORCE
	+@mkdir -p $(@D); flags='$(CC) $(CFLAGS)'; echo "$$flags" | cmp -s - $@ || echo "$$flags" > $@
build/simt/obj/%.o: %.c build/simt/flags Makefile
	@mkdir -p $(@D) && $(SAY) "cc    $< (simt)"
	$(Q)$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) $(SIMT_HEAD) -MMD -MP -c -o $@ $<
# Counted: g++ announces every access and every basic block, and the emulator answers. Linked
# without -fsanitize: kernels/simt/hooks.c stands in for the sanitizer's own library.
SIMT_COUNT := -O1 -fno-reorder-blocks -fno-tree-ch -fno-thread-jumps \
    -fsanitize=thread,bounds-strict --param tsan-instrument-func-entry-exit=0 -fsanitize-coverage=trace-pc
# clang announces no read of what is written next, unless it is told to, and may merge accesses.
# Where lanes that parted meet again is read from the order of the basic blocks: the source's.
SIMT_COUNT_CLANG := -O1 -fno-unroll-loops -fno-vectorize -fno-slp-vectorize \
    -mllvm -disable-block-placement -mllvm -disable-branch-fold \
    -fsanitize=thread,bounds -mllvm -tsan-instrument-read-before-write \
    -mllvm -tsan-instrument-func-entry-exit=0 -fsanitize-coverage=trace-pc
# What a chapter's host and kernels are built from besides their own: files in kernels/cuda.
HOST_06 := mirror.c
HOST_07 := mirror.c flash_count.c
CU_06   := pages.cu
CU_07   := pages.cu
# $(1) the chapter: its hosts, and its kernels
hosts = $(addprefix kernels/cuda/,$(1).c device.c $(HOST_$(call number,$(1))))
cu    = $(wildcard kernels/cuda/$(call number,$(1))_*.cu) $(addprefix kernels/cuda/,$(CU_$(call number,$(1))))
# $(1) the folder, $(2) the compiler and its flags; where the C is built otherwise than in
# build/simt: $(3) its folder, $(4) the linker's flags
define kernels
build/$(1)/obj/%.cu.o: %.cu Makefile
	@mkdir -p $$(@D) && $$(SAY) "$(firstword $(2))   $$< ($(1))"
	$$(Q)$(2) $(SIMT_HEAD) -MMD -MP -c -o $$@ $$<
$(foreach k,$(KERNELS),
build/$(1)/$(k): $(patsubst %.c,build/$(or $(3),simt)/obj/%.o,$(filter-out %/attention.c,$(wildcard chapters/$(k)/*.c)) \
    $(call hosts,$(k)) kernels/cuda/probe_simt.c $(SIMT) $(ON_DEVICE)) \
    $(patsubst %,build/$(1)/obj/%.o,$(call cu,$(k)))
	@mkdir -p $$(@D) && $$(SAY) "link  $$@"
	$$(Q)g++ $(4) -o $$@ $$^ -lpthread -lm -ldl)
endef
$(eval $(call kernels,simt,$(SIMT_CXX)))
$(eval $(call kernels,counted,$(SIMT_CXX) $(SIMT_COUNT)))
$(eval $(call kernels,counted-O0,$(SIMT_CXX) $(SIMT_COUNT) -O0))
$(eval $(call kernels,counted-clang,clang++ $(SIMT_LANG) $(SIMT_COUNT_CLANG)))
# Hosts and emulator watched by ASan and UBSan; kernels as ever, for the emulator watches those.
build/simt-sanitized/obj/%.o: %.c Makefile
	@mkdir -p $(@D) && $(SAY) "cc    $< (simt-sanitized)"
	$(Q)gcc $(STANDARD) $(WARNINGS) $(SANITIZE) $(SIMT_HEAD) -MMD -MP -c -o $@ $<
$(eval $(call kernels,simt-sanitized,$(SIMT_CXX),simt-sanitized,$(SANITIZE)))
# make debug-07: kernels/simt/README.md has the commands for gdb
$(eval $(call kernels,debug,$(SIMT_CXX) -O0))
$(foreach k,$(KERNELS),$(eval debug-$(call number,$(k)): build/debug/$(k)))
cpu: all

# All kernels in one program, against the oracle, as build/tests/property is for the chapters.
build/simt/obj/book/%.o: kernels/cuda/%.c build/simt/flags Makefile
	@mkdir -p $(@D) && $(SAY) "cc    $< as attention_$(call number,$*)"
	$(Q)$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) $(SIMT_HEAD) $(foreach n,attention device_kernels,-D$n=$n_$(call number,$*)) -MMD -MP -c -o $@ $<
build/tests/kernels: $(patsubst %.c,build/simt/obj/%.o,$(wildcard tests/kernels*.c) tests/hold.c tests/naive_bf16.c $(CASES) \
    $(BESIDE) $(addprefix kernels/cuda/,device.c $(HOST_07)) $(SIMT) $(COMMON)) \
    $(KERNELS:%=build/simt/obj/book/%.o) \
    $(patsubst %,build/simt/obj/%.o,$(wildcard kernels/cuda/*.cu))
	@mkdir -p $(@D) && $(SAY) "link  $@"
	$(Q)g++ -o $@ $^ -lpthread -lm -ldl
counted-O0 counted-clang: %: $(addprefix build/%/,$(KERNELS))
counted: $(KERNELS:%=build/counted/%)   ## the CUDA kernels on the emulator, every access counted and checked
simt-speed: build/simt/simt_speed build/counted/simt_speed ## what the emulator costs, in clocks
	@for build in simt counted; do echo "build/$$build:"; build/$$build/simt_speed; done
build/%/simt_speed: build/%/obj/tests/simt_speed.cu.o \
    $(patsubst %.c,build/simt/obj/%.o,$(wildcard kernels/simt/*.c))
	@mkdir -p $(@D) && $(SAY) "link  $@"
	$(Q)g++ -o $@ $^ -lpthread -lm -ldl
# What tests/simt_build.sh asks: how a kernel is compiled, and what it is linked with.
simt-gcc: ; @echo 'g++ $(SIMT_LANG) $(SIMT_COUNT) $(SIMT_HEAD)'
simt-clang: ; @echo 'clang++ $(SIMT_LANG) $(SIMT_COUNT_CLANG) $(SIMT_HEAD)'
simt-objects: $(patsubst %.c,build/simt/obj/%.o,$(wildcard kernels/simt/*.c)) ; @echo '$^'
simt: $(KERNELS:%=build/simt/%)         ## the same, not counted: quicker

# The same with nvcc, for sm_80 (A100) and sm_90a (H100, H200): kernels through nvcc, hosts through
# the C compiler against NVIDIA's own headers.
NVCC      := nvcc
CUDA      = $(patsubst %/bin/nvcc,%,$(shell command -v $(NVCC)))
NVCCFLAGS := -std=c++17 -O3 -Xptxas -v -gencode=arch=compute_80,code=sm_80 \
             -gencode=arch=compute_90a,code=sm_90a
build/cuda/obj/%.o: %.c Makefile
	@mkdir -p $(@D) && $(SAY) "cc    $< (cuda)"
	$(Q)$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) -isystem $(CUDA)/include -Ikernels/cuda -MMD -MP -c -o $@ $<
build/cuda/flags: FORCE # make gpu-check compiles for the GPU that is here alone
	+@command -v $(NVCC) > /dev/null || { echo '$(NVCC) is not here: it comes with the CUDA Toolkit; DEVICE=simt needs none'; exit 1; }; \
	    mkdir -p $(@D); echo '$(NVCC) $(NVCCFLAGS)' | cmp -s - $@ || echo '$(NVCC) $(NVCCFLAGS)' > $@
build/cuda/obj/%.cu.o: %.cu build/cuda/flags Makefile
	@mkdir -p $(@D) && $(SAY) "nvcc  $<"
	$(Q)$(NVCC) $(NVCCFLAGS) -Ikernels/cuda -MMD -MP -c -o $@ $< > $@.log 2>&1 || { cat $@.log; exit 1; }
define cuda
build/cuda/$(1): $(patsubst %.c,build/cuda/obj/%.o,$(filter-out %/attention.c,$(wildcard chapters/$(1)/*.c)) \
    $(call hosts,$(1)) kernels/cuda/probe_gpu.c $(ON_DEVICE)) \
    $(patsubst %,build/cuda/obj/%.o,$(call cu,$(1)))
	@$$(SAY) "link  $$@"
	$$(Q)$(NVCC) -o $$@ $$^ -lcublas -lm -ldl
endef
$(foreach k,$(KERNELS),$(eval $(call cuda,$(k))))
cuda: $(KERNELS:%=build/cuda/%)         ## the same for a GPU, with nvcc

# What make gpu-check runs beside the chapters, on the device and on the emulator: the chapters'
# kernels against the oracle, all kernels on problems of their own, the tensor cores' fragments.
GPU_BENCH := $(addprefix tests/gpu_,bench.c time.c problem.c) kernels/cuda/device.c
BENCHED   := $(wildcard kernels/cuda/04_*.cu kernels/cuda/07_*.cu)
define gpu_test
build/$(1)/tests/gpu_bench: $(patsubst %.c,build/simt/obj/%.o,$(GPU_BENCH) $(SIMT) $(COMMON)) $(BENCHED:%=build/$(1)/obj/%.o)
build/$(1)/tests/gpu_probe: $(patsubst %.c,build/simt/obj/%.o,tests/gpu_probe.c $(SIMT) common/fail.c common/output.c)
build/$(1)/tests/gpu_fragments: build/$(1)/obj/tests/gpu_fragments.cu.o $(patsubst %.c,build/simt/obj/%.o,$(SIMT) $(COMMON))
build/$(1)/tests/gpu_%:
	@mkdir -p $$(@D) && $$(SAY) "link  $$@"
	$$(Q)g++ -o $$@ $$^ -lpthread -lm -ldl
endef
$(eval $(call gpu_test,simt))
$(eval $(call gpu_test,counted))
build/cuda/tests/gpu_bench: $(patsubst %.c,build/cuda/obj/%.o,$(GPU_BENCH) $(COMMON)) $(BENCHED:%=build/cuda/obj/%.o)
build/cuda/tests/gpu_probe: $(patsubst %.c,build/cuda/obj/%.o,tests/gpu_probe.c common/fail.c common/output.c)
build/cuda/tests/gpu_fragments: build/cuda/obj/tests/gpu_fragments.cu.o
build/cuda/obj/book/%.o: kernels/cuda/%.c Makefile
	@mkdir -p $(@D) && $(SAY) "cc    $< as attention_$(call number,$*) (cuda)"
	$(Q)$(CC) $(STANDARD) $(WARNINGS) $(CFLAGS) -isystem $(CUDA)/include -Ikernels/cuda $(foreach n,attention device_kernels,-D$n=$n_$(call number,$*)) -MMD -MP -c -o $@ $<
build/cuda/tests/kernels: $(patsubst %.c,build/cuda/obj/%.o,$(wildcard tests/kernels*.c) tests/hold.c tests/naive_bf16.c $(CASES) \
    $(BESIDE) $(addprefix kernels/cuda/,device.c $(HOST_07)) $(COMMON)) \
    $(KERNELS:%=build/cuda/obj/book/%.o) $(patsubst %,build/cuda/obj/%.o,$(wildcard kernels/cuda/*.cu))
build/cuda/tests/%:
	@mkdir -p $(@D) && $(SAY) "link  $@"
	$(Q)$(NVCC) -o $@ $^ -lcublas -lm -ldl
gpu-check:                              ## all that a GPU can tell about the kernels, where there is one
	@MAKE='$(THIS_MAKE)' sh tests/gpu_check.sh $(PARTS)

sanitized-tests: build/sanitized/tests/property build/sanitized/tests/model_pages

-include $(wildcard build/*/obj/*/*.d build/*/obj/*/*/*.d build/*/obj/*/*/*/*.d)
