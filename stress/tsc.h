/* Guest time: the TSC, and its frequency measured against the PIT.
 *
 * Both guests take their time here, so their figures compare.  The PIT (channel 2, the
 * speaker's, which nobody else uses) runs at a known 1193182 Hz on every PC machine. */
#ifndef MIGSTRESS_TSC_H
#define MIGSTRESS_TSC_H

#include <stdint.h>

enum { PIT_HZ = 1193182, PIT_SPAN = 12000 /* counts, 10 ms */ };

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t tsc_read(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void tsc_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

struct pit_sample {
    uint64_t tsc;
    uint16_t count;
};

/* The best of eight: the one whose latch command took least, as the vCPU may lose its
 * host CPU between reading one clock and the other. */
static inline struct pit_sample pit_sample(void)
{
    struct pit_sample best = {0, 0};
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < 8; i++) {
        uint64_t before = tsc_read();
        outb(0x43, 0x80);
        uint64_t took = tsc_read() - before;
        uint16_t count = inb(0x42);
        count |= (uint16_t)(inb(0x42) << 8);
        if (took < least) {
            least = took;
            best.tsc = before + took / 2;
            best.count = count;
        }
    }
    return best;
}

/* One measurement over about 10 ms; 0 when the PIT does not count. */
static inline uint64_t tsc_measure_once(void)
{
    outb(0x61, (uint8_t)((inb(0x61) & ~2) | 1)); /* gate on, speaker off */
    outb(0x43, 0xb0);                            /* channel 2, low/high byte, mode 0 */
    outb(0x42, 0xff);
    outb(0x42, 0xff);

    struct pit_sample first = pit_sample(), last = first;
    for (int tries = 0; tries < 100000; tries++) {
        last = pit_sample();
        if ((uint16_t)(first.count - last.count) >= PIT_SPAN)
            return (last.tsc - first.tsc) * PIT_HZ /
                   (uint16_t)(first.count - last.count);
    }
    return 0;
}

/* The median of three, in Hz: one of them may span a stall longer than a PIT wrap. */
static inline uint64_t tsc_measure(void)
{
    uint64_t a = tsc_measure_once(), b = tsc_measure_once(), c = tsc_measure_once();
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

#endif
