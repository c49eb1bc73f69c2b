/* The stress workload: what both guests share.  Contract: README.md. */
#ifndef MIGSTRESS_WORKLOAD_H
#define MIGSTRESS_WORKLOAD_H

#define MAX_CPUS 64

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096, PAGE_WORDS = PAGE_BYTES / 8, LINE_BYTES = 512 };
enum { TEXT_LINE_WORDS = 8 }; /* of content text: 64 bytes */

enum touch { TOUCH_SWEEP, TOUCH_STUDY, TOUCH_PAGE, TOUCH_READ };
enum pattern { PATTERN_SWEEP, PATTERN_RANDOM };
enum content { CONTENT_RANDOM, CONTENT_TEXT, CONTENT_ZERO, CONTENT_DELTA };

struct settings {
    uint64_t ws_bytes;
    uint64_t still_bytes; /* filled as well, touched no more */
    uint64_t rate_pps; /* all vCPUs together; 0 is full speed */
    uint64_t seed;
    uint64_t cpus;
    uint64_t report_ms;
    uint64_t tsc_hz; /* 0 until it is given or measured */
    uint64_t repeat_bytes; /* of text: of each line the same everywhere */
    uint64_t delta_bytes;  /* of delta: of each page changed by a touch */
    enum touch touch;
    enum pattern pattern;
    enum content content;
};

extern const char *const touch_names[], *const pattern_names[], *const content_names[];

/* What a platform (bare.c, init.c) supplies. */
void platform_write(const char *line, size_t bytes);       /* never mixes two lines */
_Noreturn void platform_stop(void);                        /* after an error */

/* What it calls, in this order. */
const char *workload_arguments(const char *command_line); /* the settings in it */
void workload_configure(struct settings *settings, const char *arguments);
uint64_t workload_count_bytes(const struct settings *settings); /* beside ws and still */
void workload_announce(const char *kind, const struct settings *settings, void *memory,
                       void *still, void *counts, uint64_t base);
_Noreturn void workload_thread(unsigned cpu); /* once on each vCPU; returns never */

_Noreturn void workload_fail(const char *text, const char *detail);

#endif
#endif
