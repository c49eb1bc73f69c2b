/* The stress workload: one thread a vCPU sweeps its share of the working set for ever.
 *
 * Word i of page p holds base(p, i) ^ sum[i], where `base` is a counter-based random
 * stream and `sum` the XOR of all sweeps' keys so far.  So every page is incompressible
 * at any time, and what any word must hold is known without keeping a copy.
 *
 * Compiled alike, freestanding, into both guests. */
#include "workload.h"

#include "tsc.h"

static struct {
    struct settings set;
    uint64_t (*memory)[PAGE_WORDS];
    uint64_t ns_per_tick;      /* x 2^32 */
    uint64_t pages_per_tick;   /* of one thread, x 2^64 */
    uint64_t ticks_per_report;
    uint64_t origin_tsc;       /* when sweeping began, on all vCPUs */
    unsigned filled;
    unsigned go;
} shared;

struct thread {
    uint64_t key[PAGE_WORDS];  /* what this sweep XORs a page with */
    uint64_t sum[PAGE_WORDS];  /* all keys so far, this sweep's included */
    unsigned cpu;
    uint64_t first_page, page_count, sweeps;
    uint64_t done, bad;        /* pages since the origin */
    uint64_t now, unit_start, gap, line_ticks; /* TSC ticks */
    uint64_t unit_pages;
} __attribute__((aligned(PAGE_BYTES)));

static struct thread threads[MAX_CPUS];

/* ---- text ---------------------------------------------------------------------- */

struct line {
    char text[LINE_BYTES];
    size_t used;
};

static void put(struct line *line, const char *text)
{
    while (*text && line->used < LINE_BYTES - 1)
        line->text[line->used++] = *text++;
}

static void put_number(struct line *line, const char *name, uint64_t value)
{
    char digits[21];
    int at = 20;

    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(line, name);
    put(line, digits + at);
}

static void send(struct line *line)
{
    line->text[line->used++] = '\n';
    platform_write(line->text, line->used);
}

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

/* ---- settings ------------------------------------------------------------------ */

static const char *const touch_names[] = {"sweep", "study", "page"};
static const char *const content_names[] = {"random"};

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
        set->touch = choice(value, touch_names, 3, "touch is sweep, study or page");
    else if ((value = value_of(token, "content=")))
        set->content = choice(value, content_names, 1, "content is random");
    else
        workload_fail("unknown setting; known are ",
                      "ws still rate touch content report_ms mhz seed cpus");
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
    if (!set->tsc_hz)
        set->tsc_hz = tsc_measure();
    if (set->tsc_hz < 1000000)
        workload_fail("cannot measure the TSC against the PIT: give mhz=", "");
}

/* high * 2^64 / divisor; high < divisor */
static uint64_t divide(uint64_t high, uint64_t divisor)
{
    uint64_t quotient, remainder;
    __asm__("divq %4"
            : "=a"(quotient), "=d"(remainder)
            : "a"((uint64_t)0), "d"(high), "r"(divisor));
    return quotient;
}

void workload_announce(const char *kind, const struct settings *set, void *memory,
                       uint64_t base)
{
    struct line line;

    shared.set = *set;
    shared.memory = memory;
    shared.ns_per_tick = (1000000000ull << 32) / set->tsc_hz;
    shared.pages_per_tick = divide(set->rate_pps, set->tsc_hz * set->cpus);
    shared.ticks_per_report = set->tsc_hz / 1000 * set->report_ms;

    line.used = 0;
    put(&line, "migstress start version=1 kind=");
    put(&line, kind);
    put_number(&line, " cpus=", set->cpus);
    put_number(&line, " ws_bytes=", set->ws_bytes);
    put_number(&line, " rate_pps=", set->rate_pps);
    put(&line, " touch=");
    put(&line, touch_names[set->touch]);
    put(&line, " content=");
    put(&line, content_names[set->content]);
    put_number(&line, " report_ms=", set->report_ms);
    put_number(&line, " page_bytes=", PAGE_BYTES);
    put_number(&line, " base=", base);
    put_number(&line, " seed=", set->seed);
    put_number(&line, " still_bytes=", set->still_bytes);
    send(&line);
}

/* ---- content ------------------------------------------------------------------- */

