/* The stress workload: one thread a vCPU sweeps its share of the working set for ever,
 * or touches pages of it at random.
 *
 * Word i of page p holds base(p, i) ^ sum[i], where `base` comes from a counter-based
 * random stream and `sum` is the XOR of all sweeps' keys so far.  So what any word must
 * hold is known without keeping a copy.  The content says how base and keys are made:
 * random never compresses, zero has both zero, and so on.
 *
 * At random a page is touched any number of times, so these are counted, and word i
 * holds base(p, i) + count(p) * key[i]: each touch adds the one key.  Of the count 16
 * bits are kept; they give the lowest 16 bits of any word.
 *
 * Compiled alike, freestanding, into both guests. */
#include "line.h"
#include "tsc.h"
#include "workload.h"

static struct {
    struct settings set;
    uint64_t (*memory)[PAGE_WORDS];
    uint64_t (*still)[PAGE_WORDS];
    uint16_t *counts;          /* of pattern random: touches of each page */
    uint64_t ns_per_tick;      /* x 2^32 */
    uint64_t pages_per_tick;   /* of one thread, x 2^64 */
    uint64_t ticks_per_report;
    uint64_t origin_tsc;       /* when sweeping began, on all vCPUs */
    unsigned touched_words;    /* the first ones of a page, that a touch changes */
    unsigned checked_words;    /* the first ones of a page, that it looks at */
    unsigned repeated_words;   /* the first ones of a line of text */
    unsigned filled;
    unsigned go;
} shared;

struct thread {
    uint64_t key[PAGE_WORDS];  /* what this sweep XORs a page with */
    uint64_t sum[PAGE_WORDS];  /* all keys so far, this sweep's included */
    unsigned cpu;
    uint64_t chance;           /* state of the choice of pages, never 0 */
    uint64_t first_page, page_count, sweeps;
    uint64_t done, bad;        /* pages since the origin */
    uint64_t now, unit_start, gap, line_ticks; /* TSC ticks */
    uint64_t unit_pages;
} __attribute__((aligned(PAGE_BYTES)));

static struct thread threads[MAX_CPUS];

/* high * 2^64 / divisor; high < divisor */
static uint64_t divide(uint64_t high, uint64_t divisor)
{
    uint64_t quotient, remainder;
    __asm__("divq %4"
            : "=a"(quotient), "=d"(remainder)
            : "a"((uint64_t)0), "d"(high), "r"(divisor));
    return quotient;
}

