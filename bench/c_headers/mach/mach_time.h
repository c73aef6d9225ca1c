// Apple's clock on other systems, in nanoseconds.
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
