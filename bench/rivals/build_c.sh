#!/bin/sh
# Fetch two programs in C and build them for the settings of names in train_speed.py. They fix all
# sizes when they are compiled, so each setting needs a program of its own.
#
#     sh bench/rivals/build_c.sh FOLDER
#     uv run python bench/train_speed.py --c FOLDER/built
#
# The flags are those of microgpt-c's CMakeLists.txt. EEmicroGPT is written for Apple's processors:
# SIMDe translates its NEON instructions, and a header below replaces Apple's clock.
set -eu
mkdir -p "$1" && cd "$1"
mkdir -p include/mach built/microgpt-c built/EEmicroGPT

fetch() {  # folder, repository, commit, and the paths to check out
  test -d "$1" || git clone --quiet --no-checkout "https://github.com/$2" "$1"
  folder=$1 commit=$3 && shift 3
  git -C "$folder" checkout --quiet "$commit" -- "$@"
}
fetch microgpt-c enjector/microgpt-c bf713f325b514cef04ce95d779eef79097682d4b src demos/character-level/names
fetch EEmicroGPT Entrpi/eemicrogpt 97b42fcd42cf288a2183e90399f0afbfc2af1470 eemicrogpt.c
fetch simde simd-everywhere/simde 71fd833d9666141edcd1d3c109a80e228303d8d7 simde

cat > include/arm_neon.h <<'END'
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/arm/neon.h>
END
cat > include/mach/mach_time.h <<'END'
#include <stdint.h>
#include <time.h>
typedef struct { uint64_t numer, denom; } mach_timebase_info_data_t;
static int mach_timebase_info(mach_timebase_info_data_t *base) {
  base->numer = base->denom = 1;
  return 0;
}
static uint64_t mach_absolute_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec;
}
END

build="gcc -O3 -ffast-math -funroll-loops -march=native -DNDEBUG -w"
for width in 16 32 64 128; do
  for batch in 1 16; do
    setting=d$width-batch-$batch
    $build -DMICROGPT_USE_FLOAT=1 -DMICROGPT_SIMD=1 -DN_EMBD=$width -DMLP_DIM=$((4 * width)) \
      -DBATCH_SIZE=$batch -DNUM_STEPS=1000 -Imicrogpt-c/src -o built/microgpt-c/$setting \
      microgpt-c/demos/character-level/names/main.c microgpt-c/src/microgpt.c -lm -lpthread
    $build -DD_MODEL=$width -DBATCH=$batch -DN_STEPS=1000 -Iinclude -Isimde \
      -o built/EEmicroGPT/$setting EEmicroGPT/eemicrogpt.c -lm
  done
done
