/* The settings: from the words of a command line, checked. */
#include "line.h"
#include "tsc.h"
#include "workload.h"

const char *const touch_names[] = {"sweep", "study", "page", "read"};
const char *const pattern_names[] = {"sweep", "random"};
const char *const content_names[] = {"random", "text", "zero", "delta"};

_Noreturn void workload_fail(const char *text, const char *detail)
{
    struct line line;

    line.used = 0;
    put(&line, "migstress error ");
    put(&line, text);
    put(&line, detail);
    send(&line);
    platform_stop();
}

/* The value when `token` is `name` + value, else NULL. */
static const char *value_of(const char *token, const char *name)
{
    while (*name)
        if (*token++ != *name++)
            return NULL;
    return token;
}

static int ends(char c)
{
    return c == 0 || c == ' ' || c == '\n';
}

static int same(const char *value, const char *name)
{
    const char *rest = value_of(value, name);
    return rest && ends(*rest);
}

static uint64_t number(const char *value, const char *name)
{
    uint64_t n = 0;

    if (ends(*value))
        workload_fail("no number given for ", name);
    for (; !ends(*value); value++) {
        if (*value < '0' || *value > '9' || n > (UINT64_MAX - 9) / 10)
            workload_fail("want a whole number >= 0 for ", name);
        n = n * 10 + (uint64_t)(*value - '0');
    }
    return n;
}

/* MHz with an optional fraction of up to six digits, in Hz. */
static uint64_t megahertz(const char *value)
{
    uint64_t hz = 0, unit = 0;

    for (; !ends(*value); value++) {
        if (*value == '.' && !unit) {
            unit = 1000000;
        } else if (*value < '0' || *value > '9' || hz > 1000000000000000) {
            workload_fail("want a decimal number of MHz for ", "mhz");
        } else if (!unit) {
            hz = hz * 10 + (uint64_t)(*value - '0') * 1000000;
        } else {
            unit /= 10;
            hz += (uint64_t)(*value - '0') * unit;
        }
    }
    return hz;
}

static unsigned choice(const char *value, const char *const *names, unsigned count,
                       const char *refusal)
{
    for (unsigned i = 0; i < count; i++)
        if (same(value, names[i]))
            return i;
    workload_fail(refusal, "");
}

/* The settings in a command line: what follows ` -- `, else all but the first word,
 * which is the image's name. */
const char *workload_arguments(const char *command_line)
{
    const char *rest = command_line;

    for (const char *at = command_line; *at; at++)
        if (value_of(at, " -- "))
            rest = at + 4;
    if (rest == command_line)
        while (!ends(*rest))
            rest++;
    return rest;
}

static void set_one(struct settings *set, const char *token)
{
    const char *value;

    if ((value = value_of(token, "ws=")))
        set->ws_bytes = number(value, "ws");
    else if ((value = value_of(token, "still=")))
        set->still_bytes = number(value, "still");
    else if ((value = value_of(token, "rate=")))
        set->rate_pps = number(value, "rate");
    else if ((value = value_of(token, "seed=")))
        set->seed = number(value, "seed");
    else if ((value = value_of(token, "cpus=")))
        set->cpus = number(value, "cpus");
    else if ((value = value_of(token, "report_ms=")))
        set->report_ms = number(value, "report_ms");
    else if ((value = value_of(token, "mhz=")))
        set->tsc_hz = megahertz(value);
    else if ((value = value_of(token, "touch=")))
        set->touch = choice(value, touch_names, 4, "touch is sweep, study, page or read");
    else if ((value = value_of(token, "pattern=")))
        set->pattern = choice(value, pattern_names, 2, "pattern is sweep or random");
    else if ((value = value_of(token, "content=")))
        set->content =
            choice(value, content_names, 4, "content is random, text, zero or delta");
    else if ((value = value_of(token, "repeat=")))
        set->repeat_bytes = number(value, "repeat");
    else if ((value = value_of(token, "delta=")))
        set->delta_bytes = number(value, "delta");
    else
        workload_fail("unknown setting; known are ws still rate touch pattern content ",
                      "repeat delta report_ms mhz seed cpus");
}

static void check_content(const struct settings *set)
{
    if (set->repeat_bytes && set->content != CONTENT_TEXT)
        workload_fail("repeat is for content=text", "");
    if (set->repeat_bytes % 8 || set->repeat_bytes >= TEXT_LINE_WORDS * 8)
        workload_fail("repeat is a multiple of 8 bytes, at most 56", "");
    if ((set->delta_bytes != 0) != (set->content == CONTENT_DELTA))
        workload_fail("content=delta needs delta, and it alone", "");
    if (set->delta_bytes % 8 || set->delta_bytes > PAGE_BYTES)
        workload_fail("delta is a multiple of 8 bytes, at most 4096", "");
    if (set->content >= CONTENT_ZERO && set->touch == TOUCH_PAGE)
        workload_fail("touch=page writes a random word: no content=zero or delta", "");
    if (set->pattern == PATTERN_RANDOM && set->touch == TOUCH_STUDY)
        workload_fail("touch=study sweeps: no pattern=random", "");
}

void workload_configure(struct settings *set, const char *arguments)
{
    *set = (struct settings){.seed = 1, .cpus = 1, .report_ms = 75};
    for (const char *at = arguments; *at;) {
        if (ends(*at)) {
            at++;
            continue;
        }
        set_one(set, at);
        while (!ends(*at))
            at++;
    }
    if (set->cpus < 1 || set->cpus > MAX_CPUS)
        workload_fail("cpus is 1 to 64", "");
    if (set->report_ms < 50 || set->report_ms > 1000)
        workload_fail("report_ms is 50 to 1000", "");
    if (set->ws_bytes % PAGE_BYTES || set->ws_bytes / PAGE_BYTES < set->cpus)
        workload_fail("ws is a multiple of 4096 bytes, at least a page a vCPU", "");
    if (set->still_bytes % PAGE_BYTES)
        workload_fail("still is a multiple of 4096 bytes", "");
    if (set->ws_bytes >> 46 || set->still_bytes >> 46)
        workload_fail("ws and still are less than 64 TiB", "");
    if (set->rate_pps > 1000000000)
        workload_fail("rate is at most 1000000000 pages/s", "");
    check_content(set);
    if (!set->tsc_hz)
        set->tsc_hz = tsc_measure();
    if (set->tsc_hz < 1000000)
        workload_fail("cannot measure the TSC against the PIT: give mhz=", "");
}