uint64_t workload_count_bytes(const struct settings *set)
{
    uint64_t bytes = set->ws_bytes / PAGE_BYTES * sizeof *shared.counts;

    if (set->pattern != PATTERN_RANDOM)
        return 0;
    return (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

void workload_announce(const char *kind, const struct settings *set, void *memory,
                       void *still, void *counts, uint64_t base)
{
    struct line line;

    shared.set = *set;
    shared.memory = memory;
    shared.still = still;
    shared.counts = counts;
    shared.ns_per_tick = (1000000000ull << 32) / set->tsc_hz;
    shared.pages_per_tick = divide(set->rate_pps, set->tsc_hz * set->cpus);
    shared.ticks_per_report = set->tsc_hz / 1000 * set->report_ms;
    shared.touched_words = set->touch == TOUCH_READ   ? 0
                           : set->touch == TOUCH_PAGE ? 1
                           : set->content == CONTENT_DELTA
                               ? (unsigned)set->delta_bytes / 8
                               : PAGE_WORDS;
    shared.checked_words = shared.touched_words ? shared.touched_words : PAGE_WORDS;
    shared.repeated_words = (unsigned)set->repeat_bytes / 8;

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
    put_number(&line, " repeat_bytes=", set->repeat_bytes);
    put_number(&line, " delta_bytes=", set->delta_bytes);
    put(&line, " pattern=");
    put(&line, pattern_names[set->pattern]);
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

static inline int is_repeated(uint64_t i)
{
    return i % TEXT_LINE_WORDS < shared.repeated_words; /* none but in text */
}

static inline uint64_t base_word(uint64_t page, uint64_t i)
{
    if (shared.set.content == CONTENT_ZERO)
        return 0;
    if (is_repeated(i))
        return random_word(shared.set.seed, i % TEXT_LINE_WORDS);
    return random_word(shared.set.seed, page * PAGE_WORDS + i);
}

static inline int at_random(void)
{
    return shared.set.pattern == PATTERN_RANDOM;
}

/* What a word must hold; at random, its lowest 16 bits.  Callers know the pattern when
 * they are compiled: a look at one word must cost no more. */
static inline uint64_t right_word(const struct thread *t, uint64_t page, unsigned i,
                                  int random)
{
    if (random)
        return base_word(page, i) + shared.counts[page] * t->key[i];
    return base_word(page, i) ^ t->sum[i];
}

static void write_page(const struct thread *t, uint64_t page)
{
    uint64_t *words = shared.memory[page];

    for (unsigned i = 0; i < PAGE_WORDS; i++)
        words[i] = right_word(t, page, i, at_random());
}

/* Its pages are numbered on from the working set's. */
static void write_still_page(uint64_t page, uint64_t swept)
{
    uint64_t *words = shared.still[page];

    for (unsigned i = 0; i < PAGE_WORDS; i++)
        words[i] = base_word(swept + page, i);
}

/* The key of the sweep to come; the study has one for all of them.  At random there is
 * one as well: odd, so that no lost touch goes unseen, and of delta without carries, so
 * that each byte changes. */
static void next_key(struct thread *t)
{
    uint64_t stream = shared.set.touch == TOUCH_STUDY ? 0 : t->sweeps;
    uint64_t own = random_word(~shared.set.seed, (uint64_t)t->cpu << 48 | stream);
    uint64_t common = random_word(~shared.set.seed, stream);

    if (shared.set.content == CONTENT_ZERO)
        return; /* XOR with 0 writes what is there */
    for (unsigned i = 0; i < shared.touched_words; i++) {
        t->key[i] = is_repeated(i) ? random_word(common, i % TEXT_LINE_WORDS)
                                   : random_word(own, i);
        if (shared.set.content == CONTENT_DELTA)
            t->key[i] |= 0x0101010101010101; /* each byte changes */
        t->sum[i] ^= t->key[i];
        if (at_random()) {
            t->key[i] |= 1;
            if (shared.set.content == CONTENT_DELTA)
                t->key[i] &= 0x7f7f7f7f7f7f7f7f;
        }
    }
}

/* One of the words touched, others at other times: a lost write shows in any of them,
 * but for zeros.  Counted once, as the page is set right. */
static inline void check_page(struct thread *t, uint64_t page, uint64_t turn,
                              int random)
{
    unsigned i = ((page + turn) % PAGE_WORDS) * shared.checked_words / PAGE_WORDS;
    uint64_t differs = shared.memory[page][i] ^ right_word(t, page, i, random);

    if (random)
        differs &= UINT16_MAX;
    if (__builtin_expect(differs != 0, 0)) {
        t->bad++;
        write_page(t, page);
    }
}

static inline void touch_page(struct thread *t, uint64_t page)
{
    uint64_t *words = shared.memory[page];

    if (shared.set.touch == TOUCH_PAGE) {
        words[0] ^= t->key[0];
    } else if (shared.touched_words < PAGE_WORDS) {
        unsigned i = 0;

        /* In turns of as many words as below: part of a page takes part of its time. */
        for (const unsigned whole = shared.touched_words & ~7u; i < whole; i += 8)
#pragma GCC unroll 8
            for (unsigned j = 0; j < 8; j++)
                words[i + j] ^= t->key[i + j];
        for (; i < shared.touched_words; i++)
            words[i] ^= t->key[i];
    } else {
        /* Plain words: under TCG vector registers are memory, and half as fast. */
#pragma GCC unroll 8
        for (unsigned i = 0; i < PAGE_WORDS; i++)
            words[i] ^= t->key[i];
    }
    check_page(t, page, t->sweeps, 0);
}

static inline void touch_any_page(struct thread *t)
{
    uint64_t page, *words;

    /* xorshift64* (Vigna 2016) */
    t->chance ^= t->chance >> 12;
    t->chance ^= t->chance << 25;
    t->chance ^= t->chance >> 27;
    page = t->first_page + (uint64_t)((unsigned __int128)(t->chance *
                                      0x2545f4914f6cdd1dull) * t->page_count >> 64);
    words = shared.memory[page];
    if (shared.touched_words < PAGE_WORDS) {
        unsigned i = 0;

        for (const unsigned whole = shared.touched_words & ~7u; i < whole; i += 8)
#pragma GCC unroll 8
            for (unsigned j = 0; j < 8; j++)
                words[i + j] += t->key[i + j];
        for (; i < shared.touched_words; i++)
            words[i] += t->key[i];
    } else {
#pragma GCC unroll 8
        for (unsigned i = 0; i < PAGE_WORDS; i++)
            words[i] += t->key[i];
    }
    if (shared.touched_words)
        shared.counts[page]++;
    check_page(t, page, t->done, 1);
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
         * migration and the monitor.  Some microseconds, as QEMU lets no vCPU read less
         * than another has read (cpu_get_ticks): on host CPUs whose counters differ, two
         * that read all the time drive the clock on, by up to 2 %. */
        for (int i = 0; i < 4000; i++)
            __asm__ volatile("");
        look(t);
    }
}

/* All threads fill their share, then begin together. */
static void fill(struct thread *t)
{
    uint64_t swept = shared.set.ws_bytes / PAGE_BYTES;
    uint64_t still = shared.set.still_bytes / PAGE_BYTES;

    for (uint64_t page = t->first_page; page < t->first_page + t->page_count; page++) {
        if (at_random())
            shared.counts[page] = 0;
        write_page(t, page);
    }
    for (uint64_t page = t->cpu; page < still; page += shared.set.cpus)
        write_still_page(page, swept);
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

/* On a page of its own: TCG does not chain blocks across pages, and a loop that straddles
 * two looks its way up at every turn. */
__attribute__((aligned(PAGE_BYTES))) _Noreturn void workload_thread(unsigned cpu)
{
    struct thread *t = &threads[cpu];
    uint64_t pages = shared.set.ws_bytes / PAGE_BYTES;
    /* With one word a page the clock costs as much as the touch: look less often. */
    uint64_t skip = shared.touched_words < 2 && !shared.set.rate_pps ? 15 : 0;
    const int random = at_random();

    t->cpu = cpu;
    t->first_page = pages * cpu / shared.set.cpus;
    t->page_count = pages * (cpu + 1) / shared.set.cpus - t->first_page;
    t->line_ticks = UINT64_MAX;
    t->chance = random_word(shared.set.seed, cpu) | 1;
    fill(t);
    t->now = t->unit_start = tsc_read();
    for (;;) {
        if (!random || !t->sweeps)
            next_key(t);
        for (uint64_t i = 0; i < t->page_count; i++) {
            if (shared.set.rate_pps)
                wait_until_due(t);
            if (random)
                touch_any_page(t);
            else
                touch_page(t, t->first_page + i);
            t->done++;
            t->unit_pages++;
            if ((t->done & skip) == 0)
                look(t);
        }
        t->sweeps++;
    }
}