/* SplitMix64 at position `index` (Steele, Lea, Flood 2014): any word on its own. */
static inline uint64_t random_word(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline uint64_t base_word(uint64_t page, uint64_t i)
{
    return random_word(shared.set.seed, page * PAGE_WORDS + i);
}

static void write_page(const struct thread *t, uint64_t page)
{
    uint64_t *words = shared.memory[page];

    for (unsigned i = 0; i < PAGE_WORDS; i++)
        words[i] = base_word(page, i) ^ t->sum[i];
}

static inline unsigned words_touched(void)
{
    return shared.set.touch == TOUCH_PAGE ? 1 : PAGE_WORDS;
}

/* The key of the sweep to come; the study has one for all of them. */
static void next_key(struct thread *t)
{
    uint64_t stream = shared.set.touch == TOUCH_STUDY ? 0 : t->sweeps;
    uint64_t seed = random_word(~shared.set.seed, (uint64_t)t->cpu << 48 | stream);

    for (unsigned i = 0; i < words_touched(); i++) {
        t->key[i] = random_word(seed, i);
        t->sum[i] ^= t->key[i];
    }
}

static inline void touch_page(struct thread *t, uint64_t page)
{
    uint64_t *words = shared.memory[page];

    if (shared.set.touch == TOUCH_PAGE) {
        words[0] ^= t->key[0];
    } else {
        /* Plain words: under TCG vector registers are memory, and half as fast. */
#pragma GCC unroll 8
        for (unsigned i = 0; i < PAGE_WORDS; i++)
            words[i] ^= t->key[i];
    }
    /* One word, another one each time: a lost write shows in any of them.  Counted
     * once, as the page is set right. */
    unsigned i = (page + t->sweeps) & (words_touched() - 1);
    if (__builtin_expect(words[i] != (base_word(page, i) ^ t->sum[i]), 0)) {
        t->bad++;
        write_page(t, page);
    }
}

/* ---- the thread ---------------------------------------------------------------- */

static uint64_t nanoseconds(uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)ticks * shared.ns_per_tick >> 32);
}

static void report(struct thread *t)
{
    struct line line;
    uint64_t took;

    line.used = 0;
    put_number(&line, "migstress unit cpu=", t->cpu);
    put_number(&line, " t_ns=", nanoseconds(t->now));
    put_number(&line, " dt_ns=", nanoseconds(t->now - t->unit_start));
    put_number(&line, " pages=", t->unit_pages);
    put_number(&line, " gap_ns=", nanoseconds(t->gap));
    put_number(&line, " bad=", t->bad);
    put_number(&line, " sweeps=", t->sweeps);
    send(&line);

    t->unit_start = t->now;
    t->unit_pages = 0;
    t->gap = 0;
    /* A line's usual cost is no gap; what it took beyond that is. */
    took = tsc_read() - t->now;
    if (took < t->line_ticks)
        t->line_ticks = took;
    t->now += t->line_ticks;
}

/* Every look at the clock: a gap is what passed since the last one. */
static inline void look(struct thread *t)
{
    uint64_t now = tsc_read();

    if (now - t->now > t->gap)
        t->gap = now - t->now;
    t->now = now;
    if (now - t->unit_start >= shared.ticks_per_report)
        report(t);
}

/* A paced thread is busy all the same, so that it sees every stall while it waits. */
static inline void wait_until_due(struct thread *t)
{
    while (t->done >= (uint64_t)((unsigned __int128)(t->now - shared.origin_tsc) *
                                     shared.pages_per_tick >> 64)) {
        /* Not `pause`: under TCG it takes QEMU's global lock, and so the time of the
         * migration and the monitor. */
        for (int i = 0; i < 200; i++)
            __asm__ volatile("");
        look(t);
    }
}

/* All threads fill their share, then begin together. */
static void fill(struct thread *t)
{
    uint64_t swept = shared.set.ws_bytes / PAGE_BYTES;
    uint64_t filled = swept + shared.set.still_bytes / PAGE_BYTES;

    for (uint64_t i = 0; i < t->page_count; i++)
        write_page(t, t->first_page + i);
    for (uint64_t page = swept + t->cpu; page < filled; page += shared.set.cpus)
        write_page(t, page);
    __atomic_add_fetch(&shared.filled, 1, __ATOMIC_SEQ_CST);
    if (t->cpu == 0) {
        struct line line;

        while (__atomic_load_n(&shared.filled, __ATOMIC_SEQ_CST) < shared.set.cpus)
            tsc_pause();
        shared.origin_tsc = tsc_read();
        line.used = 0;
        put_number(&line, "migstress ready t_ns=", nanoseconds(shared.origin_tsc));
        send(&line);
        __atomic_store_n(&shared.go, 1, __ATOMIC_SEQ_CST);
    }
    while (!__atomic_load_n(&shared.go, __ATOMIC_SEQ_CST))
        tsc_pause();
}

_Noreturn void workload_thread(unsigned cpu)
{
    struct thread *t = &threads[cpu];
    uint64_t pages = shared.set.ws_bytes / PAGE_BYTES;
    /* With one word a page the clock costs as much as the touch: look less often. */
    uint64_t skip = shared.set.touch == TOUCH_PAGE && !shared.set.rate_pps ? 15 : 0;

    t->cpu = cpu;
    t->first_page = pages * cpu / shared.set.cpus;
    t->page_count = pages * (cpu + 1) / shared.set.cpus - t->first_page;
    t->line_ticks = UINT64_MAX;
    fill(t);
    t->now = t->unit_start = tsc_read();
    for (;;) {
        next_key(t);
        for (uint64_t i = 0; i < t->page_count; i++) {
            if (shared.set.rate_pps)
                wait_until_due(t);
            touch_page(t, t->first_page + i);
            t->done++;
            t->unit_pages++;
            if ((t->done & skip) == 0)
                look(t);
        }
        t->sweeps++;
    }
}
